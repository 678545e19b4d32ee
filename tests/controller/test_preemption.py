"""Priorities: who goes first, and who makes room."""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.accounts.models import Quota
from console.common.models import Event
from console.workloads import services
from console.workloads.models import App, Container, Slot
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import deploy, live, state_of
from tests.factories import make_member, make_team

pytestmark = pytest.mark.thorough

SIZED = (
    "services:\n  web:\n    image: berth/demo\n    deploy:\n      replicas: {replicas}\n"
    "      resources: {{limits: {{cpus: '0.1', memory: {memory}m}}}}\n    x-berth: {{priority: {priority}}}\n"
)
MOST = 6000
"""MiB: two of these do not fit on a node of 8 GiB."""


def sized(priority: int, *, memory: int = MOST, replicas: int = 1) -> str:
    return SIZED.format(priority=priority, memory=memory, replicas=replicas)


def pending(app: App) -> list[str]:
    slots = Slot.objects.filter(service__app=app, retired=False).order_by("index")
    return list(slots.values_list("pending", flat=True))


def told(app: App) -> list[str]:
    return list(Event.objects.filter(app_id=app.id).order_by("id").values_list("message", flat=True))


def test_of_two_that_wait_the_more_important_one_goes_first(
    access: Access, world: World, agents: MakeAgents
) -> None:
    low, _operation = deploy(access, sized(0), name="low")
    high, _operation = deploy(access, sized(5), name="high")
    agents(1)
    world.run(5)
    assert (len(live(low)), len(live(high))) == (0, 1)


def test_a_more_important_app_takes_the_place_of_a_lesser_one(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    low, _operation = deploy(access, sized(0), name="low")
    world.run(5)
    agent.holding = True
    high, operation = deploy(access, sized(5), name="high")
    world.run(5)
    [victim] = Container.objects.filter(app=low)
    assert (victim.state, victim.stop_reason) == ("stopping", "makes room for high/web.1")
    assert pending(high) == ["waits for room on node-1"]
    agent.let_go()
    world.run(10)
    assert (len(live(low)), len(live(high)), state_of(operation)) == (0, 1, "succeeded")
    assert pending(low)[0].startswith("0 of 1 node fit")
    assert any("makes room for high/web.1" in text for text in told(low))
    assert any("takes the place of low/web.1" in text for text in told(high))


def test_what_was_evicted_goes_elsewhere_when_it_can(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    low, _operation = deploy(access, sized(0, memory=5000), name="low")
    world.run(5)
    other, _operation = deploy(access, sized(5, memory=3500), name="other")
    world.run(5)
    high, _operation = deploy(access, sized(9), name="high")
    world.run(20)
    assert (len(live(high)), len(live(other))) == (1, 1)
    assert len({one.node_id for one in (*live(high), *live(other))}) == 2
    assert live(low) == []


def test_equals_do_not_evict_each_other(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    first, _operation = deploy(access, sized(5), name="first")
    world.run(5)
    before = live(first)
    second, _operation = deploy(access, sized(5), name="second")
    world.run(10)
    assert (live(first), live(second)) == (before, [])
    assert pending(second)[0].startswith("0 of 1 node fit")


def test_while_victims_are_on_their_way_out_nobody_else_is_evicted(
    access: Access, world: World, agents: MakeAgents
) -> None:
    made = agents(2)
    low, _operation = deploy(access, sized(0, replicas=2), name="low")
    world.run(5)
    for agent in made:
        agent.holding = True
    deploy(access, sized(5), name="high")
    world.run(30)
    assert Container.objects.filter(app=low, state="stopping").count() == 1
    assert len(live(low)) == 1


def test_only_as_many_leave_as_must(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    low, _operation = deploy(access, sized(0, memory=1500, replicas=5), name="low")
    world.run(5)
    high, _operation = deploy(access, sized(5, memory=2500), name="high")
    world.run(20)
    assert (len(live(high)), len(live(low))) == (1, 3)


def test_another_team_is_not_told_whose_room_it_was(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    low, _operation = deploy(access, sized(0), name="secret-low")
    world.run(5)
    other = make_member(make_team("other"))
    Quota.objects.create(team=other.team, priority=5)
    operation = services.create_app(other, name="secret-high", compose=sized(5))
    high = App.objects.get(pk=operation.app_id)
    world.run(10)
    assert (len(live(low)), len(live(high))) == (0, 1)
    assert not any("secret-high" in text for text in told(low))
    assert not any("secret-low" in text for text in told(high))


@pytest.mark.parametrize("bound", ["volumes: [data:/data]", "x-berth: {exclusive: true}"])
def test_what_is_bound_makes_room_for_its_own_team_alone(
    access: Access, world: World, agents: MakeAgents, bound: str
) -> None:
    agents(1)
    compose = f"services:\n  db:\n    image: berth/demo\n    mem_limit: {MOST}m\n    {bound}\n"
    low, _operation = deploy(access, compose + "volumes: {data: {}}\n" * ("volumes" in bound), name="low")
    world.run(5)
    other = make_member(make_team("other"))
    Quota.objects.create(team=other.team, priority=5)
    operation = services.create_app(other, name="high", compose=sized(5))
    theirs = App.objects.get(pk=operation.app_id)
    world.run(10)
    assert (len(live(low)), len(live(theirs))) == (1, 0)
    assert pending(theirs)[0].startswith("0 of 1 node fit")
    services.delete_app(other, theirs, delete_volumes=False)
    ours, _operation = deploy(access, sized(5), name="ours")
    world.run(10)
    assert (len(live(low)), len(live(ours))) == (0, 1)
