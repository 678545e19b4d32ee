"""An image is on the node before anything that serves there is stopped for it. (Where the new one starts first, the
agent fetches its image before it starts it, and the old one serves on.)"""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.workloads import services
from console.workloads.models import App, Rollout, Slot
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import deploy, live, state_of

pytestmark = pytest.mark.thorough

WEB = "services:\n  web:\n    image: %s\n    deploy: {replicas: 2, update_config: {order: stop-first}}\n"
NEW = "registry.example.org/shop:2"
DIGEST = "registry.example.org/shop@sha256:" + "b" * 64


class Slow(FakeAgent):
    """Fetches nothing before it is told to."""

    fetches: list[protocol.Pull]
    quick = False

    def _fetch(self, job: protocol.Pull) -> None:
        if self.quick:
            super()._fetch(job)
        else:
            self.fetches.append(job)

    def arrive(self) -> None:
        self.quick = True
        while self.fetches:
            self._fetch(self.fetches.pop())


@pytest.fixture
def agent(agents: MakeAgents) -> Slow:
    [agent] = agents(1)
    agent.__class__ = Slow
    assert isinstance(agent, Slow)
    agent.fetches, agent.registry = [], {NEW: DIGEST}
    return agent


@pytest.fixture
def app(access: Access, world: World, agent: Slow) -> App:
    app, operation = deploy(access, WEB % "berth/demo")
    world.run(10)
    assert state_of(operation) == "succeeded"
    return app


def test_what_serves_is_stopped_once_the_image_is_there(
    access: Access, world: World, agent: Slow, app: App
) -> None:
    kept = {one.id for one in live(app)}
    operation = services.create_release(access, app, compose=WEB % NEW)
    world.run(20)
    assert [job.image for job in agent.fetches] == [DIGEST]
    waiting = Slot.objects.exclude(pending="").values_list("pending", flat=True)
    assert set(waiting) == {"waits until node-1 has its image"}
    assert {one.id for one in live(app)} == kept
    assert state_of(operation) == "running"
    agent.arrive()
    world.run(20)
    assert state_of(operation) == "succeeded"
    assert {one.release.number for one in live(app)} == {2}


def test_an_image_that_cannot_be_fetched_takes_nothing_down(
    access: Access, world: World, agent: Slow, app: App
) -> None:
    kept = {one.id for one in live(app)}
    agent.quick = True
    operation = services.create_release(access, app, compose=WEB % NEW)
    world.run(0.5)
    agent.registry = {}
    world.run(30)
    assert {one.id for one in live(app)} == kept
    assert state_of(operation) == "failed"
    assert "manifest unknown" in operation.error or "image" in operation.error
    assert Rollout.objects.get(release__number=2).state == "failed"
