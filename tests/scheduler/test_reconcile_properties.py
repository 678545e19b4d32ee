"""What holds for every app, however odd its state."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.lifecycle import State
from scheduler.model import NodeState, Placement, Plan, RolloutState, StopContainer
from scheduler.reconcile import reconcile
from tests.scheduler.strategies import MANY, worlds
from tests.scheduler.world import World


@MANY
@given(world=worlds())
def test_after_a_plan_is_applied_the_next_one_is_empty(world: World) -> None:
    """But for what found no node: that is asked for again."""
    plan = world.plan()
    decisions = world.apply(plan)
    unplaced = {each.request.slot for each in decisions if each.node is None}
    again = world.plan()
    assert {each.request.slot for each in again.place} <= unplaced
    assert replace(again, place=()).empty


@MANY
@given(world=worlds())
def test_never_more_than_wanted(world: World) -> None:
    plan = world.plan()
    wanted = {(name, i + 1) for name, each in world.services.items() for i in range(each.replicas)}
    filled = Counter((each.service, each.index) for each in plan.place)
    assert set(filled) <= wanted
    assert all(number == 1 for number in filled.values())
    created = {(each.service, each.index) for each in plan.create}
    assert created == {key for key in wanted if f"{key[0]}.{key[1]}" not in world.slots}
    assert created <= set(filled)
    assert all(may_be_filled(world, each) for each in plan.place)


def may_be_filled(world: World, placement: Placement) -> bool:
    """Nothing lives in the slot, or it is cut off and is given up for lost in the same stroke."""
    slot = world.slots.get(f"{placement.service}.{placement.index}")
    current = slot.current if slot else None
    if current is None or not current.state.live:
        return placement.replaces is None
    cut_off = world.nodes[current.node or ""].state is NodeState.DOWN
    return placement.replaces == current.id and cut_off and not world.services[placement.service].bound


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
def test_a_bound_slot_never_gets_a_second_container(world: World) -> None:
    for placement in world.plan().place:
        slot = world.slots.get(f"{placement.service}.{placement.index}")
        if slot and world.services[placement.service].bound:
            assert not any(each.state.live for each in slot.containers)


@MANY
@given(world=worlds())
def test_a_console_that_is_blind_gives_up_nothing(world: World) -> None:
    plan = reconcile(replace(world.view(), frozen=True), world.now)
    assert not any(each.replaces for each in plan.place)
    assert not any(each.failure for each in plan.stop)
    assert (plan.remove, plan.rollout) == ((), None)


@MANY
@given(world=worlds())
def test_at_most_one_container_of_a_service_is_replaced_at_a_time(world: World) -> None:
    replaced = [world.find(each.container) for each in rolling(world.plan())]
    owners = Counter(world.slots[each.slot].service for each in replaced)
    assert all(number == 1 for number in owners.values())
    for owner in owners:
        others = [each for each in world.slots.values() if each.service == owner]
        stopping = [s for s in others if s.current and s.current.state is State.STOPPING]
        assert not [s for s in stopping if s.index <= world.services[owner].replicas]


def rolling(plan: Plan) -> list[StopContainer]:
    reasons = ("replaced by a new release", "restart asked for")
    return [each for each in plan.stop if each.reason in reasons]


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
def test_the_order_of_slots_does_not_matter(world: World, data: st.DataObject) -> None:
    view = world.view()
    other = replace(view, slots=tuple(data.draw(st.permutations(view.slots))))
    assert reconcile(other, world.now) == reconcile(view, world.now)


@MANY
@given(world=worlds())
def test_a_wake_is_in_the_future_and_nothing_happens_before_it(world: World) -> None:
    world.apply(world.plan())
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
    plan = world.plan()
    if plan.rollout is not None and plan.rollout.state is RolloutState.SUCCEEDED:
        assert all(each.well == each.wanted for each in plan.counts)
        assert not any(each.failure for each in plan.stop)
