"""A release command succeeds before anything of its release is wanted; or nothing of it ever is."""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.controller.ahead import begun
from console.controller.requests import Known
from console.workloads import rollouts, services
from console.workloads.models import App, Container, Release, Rollout, Slot
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import deploy, live, state_of

pytestmark = pytest.mark.thorough

WEB = """
services:
  web:
    image: berth/demo
    environment: {VERSION: "%d"}
    deploy: {replicas: 2}
    x-berth: {release_command: [migrate]}
"""


def release(number: int) -> str:
    return WEB % number


def end_command(world: World, agent: FakeAgent, code: int) -> None:
    """The newest one that runs ends."""
    newest = Slot.objects.get(service__name="web.release", retired=False)
    agent.end(newest.id, newest.generation, code)
    world.run(5)


def releases_of(app: App) -> list[int]:
    return sorted(one.release.number for one in live(app) if one.slot.service.name == "web")


@pytest.fixture
def agent(agents: MakeAgents) -> FakeAgent:
    return agents(1)[0]


@pytest.fixture
def app(access: Access, world: World, agent: FakeAgent) -> App:
    """Its first release is rolled out."""
    app, operation = deploy(access, release(1))
    world.run(5)
    assert (releases_of(app), state_of(operation)) == ([], "running")
    end_command(world, agent, 0)
    world.run(5)
    assert (releases_of(app), state_of(operation)) == ([1, 1], "succeeded")
    return app


def test_nothing_is_replaced_before_it_succeeded(
    access: Access, world: World, agent: FakeAgent, app: App
) -> None:
    operation = services.create_release(access, app, compose=release(2))
    world.run(20)
    assert (releases_of(app), state_of(operation)) == ([1, 1], "running")
    end_command(world, agent, 0)
    world.run(15)
    assert (releases_of(app), state_of(operation)) == ([2, 2], "succeeded")
    assert Rollout.objects.get(release__number=2).state == "succeeded"


def test_its_failure_is_the_releases_and_touches_nothing(
    access: Access, world: World, agent: FakeAgent, app: App
) -> None:
    kept = {one.id for one in live(app)}
    operation = services.create_release(access, app, compose=release(2))
    world.run(5)
    end_command(world, agent, 3)
    assert state_of(operation) == "failed"
    assert "nothing was replaced" in operation.error
    assert {one.id for one in live(app)} == kept
    assert (Release.objects.get(number=2).state, Rollout.objects.get(release__number=2).state) == (
        "failed",
        "failed",
    )
    again = services.create_release(access, app, compose=release(3))
    world.run(5)
    end_command(world, agent, 0)
    world.run(15)
    assert (releases_of(app), state_of(again)) == ([3, 3], "succeeded")


def test_a_newer_release_takes_its_place_and_has_it_run_anew(
    access: Access, world: World, agent: FakeAgent, app: App
) -> None:
    older = services.create_release(access, app, compose=release(2))
    world.run(5)
    newer = services.create_release(access, app, compose=release(3))
    world.run(10)
    assert (releases_of(app), state_of(newer)) == ([1, 1], "running")
    assert Rollout.objects.get(release__number=2).state == "superseded"
    end_command(world, agent, 0)
    world.run(15)
    assert (releases_of(app), state_of(newer)) == ([3, 3], "succeeded")
    assert state_of(older) != "running"


def test_cancelled_it_is_stopped_and_the_way_back_needs_none(
    access: Access, world: World, agent: FakeAgent, app: App
) -> None:
    kept = {one.id for one in live(app)}
    services.create_release(access, app, compose=release(2))
    world.run(5)
    back = rollouts.cancel_rollout(access, app)
    world.run(10)
    assert state_of(back) == "succeeded"
    assert {one.id for one in live(app)} == kept
    assert Rollout.objects.get(release__number=2).state == "superseded"


def test_of_two_that_are_alike_one_that_began_says_nothing_of_the_other(
    access: Access, world: World, agent: FakeAgent
) -> None:
    service = "{image: berth/demo, x-berth: {release_command: [migrate]}}"
    app, _operation = deploy(access, f"services: {{api: {service}, web: {service}}}")
    world.run(5)
    release = Release.objects.get(app=app)
    of_api = list(Container.objects.filter(app=app, slot__service__name="api.release"))
    assert of_api
    coming, commands = Known(release, release.project), release.project.commands
    assert begun(coming, commands["api.release"], of_api)
    assert not begun(coming, commands["web.release"], of_api)
