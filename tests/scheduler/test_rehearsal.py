"""Before what serves is stopped, it is known what comes after it. Time is 100 in the single plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.lifecycle import State
from scheduler.model import (
    Node,
    NodeState,
    Plan,
    Rehearsed,
    RolloutMove,
    RolloutState,
    SlotView,
    Update,
    Want,
)
from scheduler.placement import Cluster
from scheduler.reconcile import reconcile
from scheduler.rehearsal import Stage
from tests.scheduler.builders import node, request
from tests.scheduler.strategies import MANY
from tests.scheduler.views import container, placed, rollout, service, slot, stopped, view
from tests.scheduler.world import World


def plan_for(answers: Mapping[str, Rehearsed], *slots: SlotView, **more: Any) -> Plan:
    one = service(replicas=len(slots), update=Update(**more))
    return reconcile(view([one], list(slots), rehearsed=answers, rollout=rollout()), 100.0)


def old(name: str, **more: Any) -> SlotView:
    return slot(name, container(name, digest="old"), **more)


def asked(plan: Plan) -> list[tuple[str, int]]:
    return [(each.leaves, each.index) for each in plan.rehearse]


READY, HELD = Rehearsed("n1"), Rehearsed()


# -- stop first


def test_it_asks_before_it_stops_and_only_for_as_many_as_may_go() -> None:
    plan = plan_for({}, old("web.1"), old("web.2"))
    assert (asked(plan), stopped(plan)) == ([("web.1-g1", 1)], [])
    assert plan.rehearse[0].prefer == "n1"
    plan = plan_for({"web.1": READY}, old("web.1"), old("web.2"))
    assert (asked(plan), stopped(plan)) == ([], ["web.1-g1"])


def test_one_that_has_to_wait_lets_the_others_go_on() -> None:
    plan = plan_for({"web.1": HELD}, old("web.1", waiting=True), old("web.2"))
    assert (asked(plan), stopped(plan)) == ([("web.2-g1", 2)], [])
    plan = plan_for({"web.1": HELD, "web.2": READY}, old("web.1", waiting=True), old("web.2"))
    assert (asked(plan), stopped(plan)) == ([], ["web.2-g1"])


def test_those_that_waited_are_asked_about_again_though_the_window_is_full() -> None:
    fresh = slot("web.1", container("web.1", 2, State.STARTING, running_since=None))
    plan = plan_for({}, fresh, old("web.2", waiting=True), old("web.3"))
    assert (asked(plan), stopped(plan)) == ([("web.2-g1", 2)], [])
    assert stopped(plan_for({"web.2": READY}, fresh, old("web.2", waiting=True), old("web.3"))) == []


def test_one_whose_turn_to_make_way_has_not_come_goes_on_waiting() -> None:
    """Else the two would take turns in finding no room, step after step."""
    second = old("web.2", waiting=True)
    plan = plan_for({"web.2": READY}, old("web.1"), second, start_first=True)
    assert ([each.index for each in plan.place], stopped(plan)) == ([1], [])
    assert plan.waits == ("web.2",)
    answers = {"web.1": READY, "web.2": READY}
    plan = plan_for(answers, old("web.1", waiting=True), second, start_first=True)
    assert (plan.place, stopped(plan)) == ((), ["web.1-g1"])
    assert plan.waits == ("web.2",)


def test_an_image_that_cannot_be_had_fails_the_rollout_and_nothing_is_stopped() -> None:
    gone = Rehearsed(failure="node n1 could not get its image: manifest unknown")
    plan = plan_for({"web.1": gone}, old("web.1"), old("web.2"))
    reason = "web.1 was left as it was: node n1 could not get its image: manifest unknown"
    assert plan.rollout == RolloutMove(RolloutState.FAILED, reason)
    assert (plan.stop, plan.place) == ((), ())


def test_where_failures_are_put_up_with_the_others_go_on() -> None:
    answers = {"web.1": Rehearsed(failure="no")}
    plan = plan_for(answers, old("web.1"), old("web.2"), max_failure_ratio=0.5)
    assert (plan.rollout, asked(plan)) == (None, [("web.2-g1", 2)])


def test_a_restart_needs_no_answer() -> None:
    one = service(update=Update())
    running = slot("web.1", container("web.1"))
    plan = reconcile(view([one], [running], rehearsed={}, restart_epoch=95.0), 100.0)
    assert (plan.rehearse, stopped(plan)) == ((), ["web.1-g1"])


def test_what_was_stopped_for_a_release_is_placed_where_its_image_is() -> None:
    ended = container("web.1", state=State.EXITED, digest="old", stopped=True, node="n2")
    plan = plan_for({}, slot("web.1", ended))
    assert [each.prefer for each in plan.place] == ["n2"]
    same = container("web.1", state=State.EXITED, stopped=True, node="n2")
    assert [each.prefer for each in plan_for({}, slot("web.1", same)).place] == [""]


# -- start first


def test_what_starts_first_is_placed_at_once_and_asked_about_when_there_was_no_room() -> None:
    plan = plan_for({}, old("web.1"), start_first=True)
    assert (asked(plan), placed(plan), plan.place[0].leaves) == ([], [("web", 1)], "web.1-g1")
    plan = plan_for({}, old("web.1", waiting=True), start_first=True)
    assert (asked(plan), placed(plan)) == ([("web.1-g1", 1)], [])


def test_where_there_is_no_room_for_both_the_old_one_makes_way() -> None:
    plan = plan_for({"web.1": READY}, old("web.1", waiting=True), start_first=True)
    assert [each.reason for each in plan.stop] == ["replaced by a new release; there is no room for both"]
    assert plan.place == ()


def test_where_there_is_none_either_way_the_old_one_stays_and_the_others_come_first() -> None:
    answers = {"web.1": HELD}
    plan = plan_for(answers, old("web.1", waiting=True), old("web.2"), start_first=True)
    assert (placed(plan), stopped(plan)) == ([("web", 2)], [])
    plan = plan_for(answers, old("web.1", waiting=True), start_first=True)
    assert (placed(plan), plan.place[0].leaves, stopped(plan)) == ([("web", 1)], "", [])


def test_a_stage_changes_nothing_of_the_cluster() -> None:
    cluster = Cluster([node("n1", cpu=200)])
    asks = request("web")
    cluster.place([Want(asks, "web.1", "a"), Want(asks, "web.2", "b")])
    stage = Stage(cluster)
    first, second = Want(asks, "web.1", "c"), Want(replace(asks, cpu=150), "web.2", "d")
    assert stage.take_place(first, "a").node == "n1"
    assert stage.take_place(second, "b").node is None
    stage.take_back(second)
    assert [each.container for each in stage.cluster.on("n1")] == ["c", "b"]
    assert [each.container for each in cluster.on("n1")] == ["a", "b"]


# -- whole stories


def capped(replicas: int, **update: Any) -> World:
    """One on each of as many nodes."""
    nodes = {f"n{number}": node(f"n{number}") for number in range(1, replicas + 1)}
    one = service(replicas=replicas, digest="one", update=Update(**update))
    world = World(nodes, {"web": replace(one, request=request("web", max_per_node=1))})
    world.deploy("one")
    world.converge(10)
    return world


def state_of(world: World) -> RolloutState | None:
    return world.rollout.state if world.rollout else None


@pytest.mark.parametrize("parallelism", [1, 2, 0])
def test_one_on_each_node_is_updated_though_it_starts_first(parallelism: int) -> None:
    world = capped(4, start_first=True, parallelism=parallelism)
    world.deploy("two")
    served = []
    for _ in range(60):
        world.step()
        served.append(sum(each.state is State.RUNNING for each in world.live()))
        world.advance_all()
        world.now += 1.0
    assert [each.digest for each in world.live()] == ["two"] * 4
    assert state_of(world) is RolloutState.SUCCEEDED
    assert min(served) == 4 - (parallelism or 4)


def test_a_slot_without_room_holds_up_the_verdict_and_nobody_else() -> None:
    world = capped(3, parallelism=1)
    world.set_node("n1", NodeState.READY, cordoned=True)
    world.deploy("two", patience=200.0)
    world.converge(20, seconds=2.0)
    old_one = [each.node for each in world.live() if each.digest == "one"]
    assert (old_one, len(world.live()), state_of(world)) == (["n1"], 3, RolloutState.RUNNING)
    world.set_node("n1", NodeState.READY)
    world.converge(10, seconds=2.0)
    assert ([each.digest for each in world.live()], state_of(world)) == (["two"] * 3, RolloutState.SUCCEEDED)


def test_while_an_image_is_fetched_to_one_node_the_others_go_on() -> None:
    world = capped(3, parallelism=1)
    world.absent = {"n1", "n2"}
    world.deploy("two", patience=500.0)
    for missing in (["n1", "n2"], ["n1"], []):
        world.absent = set(missing)
        world.converge(12, seconds=2.0)
        assert sorted(each.node or "" for each in world.live() if each.digest == "one") == missing
        assert len(world.live()) == 3
    assert state_of(world) is RolloutState.SUCCEEDED


def test_an_image_that_no_node_can_get_takes_nothing_down() -> None:
    world = capped(3, parallelism=2, failure_action="rollback")
    world.absent, world.refused = set(world.nodes), "manifest unknown"
    world.deploy("two")
    for _ in range(30):
        world.step()
        assert [each.digest for each in world.live() if each.state is State.RUNNING] == ["one"] * 3
        world.advance_all()
        world.now += 1.0


# -- always

SHAPES = st.fixed_dictionaries(
    {
        "replicas": st.integers(1, 6),
        "parallelism": st.integers(0, 3),
        "start_first": st.booleans(),
        "room": st.sampled_from([100, 200, 300, 900]),
        "cap": st.sampled_from([0, 1]),
        "asks": st.sampled_from([100, 100, 150]),
    }
)


@pytest.mark.thorough
@MANY
@given(shape=SHAPES, data=st.data())
def test_an_update_never_takes_more_away_or_adds_more_than_its_window(
    shape: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever room there is, whenever images come, and in whatever order nodes do their work."""
    wanted, window = shape["replicas"], shape["parallelism"] or shape["replicas"]
    world = _running(shape)
    if len(world.live()) < wanted:
        return
    world.services["web"] = replace(
        world.services["web"], request=replace(world.services["web"].request, cpu=shape["asks"])
    )
    world.absent = set(data.draw(st.lists(st.sampled_from(sorted(world.nodes)))))
    world.deploy("two", patience=10_000.0)
    for turn in range(40):
        if turn == 12:
            world.absent = set()
        world.step()
        running = [each for each in world.live() if each.state is State.RUNNING]
        assert len({each.slot for each in running}) >= wanted - window
        staying = [each for each in world.live() if each.state is not State.STOPPING]
        assert len(staying) <= wanted + (window if shape["start_first"] else 0)
        assert _fits(world)
        for each in world.reachable():
            if turn > 20 or data.draw(st.booleans()):
                world.advance(each.id)
        world.now += 3.0
    if shape["asks"] == 100:
        assert [each.digest for each in world.live()] == ["two"] * wanted
        assert state_of(world) is RolloutState.SUCCEEDED


def _running(shape: dict[str, Any]) -> World:
    nodes: dict[str, Node] = {name: node(name, cpu=shape["room"]) for name in ("n1", "n2", "n3")}
    update = Update(parallelism=shape["parallelism"], start_first=shape["start_first"])
    one = service(replicas=shape["replicas"], digest="one", update=update)
    world = World(nodes, {"web": replace(one, request=request("web", max_per_node=shape["cap"]))})
    world.deploy("one")
    world.converge(6)
    return world


def _fits(world: World) -> bool:
    sums = dict.fromkeys(world.nodes, 0)
    for each in world.live():
        sums[each.node or ""] += world.held[each.id].request.cpu
    return all(held <= world.nodes[name].cpu for name, held in sums.items())
