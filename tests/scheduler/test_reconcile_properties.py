"""What holds for every app, however odd its state."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.lifecycle import State
from scheduler.model import (
    NodeState,
    Placement,
    Plan,
    RolloutMove,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
)
from scheduler.reconcile import reconcile
from scheduler.slots import staying
from tests.scheduler import views
from tests.scheduler.builders import node
from tests.scheduler.strategies import MANY
from tests.scheduler.view_strategies import worlds
from tests.scheduler.world import World

pytestmark = pytest.mark.thorough

ROLLING = ("replaced by a new release", "restart asked for")
HALTED = (RolloutState.PAUSED, RolloutState.FAILED, RolloutState.ROLLED_BACK)


def slot_of(world: World, placement: Placement) -> SlotView | None:
    return world.slots.get(f"{placement.service}.{placement.index}")


def overlaps(world: World, service: str) -> int:
    """Slots of the service in which more than one container is to stay."""
    slots = [each for each in world.slots.values() if each.service == service]
    return sum(sum(map(staying, each.containers)) > 1 for each in slots)


def parallelism(service: ServiceView, slots: int) -> int:
    return service.update.parallelism or slots


@MANY
@given(world=worlds())
def test_after_a_plan_is_applied_the_next_one_is_empty(world: World) -> None:
    """But for what found no node: that is asked for again. One that rolls back starts another rollout."""
    plan = world.plan()
    decisions = world.apply(replace(plan, rollout=None) if rolls_back(plan) else plan)
    if rolls_back(plan):
        assert world.rollout is not None
        world.rollout = replace(world.rollout, state=RolloutState.ROLLED_BACK)
    unplaced = {each.want.slot for each in decisions if each.node is None}
    again = world.plan()
    assert {f"{each.service}.{each.index}" for each in again.place} <= unplaced
    assert replace(again, place=()).empty


def test_what_is_stopped_as_a_failure_holds_its_slot_no_more() -> None:
    """An older generation that serves in place of one that cannot start, but that its engine keeps restarting."""
    fatal = views.container("web.1", 2, State.FAILED, running_since=None, fatal=True, removed=True)
    restarting = views.container("web.1", 1, restarts=5)
    world = World(
        {"n1": node("n1")},
        {"web": views.service("web")},
        slots={"web.1": views.slot("web.1", fatal, restarting)},
    )
    world.rollout = RolloutView("r", RolloutState.RUNNING, 0.0, 9000.0)
    plan = world.plan()
    assert [each.container for each in plan.stop] == ["web.1-g1"]
    assert plan.rollout == RolloutMove(RolloutState.FAILED, "web.1 cannot start", "web.1-g2")
    world.apply(plan)
    assert world.plan().empty


def rolls_back(plan: Plan) -> bool:
    return plan.rollout is not None and plan.rollout.state is RolloutState.ROLLED_BACK


@MANY
@given(world=worlds())
def test_no_slot_is_filled_that_is_not_wanted_or_has_what_is(world: World) -> None:
    plan = world.plan()
    filled = Counter((each.service, each.index) for each in plan.place)
    assert all(number == 1 for number in filled.values())
    there = {(each.service, each.index) for each in world.slots.values()}
    created = {(each.service, each.index) for each in plan.create}
    assert not created & there
    assert set(filled) <= there | created
    assert all(may_be_filled(world, each) for each in plan.place)


def may_be_filled(world: World, placement: Placement) -> bool:
    """Nothing lives in the slot; or its newest is cut off and is given up for lost in the same stroke; or an
    older generation serves on, which may overlap with the next."""
    service, slot = world.services[placement.service], slot_of(world, placement)
    if slot is None:
        return True
    if service.mode.everywhere:
        assert placement.node == slot.node != ""
    else:
        assert slot.index <= service.replicas
    if placement.replaces is not None:
        lost = world.find(placement.replaces)
        assert lost is slot.current
        assert world.nodes[lost.node or ""].state is NodeState.DOWN
    others = [each for each in slot.containers if each.state.live and each.id != placement.replaces]
    newest_lives = slot.current in others
    alone = service.bound or service.exclusive or service.mode.job or service.restart == "none"
    return not newest_lives or (staying(others[0]) and not alone)


@MANY
@given(world=worlds())
def test_never_more_than_wanted_and_what_the_parallelism_allows(world: World) -> None:
    before = {name: overlaps(world, name) for name in world.services}
    plan = world.plan()
    world.apply(replace(plan, rollout=None))
    wanted = {each.service: each.wanted for each in plan.counts}
    for name, service in world.services.items():
        most = max(before[name], parallelism(service, wanted[name]))
        assert overlaps(world, name) <= most
        staying_there = [each for each in world.live(name) if staying(each)]
        kept = sum(each.service == name for each in world.slots.values()) if service.mode.everywhere else 0
        assert len(staying_there) <= max(wanted[name], kept) + most
        assert max(Counter(each.slot for each in staying_there).values(), default=0) <= 2


@MANY
@given(world=worlds())
def test_a_stopped_app_places_nothing_and_stops_all_that_lives(world: World) -> None:
    for name in world.services:
        world.scale(name, 0)
    plan = world.plan()
    assert (plan.create, plan.place) == ((), ())
    told = {each.container for each in plan.stop}
    unfinished = {State.PENDING, *(s for s in State if s.live)} - {State.STOPPING}
    assert told == {each.id for each in world.containers() if each.state in unfinished}


@MANY
@given(world=worlds())
def test_what_is_bound_or_exclusive_is_never_there_twice(world: World) -> None:
    for placement in world.plan().place:
        slot, service = slot_of(world, placement), world.services[placement.service]
        if slot and (service.bound or service.exclusive):
            assert not any(each.state.live for each in slot.containers)


@MANY
@given(world=worlds())
def test_a_console_that_is_blind_gives_up_nothing(world: World) -> None:
    world.frozen = True
    plan = world.plan()
    assert not any(each.replaces for each in plan.place)
    assert not any(each.failure or each.reason in ROLLING for each in plan.stop)
    assert (plan.remove, plan.rollout) == ((), None)
    for placement in plan.place:
        slot = slot_of(world, placement)
        assert slot is None or slot.current is None or not slot.current.state.live


def serving(world: World, service: ServiceView) -> int:
    """Wanted slots of the service that have a container that is to stay and is well."""
    return sum(
        any(staying(each) and is_well(world, service, each.id) for each in slot.containers)
        for slot in world.slots.values()
        if slot.service == service.name and (service.mode.everywhere or slot.index <= service.replicas)
    )


def is_well(world: World, service: ServiceView, name: str) -> bool:
    one = world.find(name)
    if one.state is not State.RUNNING or world.nodes[one.node or ""].state is NodeState.DOWN:
        return False
    if one.health != "none" or service.has_healthcheck:
        return one.health == "healthy"
    return one.running_since is not None and one.running_since + service.update.monitor <= world.now


@MANY
@given(world=worlds())
def test_what_is_stopped_to_be_replaced_leaves_enough_that_is_well(world: World) -> None:
    plan = world.plan()
    wanted = {each.service: each.wanted for each in plan.counts}
    owners = {
        world.slots[world.find(each.container).slot].service
        for each in plan.stop
        if each.reason in ROLLING
        and is_well(world, world.services[owner_of(world, each.container)], each.container)
    }
    world.apply(replace(plan, rollout=None))
    for name in owners:
        service = world.services[name]
        tolerant = service.update.failure_action == "continue" or service.update.max_failure_ratio
        if not tolerant and service.update.parallelism:
            assert serving(world, service) >= wanted[name] - service.update.parallelism


def owner_of(world: World, container: str) -> str:
    return world.slots[world.find(container).slot].service


@MANY
@given(world=worlds())
def test_a_halted_rollout_replaces_nothing_that_lives_by_another_release(world: World) -> None:
    assert_halts(world, world.plan())
    if world.rollout is not None:
        world.rollout = replace(world.rollout, state=RolloutState.PAUSED)
        plan = world.plan()
        assert plan.rollout is None
        assert_halts(world, plan)


def assert_halts(world: World, plan: Plan) -> None:
    states = {world.rollout.state if world.rollout else None, plan.rollout.state if plan.rollout else None}
    if not states & {*HALTED}:
        return
    assert not any(each.reason == "replaced by a new release" for each in plan.stop)
    for placement in plan.place:
        slot = slot_of(world, placement)
        staying_there = [each for each in slot.containers if staying(each)] if slot else []
        lost = [each for each in staying_there if world.nodes[each.node or ""].state is NodeState.DOWN]
        assert all(each in lost or each.digest == placement.digest for each in staying_there)


@MANY
@given(world=worlds())
def test_what_a_service_depends_on_is_there_first(world: World) -> None:
    plan = world.plan()
    state = plan.rollout.state if plan.rollout else world.rollout.state if world.rollout else None
    if state in HALTED:
        return
    for placement in plan.place:
        slot = slot_of(world, placement)
        if slot is None or slot.current is None or slot.current.digest != placement.digest:
            assert all(
                meets(world, slot, each.condition)
                for each in world.services[placement.service].depends_on
                if each.required and not depend_on_each_other(world, each.service, placement.service)
                for slot in wanted_slots(world, each.service)
            )


def wanted_slots(world: World, name: str) -> list[SlotView]:
    """But for those of global services, of which this test knows less."""
    service = world.services.get(name)
    if service is None or service.mode.everywhere:
        return []
    there = {each.index: each for each in world.slots.values() if each.service == name}
    missing = SlotView("missing", name, 0, 0)
    return [there.get(index, missing) for index in range(1, service.replicas + 1)]


def depend_on_each_other(world: World, name: str, other: str) -> bool:
    path, seen = [name], set()
    while path:
        service = world.services.get(path.pop())
        if service is not None and service.name not in seen:
            seen.add(service.name)
            path += [each.service for each in service.depends_on]
    return other in seen


def meets(world: World, slot: SlotView, condition: str) -> bool:
    service = world.services[slot.service]
    ours = [each for each in slot.containers if each.digest == service.digest]
    ended = service.restart != "any" and any(each.state is State.EXITED and not each.stopped for each in ours)
    if condition == "started":
        return ended or any(each.running_since is not None for each in ours)
    return ended or (condition == "healthy" and any(is_well(world, service, each.id) for each in ours))


@MANY
@given(world=worlds())
def test_each_container_is_named_once(world: World) -> None:
    plan = world.plan()
    named = [*(each.container for each in plan.stop), *plan.remove, *(each.replaces for each in plan.place)]
    named = [each for each in named if each]
    assert len(named) == len(set(named))
    ended = {each.id for each in world.containers() if each.state.ended}
    assert set(plan.remove) <= ended
    assert not ended & {each.container for each in plan.stop}


@MANY
@given(world=worlds(), data=st.data())
def test_the_order_of_services_and_slots_does_not_matter(world: World, data: st.DataObject) -> None:
    view = world.view()
    shuffled = [
        replace(
            each,
            eligible=tuple(data.draw(st.permutations(each.eligible))),
            depends_on=tuple(data.draw(st.permutations(each.depends_on))),
        )
        for each in data.draw(st.permutations(view.services))
    ]
    other = replace(view, services=tuple(shuffled), slots=tuple(data.draw(st.permutations(view.slots))))
    assert reconcile(other, world.now) == reconcile(view, world.now)


@MANY
@given(world=worlds())
def test_a_wake_is_in_the_future_and_nothing_happens_before_it(world: World) -> None:
    world.apply(replace(world.plan(), rollout=None))
    plan = world.plan()
    if plan.wake_at is None:
        soon = world.now + 1e6
    else:
        assert plan.wake_at > world.now
        soon = (world.now + plan.wake_at) / 2
    later = reconcile(world.view(), soon)
    assert replace(later, counts=(), wake_at=None) == replace(plan, counts=(), wake_at=None)


@MANY
@given(world=worlds())
def test_a_rollout_that_succeeds_has_all_that_was_wanted(world: World) -> None:
    """But for what failed and was put up with, which its reason names."""
    plan = world.plan()
    if plan.rollout is not None and plan.rollout.state is RolloutState.SUCCEEDED:
        assert all(each.well == each.wanted for each in plan.counts) or plan.rollout.reason
        assert not any(each.failure for each in plan.stop) or plan.rollout.reason
