"""Drains, moves, and where the next generation shall not go. Time is 100."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.lifecycle import State
from scheduler.model import Mode, NodeState, Plan, RolloutState, SlotView, Update
from scheduler.reconcile import reconcile
from tests.scheduler.builders import node
from tests.scheduler.views import container, placed, rollout, running, service, slot, stopped, view
from tests.scheduler.world import World

DRAINING = {"n1": NodeState.DRAINING, "n2": NodeState.READY}


def plan_for(*slots: SlotView, nodes: dict[str, NodeState] | None = None, **more: Any) -> Plan:
    whole = {key: more.pop(key) for key in ("frozen", "rollout") if key in more}
    app = view([service(replicas=len(slots), **more)], list(slots), nodes=nodes or DRAINING, **whole)
    return reconcile(app, 100.0)


def test_what_drains_is_placed_elsewhere_before_it_stops() -> None:
    plan = plan_for(running("web.1"), running("web.2"))
    assert (placed(plan), stopped(plan)) == ([("web", 1)], [])
    starting = slot("web.1", container("web.1", 2, State.STARTING, node="n2"), container("web.1"))
    assert plan_for(starting, running("web.2")).empty
    taken_over = slot("web.1", container("web.1", 2, node="n2"), container("web.1"))
    plan = plan_for(taken_over, running("web.2"))
    assert (placed(plan), stopped(plan)) == ([("web", 2)], ["web.1-g1"])


def test_a_drain_goes_as_wide_as_updates_do() -> None:
    slots = [running(f"web.{index}") for index in range(1, 5)]
    assert len(plan_for(*slots, update=Update(parallelism=3)).place) == 3
    assert len(plan_for(*slots, update=Update(parallelism=0)).place) == 4


@pytest.mark.parametrize(
    "stays",
    [
        {"bound": True},
        {"exclusive": True},
        {"restart": "none"},
        {"mode": Mode.REPLICATED_JOB, "restart": "on-failure"},
        {"frozen": True},
    ],
)
def test_what_may_not_move_stays_on_a_draining_node(stays: dict[str, Any]) -> None:
    assert plan_for(running("web.1"), **stays).empty


def test_what_has_not_started_is_not_moved_yet() -> None:
    assert plan_for(slot("web.1", container("web.1", state=State.STARTING, running_since=None))).empty


def test_when_the_move_fails_the_old_one_serves_until_the_next_try() -> None:
    failed = container("web.1", 2, State.FAILED, node="n2", removed=True)
    waiting = slot("web.1", failed, container("web.1"), failures=1, not_before=101.0)
    plan = plan_for(waiting, running("web.2"))
    assert (plan.empty, plan.wake_at) == (True, 101.0)
    again = slot("web.1", failed, container("web.1"), failures=1, not_before=99.0)
    [placement] = plan_for(again).place
    assert (placement.replaces, placement.avoid) == (None, ("n2",))


def test_when_the_drain_is_called_off_the_old_one_is_good_enough() -> None:
    failed = container("web.1", 2, State.FAILED, node="n2", removed=True)
    slots = slot("web.1", failed, container("web.1"), failures=1, not_before=99.0)
    plan = plan_for(slots, nodes={"n1": NodeState.READY, "n2": NodeState.READY})
    assert plan.empty
    assert plan.counts[0].well == 1


def test_a_release_that_is_halted_does_not_spread_by_a_drain() -> None:
    over = rollout(state=RolloutState.FAILED)
    assert plan_for(running("web.1", digest="old"), rollout=over).empty
    assert placed(plan_for(running("web.1"), rollout=over)) == [("web", 1)]


def test_a_move_asks_for_its_target_and_not_for_where_it_was() -> None:
    ready = {"n1": NodeState.READY, "n2": NodeState.READY}
    [placement] = plan_for(running("web.1", move_to="n2"), nodes=ready).place
    assert (placement.prefer, placement.avoid, placement.replaces) == ("n2", ("n1",), None)
    assert plan_for(running("web.1", move_to="n1"), nodes=ready).empty
    assert plan_for(running("web.1", move_to="n2"), nodes={**ready, "n2": NodeState.SUSPECT}).empty


def test_a_move_whose_target_failed_is_over() -> None:
    failed = container("web.1", 2, State.FAILED, node="n2")
    ready = {"n1": NodeState.READY, "n2": NodeState.READY}
    moved = slot("web.1", failed, container("web.1", move_to="n2"), failures=1, not_before=99.0)
    assert plan_for(moved, nodes=ready).place == ()


def test_a_move_whose_target_failed_is_not_asked_for_by_a_drain() -> None:
    failed = container("web.1", 2, State.FAILED, node="n2")
    moved = slot("web.1", failed, container("web.1", move_to="n2"), failures=1, not_before=99.0)
    [placement] = plan_for(moved).place
    assert (placement.prefer, placement.avoid) == ("", ("n2", "n1"))


def test_the_next_generation_avoids_nodes_where_the_slot_failed() -> None:
    failed = [
        container("web.1", 4, State.FAILED, node="n3", removed=True),
        container("web.1", 3, State.EXITED, node="n1", stopped=True, health="unhealthy"),
        container("web.1", 2, State.EXITED, node="n2", stopped=True),
        container("web.1", 1, State.FAILED, node="n3"),
    ]
    [placement] = plan_for(slot("web.1", *failed)).place
    assert placement.avoid == ("n3", "n1")


# -- whole stories


def test_a_drained_node_ends_empty_and_no_slot_is_ever_without_a_well_one() -> None:
    cloud = World({name: node(name) for name in ("n1", "n2", "n3")}, {"web": service(replicas=6)})
    cloud.converge(5)
    cloud.set_node("n1", NodeState.DRAINING)
    for _ in range(40):
        cloud.step()
        assert sum(each.state is State.RUNNING for each in cloud.live()) >= 6
        assert len(cloud.live()) <= 6 + 2
        cloud.advance_all()
        cloud.now += 1.0
    assert cloud.plan().empty
    assert sorted(each.node or "" for each in cloud.live()) == ["n2"] * 3 + ["n3"] * 3


def test_what_finds_no_room_elsewhere_stays() -> None:
    cloud = World({name: node(name, cpu=100) for name in ("n1", "n2")}, {"web": service(replicas=2)})
    cloud.converge(5)
    cloud.set_node("n1", NodeState.DRAINING)
    cloud.converge(5)
    assert sorted(each.node or "" for each in cloud.live()) == ["n1", "n2"]


def test_a_planned_move_goes_to_its_node() -> None:
    cloud = World({name: node(name) for name in ("n1", "n2", "n3")}, {"web": service(replicas=3)})
    cloud.converge(5)
    [one] = [each for each in cloud.live() if each.node == "n1"]
    cloud.change(one.id, move_to="n2")
    cloud.converge(5)
    assert cloud.plan().empty
    assert sorted(each.node or "" for each in cloud.live()) == ["n2", "n2", "n3"]
