"""An image is on the node before anything that serves there is stopped for it. (Where the new one starts first, the
agent fetches its image before it starts it, and the old one serves on.)"""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.cluster.models import Job
from console.controller.results import MOST_ATTEMPTS, MOST_LOOKUPS
from console.workloads import services
from console.workloads.models import App, Container, Release, Rollout, Slot
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


class Cut(FakeAgent):
    """Its registry cannot be reached from there."""

    fetches: int = 0

    def _fetch(self, job: protocol.Pull) -> None:
        self.fetches += 1
        self._refuse(job.id, "registry-unreachable", "no route to the registry")


@pytest.fixture
def two(agents: MakeAgents) -> tuple[Cut, FakeAgent]:
    cut, other = agents(2)
    cut.__class__ = Cut
    assert isinstance(cut, Cut)
    cut.registry = other.registry = {NEW: DIGEST}
    return cut, other


def test_where_one_node_cannot_fetch_it_another_takes_its_place(
    access: Access, world: World, two: tuple[Cut, FakeAgent]
) -> None:
    cut, other = two
    app, operation = deploy(access, WEB % "berth/demo")
    world.run(10)
    assert {one.node_id for one in live(app)} == {cut.node, other.node}
    operation = services.create_release(access, app, compose=WEB % NEW)
    world.run(90)
    assert state_of(operation) == "succeeded", operation.error
    assert {(one.release.number, one.node_id) for one in live(app)} == {(2, other.node)}
    assert cut.fetches == MOST_ATTEMPTS
    # Nothing was tried on the node that cannot have its image.
    assert not Container.objects.filter(app=app, release__number=2, node=cut.node).exists()


def test_where_no_node_can_fetch_it_the_rollout_fails_and_takes_nothing_down(
    access: Access, world: World, two: tuple[Cut, FakeAgent]
) -> None:
    cut, other = two
    other.__class__ = Cut
    assert isinstance(other, Cut)
    app, _operation = deploy(access, WEB % "berth/demo")
    world.run(10)
    kept = {one.id for one in live(app)}
    operation = services.create_release(access, app, compose=WEB % NEW)
    world.run(120)
    assert state_of(operation) == "failed"
    assert "no route to the registry" in operation.error
    assert {one.id for one in live(app)} == kept
    assert (cut.fetches, other.fetches) == (MOST_ATTEMPTS, MOST_ATTEMPTS)


def test_a_registry_that_one_node_cannot_reach_is_asked_by_another(
    access: Access, world: World, two: tuple[Cut, FakeAgent]
) -> None:
    first, second = sorted(two, key=lambda agent: agent.node)
    first.failing = {protocol.Pull: MOST_LOOKUPS}
    app, _operation = deploy(access, WEB % NEW)
    world.run(30)
    assert Release.objects.get(app=app).images["web"]["image"] == DIGEST
    asked = Job.objects.filter(kind="pull", payload__resolve=True).order_by("created_at")
    assert [(job.node_id, job.ok) for job in asked] == [(first.node, False), (second.node, True)]


def test_a_registry_that_no_node_can_reach_fails_the_release_with_its_words(
    access: Access, world: World, two: tuple[Cut, FakeAgent]
) -> None:
    for agent in two:
        agent.failing = {protocol.Pull: 99}
    _app, operation = deploy(access, WEB % NEW)
    world.run(60)
    assert state_of(operation) == "failed"
    assert "2 nodes asked, the last one: The engine does not answer in time." in operation.error


def test_an_image_that_the_registry_does_not_have_is_asked_for_once(
    access: Access, world: World, two: tuple[Cut, FakeAgent]
) -> None:
    for agent in two:
        agent.registry = {}
    _app, operation = deploy(access, WEB % NEW)
    world.run(10)
    assert state_of(operation) == "failed"
    assert Job.objects.filter(kind="pull").count() == 1
