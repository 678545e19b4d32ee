"""How a rollout ends, and the sentence that says why. Time is 100; the rollout began at 50."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from scheduler.lifecycle import State
from scheduler.model import NodeState, RolloutMove, RolloutState, ServiceView, SlotView
from scheduler.reconcile import reconcile
from scheduler.rollout_moves import MOVES, mermaid
from tests.scheduler.builders import node
from tests.scheduler.views import container, rollout, running, service, slot, stopped, view
from tests.scheduler.world import World

SUCCEEDED = RolloutMove(RolloutState.SUCCEEDED)


def verdict_on(
    slots: list[SlotView], *services: ServiceView, now: float = 100.0, **more: Any
) -> RolloutMove | None:
    return reconcile(view(list(services) or [service()], slots, rollout=rollout(), **more), now).rollout


def failed(reason: str, container: str = "") -> RolloutMove:
    return RolloutMove(RolloutState.FAILED, reason, container)


def failure(**more: Any) -> SlotView:
    values = {"state": State.FAILED, "exit_code": 1, **more}
    return slot("web.1", container("web.1", 3, **values), failures=3, not_before=104.0)


def test_it_succeeds_when_all_that_is_wanted_is_well() -> None:
    assert verdict_on([running("web.1")]) == SUCCEEDED
    assert verdict_on([running("web.1", running_since=99.0)]) is None
    assert verdict_on([running("web.1", digest="old")]) is None
    assert verdict_on([running("web.1")], service(replicas=2)) is None


def test_it_waits_for_what_is_to_go() -> None:
    gone = running("old.1")
    assert verdict_on([running("web.1"), gone]) is None
    assert verdict_on([running("web.1"), slot("old.1", container("old.1", state=State.EXITED))]) == SUCCEEDED
    away = {"n2": NodeState.DOWN}
    assert verdict_on([running("web.1"), running("old.1", node="n2")], nodes=away) == SUCCEEDED


def test_a_task_that_is_done_counts_as_well() -> None:
    once = service(restart="none")
    assert verdict_on([slot("web.1", container("web.1", state=State.EXITED))], once) == SUCCEEDED


def test_a_stopped_app_has_rolled_out() -> None:
    assert verdict_on([], service(replicas=0)) == SUCCEEDED


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "web.1 exited with code 1 three times"),
        ({"error": "boom"}, "web.1 exited with code 1 three times: boom"),
        ({"exit_code": None, "error": "no such file"}, "web.1 could not start three times: no such file"),
        ({"fatal": True, "error": "no such image"}, "web.1 cannot start: no such image"),
        (
            {"state": State.EXITED, "stopped": True, "health": "unhealthy"},
            "web.1 stayed unhealthy three times",
        ),
    ],
)
def test_it_fails_with_the_slot_and_the_cause(values: dict[str, Any], reason: str) -> None:
    assert verdict_on([failure(**values)]) == failed(reason, "web.1-g3")


def test_two_failures_are_not_enough_unless_they_are_final() -> None:
    assert verdict_on([replace(failure(), failures=2)]) is None
    final = replace(failure(fatal=True, error="no such image"), failures=1)
    assert verdict_on([final]) == failed("web.1 cannot start: no such image", "web.1-g3")


def test_a_task_that_runs_once_fails_it_at_once() -> None:
    once = replace(failure(), failures=1)
    assert verdict_on([once], service(restart="none")) == failed("web.1 exited with code 1", "web.1-g3")


def test_failures_of_the_old_release_or_from_before_do_not_count() -> None:
    assert verdict_on([failure(digest="old")]) is None
    assert verdict_on([failure(ended_at=49.0)]) is None
    assert verdict_on([failure(state=State.LOST)]) is None


def test_a_new_rollout_tries_again_what_had_failed_before_it() -> None:
    gone = failure(fatal=True, ended_at=49.0)
    plan = reconcile(view([service()], [gone], rollout=rollout()), 100.0)
    assert [each.index for each in plan.place] == [1]


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (slot("web.1"), "web.1 had no node"),
        (slot("web.1", container("web.1", state=State.PREPARING)), "web.1 was preparing"),
        (running("web.1", digest="old"), "web.1 still had its old container"),
        (running("web.1", health="starting"), "web.1 was not healthy"),
        (running("web.1", running_since=399.0), "web.1 had not been up for long enough"),
        (replace(failure(), failures=1, not_before=500.0), "web.1 waited for its next try"),
        (running("web.1", node="n2"), "web.1 was on a node that is down"),
    ],
)
def test_a_rollout_that_takes_too_long_says_what_held_it_up(held: SlotView, reason: str) -> None:
    away = {"n2": NodeState.DOWN}
    said = verdict_on([held], now=400.0, nodes=away)
    assert said == failed(f"{reason} when the time of 350 s was up")


def test_a_rollout_is_looked_at_again_when_its_time_is_up() -> None:
    waits = [slot("web.1", container("web.1", state=State.PREPARING))]
    assert reconcile(view([service()], waits, rollout=rollout()), 100.0).wake_at == 400.0


def test_old_containers_that_do_not_go_hold_it_up_too() -> None:
    slots = [running("web.1"), running("old.1")]
    assert verdict_on(slots, now=400.0) == failed(
        "old containers were still there when the time of 350 s was up"
    )


def test_a_blind_console_gives_no_verdict() -> None:
    assert verdict_on([failure()], now=400.0, frozen=True) is None


def test_after_a_failure_the_old_generation_keeps_serving() -> None:
    over = replace(rollout(), state=RolloutState.FAILED)
    slots = [running("web.1"), running("web.2", digest="old")]
    assert reconcile(view([service(replicas=2)], slots, rollout=over), 500.0).empty


def test_the_plan_that_fails_a_rollout_stops_nothing_more() -> None:
    late = reconcile(
        view([service(replicas=2)], [running("web.1"), running("web.2", digest="old")], rollout=rollout()),
        400.0,
    )
    assert late.rollout == failed("web.2 still had its old container when the time of 350 s was up")
    assert stopped(late) == []


# -- whole stories


def world(replicas: int) -> World:
    nodes = {name: node(name) for name in ("n1", "n2", "n3")}
    made = World(nodes, {"web": service(replicas=replicas, digest="one")})
    made.deploy("one")
    made.converge()
    return made


def test_six_replicas_on_three_nodes_end_two_on_each() -> None:
    cloud = world(6)
    assert sorted(each.node or "" for each in cloud.live()) == ["n1", "n1", "n2", "n2", "n3", "n3"]
    assert cloud.rollout is not None
    assert cloud.rollout.state is RolloutState.SUCCEEDED


def test_a_rolling_replacement_goes_in_order_and_never_lacks_more_than_one() -> None:
    cloud = world(3)
    cloud.deploy("two")
    order = []
    for _ in range(60):
        order += [each.container for each in cloud.step().stop]
        serving = [each for each in cloud.live() if each.state is State.RUNNING]
        assert len(serving) >= 2
        cloud.advance_all()
        cloud.now += 1.0
    assert order == ["web.1-g1", "web.2-g1", "web.3-g1"]
    assert {each.digest for each in cloud.live()} == {"two"}
    assert cloud.rollout is not None
    assert cloud.rollout.state is RolloutState.SUCCEEDED


def test_a_crash_loop_fails_the_rollout_and_leaves_the_rest_alone() -> None:
    cloud = world(3)
    cloud.deploy("two")
    verdicts, starts = [], []
    for _ in range(120):
        plan = cloud.step()
        verdicts += [plan.rollout] if plan.rollout else []
        starts += [cloud.now - 1000.0 for _ in plan.place]
        cloud.advance_all()
        for each in cloud.live():
            if each.digest == "two" and each.state is State.RUNNING:
                cloud.crash(each.id)
        cloud.now += 1.0
    assert verdicts == [failed("web.1 exited with code 1 three times", "web.1-g4")]
    assert sorted(each.digest for each in cloud.live()) == ["one", "one"]
    waits = [int(later - earlier) for earlier, later in pairwise(starts)]
    assert waits == sorted(waits)
    assert waits[-1] >= 32


def test_an_image_that_is_gone_fails_at_once_and_is_not_tried_again() -> None:
    cloud = world(2)
    cloud.deploy("two")
    generations = []
    for _ in range(30):
        cloud.step()
        cloud.advance_all()
        for each in cloud.live():
            if each.digest == "two":
                cloud.crash(each.id, fatal=True)
        generations.append(cloud.slots["web.1"].generation)
        cloud.now += 1.0
    assert max(generations) == 2
    assert cloud.rollout is not None
    assert cloud.rollout.state is RolloutState.FAILED
    assert [each.id for each in cloud.live()] == ["web.2-g1"]


def test_a_node_that_comes_back_gets_no_second_container_for_its_slots() -> None:
    cloud = world(3)
    cloud.set_node("n1", NodeState.DOWN)
    cloud.converge(5)
    moved = sorted(each.node or "" for each in cloud.live())
    assert moved == ["n2", "n2", "n3"]
    cloud.set_node("n1", NodeState.READY)
    assert cloud.converge(5).empty
    assert sorted(each.node or "" for each in cloud.live()) == moved


# -- the table of moves


def test_every_verdict_is_a_move_of_the_table_and_ends_the_rollout() -> None:
    verdicts = {target for (_state, target), owner in MOVES.items() if owner == "reconcile"}
    assert verdicts == {RolloutState.SUCCEEDED, RolloutState.FAILED, RolloutState.ROLLED_BACK}
    assert not verdicts & {state for state, _target in MOVES}
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> running"]
    assert len(lines) == 2 + len(MOVES) + 4
