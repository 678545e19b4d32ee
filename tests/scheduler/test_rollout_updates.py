"""Compose's update_config and rollback_config. Time is 100; the rollout began at 50."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.lifecycle import State
from scheduler.model import NodeState, Plan, RolloutMove, RolloutState, SlotView, Update
from scheduler.reconcile import reconcile
from tests.scheduler.views import container, placed, rollout, running, service, slot, stopped, view


def plan_for(*slots: SlotView, now: float = 100.0, **more: Any) -> Plan:
    """Of one service with these slots and this update_config."""
    keys = ("rollout", "nodes", "restart_epoch")
    whole = {key: more.pop(key) for key in keys if key in more}
    rest = {key: more.pop(key) for key in ("bound", "exclusive", "has_healthcheck", "restart") if key in more}
    one = service(replicas=len(slots), update=Update(**more), **rest)
    return reconcile(view([one], list(slots), **whole), now)


def old(name: str, **more: Any) -> SlotView:
    return running(name, digest="old", **more)


def olds(number: int) -> list[SlotView]:
    return [old(f"web.{index}") for index in range(1, number + 1)]


def beside(newer: State, **more: Any) -> SlotView:
    """web.1 with its old container and a new one."""
    rest = {key: more.pop(key) for key in ("failures", "not_before") if key in more}
    values = {"running_since": None, **more}
    return slot("web.1", container("web.1", 2, newer, **values), container("web.1", digest="old"), **rest)


# -- how many at once, and how fast


@pytest.mark.parametrize(("parallelism", "stops"), [(1, 1), (2, 2), (3, 3), (9, 4), (0, 4)])
def test_so_many_go_at_once(parallelism: int, stops: int) -> None:
    assert len(stopped(plan_for(*olds(4), parallelism=parallelism))) == stops


def test_a_slot_under_way_is_one_of_them() -> None:
    fresh = slot("web.1", container("web.1", 2, State.STARTING, running_since=None))
    assert stopped(plan_for(fresh, *olds(4)[1:], parallelism=2)) == ["web.2-g1"]


def test_no_well_one_goes_while_as_many_lack_one() -> None:
    silent = old("web.1", health="unhealthy", unhealthy_since=95.0, node="n2")
    slots, nodes = (silent, old("web.2"), old("web.3")), {"n2": NodeState.SUSPECT}
    assert plan_for(*slots, nodes=nodes).empty
    assert stopped(plan_for(*slots, nodes=nodes, parallelism=2)) == ["web.2-g1"]


def test_the_next_batch_waits_for_the_delay() -> None:
    fresh = running("web.1", running_since=80.0)
    plan = plan_for(fresh, old("web.2"), delay=30.0)
    assert (plan.empty, plan.wake_at) == (True, 112.0)
    assert stopped(plan_for(fresh, old("web.2"), delay=30.0, now=112.0)) == ["web.2-g1"]
    checked = running("web.1", health="healthy", healthy_since=95.0)
    plan = plan_for(checked, old("web.2"), delay=30.0, has_healthcheck=True, monitor=0.0)
    assert (plan.empty, plan.wake_at) == (True, 125.0)


def test_a_container_has_to_be_up_for_as_long_as_it_is_monitored() -> None:
    fresh = running("web.1", running_since=95.0)
    plan = plan_for(fresh, old("web.2"), monitor=10.0)
    assert (plan.empty, plan.wake_at) == (True, 105.0)


# -- start first


def test_the_new_one_is_started_first_and_the_old_one_stops_once_it_is_well() -> None:
    plan = plan_for(*olds(2), start_first=True)
    assert (placed(plan), stopped(plan)) == ([("web", 1)], [])
    assert plan_for(beside(State.STARTING), old("web.2"), start_first=True).empty
    young = beside(State.RUNNING, running_since=99.0)
    assert plan_for(young, old("web.2"), start_first=True).wake_at == 101.0
    plan = plan_for(young, old("web.2"), start_first=True, now=101.0)
    assert (placed(plan), stopped(plan)) == ([("web", 2)], ["web.1-g1"])


def test_the_old_one_stays_until_the_new_one_is_known_to_serve() -> None:
    away = beside(State.RUNNING, running_since=50.0, node="n2")
    assert plan_for(away, old("web.2"), start_first=True, nodes={"n2": NodeState.SUSPECT}).empty
    gone = plan_for(away, old("web.2"), start_first=True, nodes={"n2": NodeState.DOWN})
    assert [each.replaces for each in gone.place] == ["web.1-g2"]
    assert gone.stop == ()


@pytest.mark.parametrize("alone", [{"bound": True}, {"exclusive": True}, {"restart": "none"}])
def test_what_must_be_alone_never_starts_first(alone: dict[str, Any]) -> None:
    plan = plan_for(old("web.1"), start_first=True, **alone)
    assert (placed(plan), stopped(plan)) == ([], ["web.1-g1"])
    stopping = slot("web.1", container("web.1", state=State.STOPPING, digest="old"))
    assert plan_for(stopping, start_first=True, **alone).empty


def test_a_restart_starts_first_as_well() -> None:
    plan = plan_for(running("web.1"), start_first=True, restart_epoch=95.0)
    assert (placed(plan), stopped(plan)) == ([("web", 1)], [])


def test_what_does_not_run_makes_way_at_once() -> None:
    plan = plan_for(
        slot("web.1", container("web.1", state=State.STARTING, digest="old", running_since=None)),
        start_first=True,
    )
    assert (placed(plan), stopped(plan)) == ([], ["web.1-g1"])


def test_while_the_new_one_fails_the_old_one_serves() -> None:
    waiting = beside(State.FAILED, failures=1, not_before=101.0)
    plan = plan_for(waiting, old("web.2"), start_first=True)
    assert (replace(plan, remove=()).empty, plan.wake_at) == (True, 101.0)
    assert placed(plan_for(waiting, old("web.2"), start_first=True, now=101.0)) == [("web", 1)]


def test_a_slot_that_was_tried_goes_before_the_next_one() -> None:
    again = slot(
        "web.2",
        container("web.2", 2, State.FAILED, removed=True),
        container("web.2", digest="old"),
        failures=1,
    )
    assert placed(plan_for(old("web.1"), again, start_first=True)) == [("web", 2)]


def test_of_three_generations_the_best_that_serves_is_kept() -> None:
    three = slot(
        "web.1",
        container("web.1", 3, State.STARTING, running_since=None),
        container("web.1", 2, digest="older", health="unhealthy", unhealthy_since=99.0),
        container("web.1", 1, digest="old"),
    )
    assert stopped(plan_for(three, start_first=True)) == ["web.1-g2"]


def test_a_newer_release_still_goes_past_one_that_was_under_way() -> None:
    half = slot(
        "web.1",
        container("web.1", 2, State.STARTING, digest="older", running_since=None),
        container("web.1", 1, digest="old"),
    )
    assert stopped(plan_for(half, start_first=True)) == ["web.1-g2"]


def test_an_old_one_that_fails_meanwhile_is_stopped_and_does_not_count_against_the_slot() -> None:
    slots = slot(
        "web.1",
        container("web.1", 2, State.STARTING, running_since=None),
        container("web.1", 1, digest="old", restarts=5),
    )
    [stop] = plan_for(slots, start_first=True).stop
    assert (stop.container, stop.failure) == ("web.1-g1", False)


def test_going_back_finds_the_old_one_still_there() -> None:
    """The new release's container failed; the wanted digest is the old one's again."""
    slots = slot("web.1", container("web.1", 2, State.FAILED, digest="bad"), container("web.1"))
    plan = plan_for(slots, start_first=True, rollout=rollout(rollback=True))
    assert plan.rollout == RolloutMove(RolloutState.SUCCEEDED)
    assert (plan.place, plan.stop) == ((), ())
    starting = slot("web.1", container("web.1", 2, State.STARTING, digest="bad"), container("web.1"))
    assert stopped(plan_for(starting, start_first=True)) == ["web.1-g2"]


# -- failures


def given_up(name: str = "web.1") -> SlotView:
    return slot(name, container(name, 3, State.FAILED, exit_code=1), failures=3, not_before=104.0)


REASON = "web.1 exited with code 1 three times"
FAILED = RolloutMove(RolloutState.FAILED, REASON, "web.1-g3")


@pytest.mark.parametrize(
    ("action", "view_of_it", "state"),
    [
        ("pause", {}, RolloutState.FAILED),
        ("pause", {"can_roll_back": True}, RolloutState.FAILED),
        ("rollback", {"can_roll_back": True}, RolloutState.ROLLED_BACK),
        ("rollback", {}, RolloutState.FAILED),
        ("rollback", {"can_roll_back": True, "rollback": True}, RolloutState.FAILED),
    ],
)
def test_the_failure_action(action: str, view_of_it: dict[str, bool], state: RolloutState) -> None:
    plan = plan_for(given_up(), old("web.2"), failure_action=action, rollout=rollout(**view_of_it))
    assert plan.rollout == RolloutMove(state, REASON, "web.1-g3")
    assert plan.stop == ()


def test_a_rollout_that_takes_too_long_is_rolled_back_as_well() -> None:
    app = rollout(can_roll_back=True)
    late = plan_for(old("web.1"), failure_action="rollback", rollout=app, now=400.0).rollout
    assert late is not None
    assert late.state is RolloutState.ROLLED_BACK


def test_so_many_failures_are_put_up_with() -> None:
    half: dict[str, Any] = {"max_failure_ratio": 0.5, "rollout": rollout()}
    assert stopped(plan_for(given_up(), old("web.2"), **half)) == ["web.2-g1"]
    both = plan_for(given_up("web.1"), given_up("web.2"), **half).rollout
    assert both == RolloutMove(RolloutState.FAILED, f"{REASON} (and 1 more)", "web.1-g3")
    done = plan_for(given_up(), running("web.2"), **half).rollout
    assert done == RolloutMove(RolloutState.SUCCEEDED, REASON)


def test_continue_goes_through_all_slots_and_then_tells_of_the_failure() -> None:
    go_on: dict[str, Any] = {"failure_action": "continue", "rollout": rollout()}
    plan = plan_for(given_up(), old("web.2"), **go_on)
    assert (plan.rollout, stopped(plan)) == (None, ["web.2-g1"])
    assert plan_for(given_up(), running("web.2"), **go_on).rollout == FAILED


def test_after_a_failure_what_served_beside_the_new_one_serves_on() -> None:
    slots = beside(State.FAILED, failures=3, not_before=99.0, exit_code=1, removed=True)
    assert plan_for(slots, start_first=True, rollout=rollout(state=RolloutState.FAILED)).empty


def test_a_slot_that_gave_up_beside_its_old_one_rests_and_ends_the_rollout_when_the_rest_is_done() -> None:
    rests = beside(State.FAILED, failures=3, not_before=99.0, exit_code=1, removed=True)
    go_on: dict[str, Any] = {"failure_action": "continue", "start_first": True, "rollout": rollout()}
    assert placed(plan_for(rests, old("web.2"), **go_on)) == [("web", 2)]
    assert plan_for(rests, running("web.2"), **go_on).rollout == replace(FAILED, container="web.1-g2")


def test_a_slot_that_gave_up_has_done_so_while_it_is_tried_once_more() -> None:
    once_more = slot("web.1", container("web.1", 4, State.STARTING, running_since=None), failures=3)
    end = plan_for(once_more, running("web.2"), failure_action="continue", rollout=rollout()).rollout
    assert end == RolloutMove(RolloutState.FAILED, "web.1 failed three times", "web.1-g4")


# -- paused


def test_a_paused_rollout_replaces_nothing_and_does_not_end() -> None:
    paused = rollout(state=RolloutState.PAUSED)
    plan = plan_for(running("web.1"), old("web.2"), rollout=paused, now=500.0)
    assert (plan.empty, plan.wake_at) == (True, None)
    assert placed(plan_for(slot("web.1"), old("web.2"), rollout=paused)) == [("web", 1)]
