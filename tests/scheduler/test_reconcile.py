"""Rules of reconcile, one by one. Time is 100 unless a test says otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    Counts,
    NewSlot,
    NodeState,
    Plan,
    ServiceView,
    SlotView,
    StopContainer,
)
from scheduler.reconcile import reconcile
from tests.scheduler.views import (
    container,
    placed,
    replaced,
    running,
    service,
    slot,
    stopped,
    view,
)

NOW = 100.0
DOWN = {"n1": NodeState.DOWN}


def plan_for(services: list[ServiceView], slots: list[SlotView], **more: Any) -> Plan:
    return reconcile(view(services, slots, **more), NOW)


# -- how many


def test_missing_slots_are_made_and_filled_in_one_plan() -> None:
    plan = plan_for([service(replicas=3)], [running("web.2")])
    assert plan.create == (NewSlot("web", 1), NewSlot("web", 3))
    assert placed(plan) == [("web", 1), ("web", 3)]
    assert [each.digest for each in plan.place] == ["new", "new"]


def test_an_app_that_is_as_wanted_asks_for_nothing() -> None:
    plan = plan_for([service(replicas=2)], [running("web.1"), running("web.2")])
    assert plan == Plan(counts=(Counts("web", wanted=2, well=2, live=2),))


def test_the_highest_slots_go_first() -> None:
    plan = plan_for([service(replicas=1)], [running(f"web.{i}") for i in (2, 3, 1)])
    assert plan.stop == (
        StopContainer("web.3-g1", "no longer wanted"),
        StopContainer("web.2-g1", "no longer wanted"),
    )


def test_a_slot_is_retired_once_nothing_of_it_is_left() -> None:
    ended = container("web.1", state=State.EXITED)
    plan = plan_for([service(replicas=0)], [slot("web.1", ended)])
    assert (plan.remove, plan.retire) == (("web.1-g1",), ())
    plan = plan_for([service(replicas=0)], [slot("web.1", replace(ended, removing=True))])
    assert plan.empty
    plan = plan_for([service(replicas=0)], [slot("web.1", replace(ended, removed=True))])
    assert (plan.remove, plan.retire) == ((), ("web.1",))


def test_slots_of_a_service_that_is_gone_are_cleared() -> None:
    plan = plan_for([], [running("web.1"), slot("web.2")])
    assert (stopped(plan), plan.retire) == (["web.1-g1"], ("web.2",))


def test_an_older_generation_beside_a_newer_one_is_stopped() -> None:
    plan = plan_for([service()], [slot("web.1", container("web.1", 2), container("web.1", 1))])
    assert plan.stop == (StopContainer("web.1-g1", "superseded by generation 2"),)


def test_what_has_ended_is_removed_where_its_node_can_be_reached() -> None:
    slots = [slot("web.1", container("web.1", 2), container("web.1", 1, State.LOST))]
    assert plan_for([service()], slots).remove == ("web.1-g1",)
    slots = [slot("web.1", container("web.1", 2, node="n2"), container("web.1", 1, State.LOST))]
    states = {"n2": NodeState.READY}
    assert plan_for([service()], slots, nodes={**states, **DOWN}).remove == ()


# -- restarts


def ended(state: State = State.FAILED, **more: Any) -> SlotView:
    rest = {key: more.pop(key) for key in ("failures", "not_before") if key in more}
    return slot("web.1", container("web.1", state=state, removed=True, **more), **rest)


@pytest.mark.parametrize(
    ("policy", "state", "stopped_by_us", "again"),
    [
        ("any", State.EXITED, False, True),
        ("any", State.FAILED, False, True),
        ("any", State.LOST, False, True),
        ("on-failure", State.EXITED, False, False),
        ("on-failure", State.EXITED, True, True),
        ("on-failure", State.FAILED, False, True),
        ("on-failure", State.LOST, False, True),
        ("none", State.EXITED, False, False),
        ("none", State.EXITED, True, True),
        ("none", State.FAILED, False, False),
        ("none", State.LOST, False, False),
    ],
)
def test_the_restart_policy_decides(policy: str, state: State, stopped_by_us: bool, again: bool) -> None:
    plan = plan_for([service(restart=policy)], [ended(state, stopped=stopped_by_us)])
    assert placed(plan) == ([("web", 1)] if again else [])


def test_a_task_that_was_stopped_as_a_failure_is_not_run_again() -> None:
    assert plan_for([service(restart="none")], [ended(State.EXITED, stopped=True, failures=1)]).empty


def test_a_task_that_never_ran_is_tried_again() -> None:
    plan = plan_for([service(restart="none")], [ended(State.LOST, running_since=None)])
    assert placed(plan) == [("web", 1)]


def test_a_new_release_fills_whatever_the_policy_says() -> None:
    plan = plan_for([service(restart="none")], [ended(State.EXITED, digest="old", fatal=True)])
    assert placed(plan) == [("web", 1)]


@pytest.mark.parametrize(("attempts", "failures", "again"), [(0, 99, True), (2, 2, True), (2, 3, False)])
def test_so_many_failures_in_a_row_are_followed_by_another_try(
    attempts: int, failures: int, again: bool
) -> None:
    plan = plan_for([service(restart="on-failure", attempts=attempts)], [ended(failures=failures)])
    assert placed(plan) == ([("web", 1)] if again else [])


def test_a_slot_waits_for_its_back_off() -> None:
    waiting = ended(failures=3, not_before=104.0)
    plan = plan_for([service()], [waiting])
    assert (plan.empty, plan.wake_at) == (True, 104.0)
    assert placed(reconcile(view([service()], [waiting]), 104.0)) == [("web", 1)]


def test_a_slot_waits_for_what_still_stops_in_it_where_that_can_be_known() -> None:
    stopping = container("web.1", 1, State.STOPPING, digest="old", node="n2")
    due = slot("web.1", container("web.1", 2, State.FAILED, removed=True), stopping)
    assert plan_for([service()], [due], nodes={"n2": NodeState.SUSPECT}).empty
    assert placed(plan_for([service()], [due], nodes={"n2": NodeState.DOWN})) == [("web", 1)]


def test_a_new_digest_does_not_wait() -> None:
    plan = plan_for([service()], [ended(failures=9, not_before=400.0, digest="old")])
    assert placed(plan) == [("web", 1)]


def test_what_cannot_help_is_not_tried_again() -> None:
    gone = ended(fatal=True, running_since=None, error="no such image")
    assert plan_for([service()], [gone]).empty
    assert placed(plan_for([service(restart_epoch=95.0)], [gone])) == [("web", 1)]


def test_a_container_that_stays_unhealthy_is_stopped_as_a_failure() -> None:
    sick = [running("web.1", health="unhealthy", unhealthy_since=80.0)]
    plan = plan_for([service()], sick)
    assert (plan.empty, plan.wake_at) == (True, 110.0)
    plan = reconcile(view([service()], sick), 110.0)
    assert plan.stop == (StopContainer("web.1-g1", "it was unhealthy for 30 s", failure=True),)


def test_a_container_that_its_engine_restarts_too_often_is_stopped_as_a_failure() -> None:
    plan = plan_for([service()], [running("web.1", restarts=5)])
    assert plan.stop == (
        StopContainer("web.1-g1", "the engine restarted it 5 times within ten minutes", failure=True),
    )
    assert plan_for([service()], [running("web.1", restarts=4)]).empty


# -- nodes that are gone


def test_a_container_whose_node_is_down_is_replaced_at_once() -> None:
    plan = plan_for([service()], [running("web.1")], nodes=DOWN)
    assert [each.replaces for each in replaced(plan)] == ["web.1-g1"]
    assert placed(plan) == [("web", 1)]


def test_a_node_that_is_only_suspect_keeps_its_containers() -> None:
    assert plan_for([service()], [running("web.1")], nodes={"n1": NodeState.SUSPECT}).empty


def test_a_node_that_is_not_known_is_down() -> None:
    plan = plan_for([service()], [running("web.1", node="n9")])
    assert len(replaced(plan)) == 1


def test_nothing_is_replaced_while_the_console_is_blind() -> None:
    assert plan_for([service()], [running("web.1")], nodes=DOWN, frozen=True).empty


@pytest.mark.parametrize("state", [State.RUNNING, State.STOPPING, State.ASSIGNED])
def test_what_is_bound_waits_for_its_node(state: State) -> None:
    bound = slot("web.1", container("web.1", state=state))
    assert plan_for([service(bound=True)], [bound], nodes=DOWN).empty


def test_a_task_that_runs_once_is_not_run_twice_for_a_lost_node() -> None:
    assert plan_for([service(restart="none")], [running("web.1")], nodes=DOWN).empty
    waiting = slot("web.1", container("web.1", state=State.ASSIGNED, running_since=None))
    assert len(replaced(plan_for([service(restart="none")], [waiting], nodes=DOWN))) == 1


def test_a_container_that_stops_is_left_alone() -> None:
    stopping = slot("web.1", container("web.1", state=State.STOPPING))
    assert plan_for([service()], [stopping]).empty
    assert plan_for([service(replicas=0)], [stopping], nodes=DOWN).empty
    assert len(replaced(plan_for([service()], [stopping], nodes=DOWN))) == 1


# -- one at a time


def old(name: str, **more: Any) -> SlotView:
    return running(name, digest="old", **more)


def next_stop(*slots: SlotView, at: float = NOW, **more: Any) -> list[str]:
    app: AppView = view([service(replicas=len(slots), **more)], list(slots))
    return stopped(reconcile(app, at))


def test_a_new_release_replaces_one_slot_after_the_other() -> None:
    assert next_stop(old("web.1"), old("web.2")) == ["web.1-g1"]
    assert (
        next_stop(slot("web.1", container("web.1", state=State.STOPPING, digest="old")), old("web.2")) == []
    )
    gone = slot("web.1", container("web.1", state=State.EXITED, digest="old"))
    assert next_stop(gone, old("web.2")) == []
    fresh = slot("web.1", container("web.1", 2, State.STARTING, running_since=None))
    assert next_stop(fresh, old("web.2")) == []
    young = running("web.1", running_since=99.0)
    assert next_stop(young, old("web.2")) == []
    assert next_stop(young, old("web.2"), at=101.0) == ["web.2-g1"]
    assert next_stop(running("web.1"), running("web.2")) == []


def test_with_a_health_check_the_next_one_waits_for_good_health() -> None:
    checked = {"has_healthcheck": True}
    assert next_stop(running("web.1", health="starting"), old("web.2"), **checked) == []
    assert next_stop(running("web.1", health="healthy"), old("web.2"), **checked) == ["web.2-g1"]


def test_of_the_old_ones_the_one_that_does_not_serve_goes_first() -> None:
    assert next_stop(old("web.1"), old("web.2", health="unhealthy")) == ["web.2-g1"]


def test_a_slot_that_is_down_moves_on_though_another_fails() -> None:
    failing = slot("web.1", container("web.1", 2, State.FAILED), not_before=130.0)
    down = slot("web.2", container("web.2", state=State.FAILED, digest="old"), not_before=130.0)
    plan = plan_for([service(replicas=3)], [failing, down, old("web.3")])
    assert (placed(plan), stopped(plan)) == ([("web", 2)], [])


def test_one_that_is_stopped_as_a_failure_counts_as_the_one() -> None:
    assert next_stop(old("web.1"), old("web.2", restarts=5)) == ["web.2-g1"]


def test_a_slot_that_is_being_made_counts_as_the_one() -> None:
    plan = plan_for([service(replicas=2)], [old("web.1")])
    assert (placed(plan), stopped(plan)) == ([("web", 2)], [])


def test_the_next_look_is_when_a_young_container_counts_as_well() -> None:
    plan = plan_for([service(replicas=2)], [running("web.1", running_since=99.5), old("web.2")])
    assert (plan.empty, plan.wake_at) == (True, 101.5)


@pytest.mark.parametrize("state", [NodeState.SUSPECT, NodeState.DOWN])
def test_what_cannot_be_reached_is_not_stopped_for_a_release(state: NodeState) -> None:
    plan = plan_for([service(bound=True)], [old("web.1")], nodes={"n1": state})
    assert plan.empty


def test_one_that_still_stops_on_a_silent_node_counts_as_the_one() -> None:
    stopping = slot("web.1", container("web.1", state=State.STOPPING, digest="old", node="n2"))
    silent = {"n2": NodeState.SUSPECT}
    assert plan_for([service(replicas=2)], [stopping, old("web.2")], nodes=silent).empty


def test_services_are_replaced_side_by_side() -> None:
    plan = plan_for([service("web"), service("db")], [old("web.1"), old("db.1")])
    assert stopped(plan) == ["db.1-g1", "web.1-g1"]


def test_a_node_lost_in_a_rollout_counts_as_the_one() -> None:
    plan = plan_for(
        [service(replicas=2)], [old("web.1", node="n2"), old("web.2")], nodes={"n2": NodeState.DOWN}
    )
    assert (placed(plan), stopped(plan)) == ([("web", 1)], [])


def test_a_restart_takes_one_after_the_other_well_or_not() -> None:
    sick = running("web.1", health="unhealthy", unhealthy_since=90.0)
    asked = {"restart_epoch": 95.0}
    assert next_stop(sick, running("web.2"), **asked) == ["web.1-g1"]
    assert next_stop(running("web.1", running_since=96.0), running("web.2"), **asked) == ["web.2-g1"]
    assert next_stop(running("web.1", running_since=99.0), running("web.2"), **asked) == []


def test_a_restart_of_the_whole_app() -> None:
    plan = plan_for([service()], [running("web.1")], restart_epoch=95.0)
    assert plan.stop == (StopContainer("web.1-g1", "restart asked for"),)


def test_what_a_restart_stopped_runs_again_even_if_it_runs_once() -> None:
    plan = plan_for([service(restart="none", restart_epoch=95.0)], [ended(State.EXITED, stopped=True)])
    assert placed(plan) == [("web", 1)]


# -- counts


def test_counts_tell_well_from_live() -> None:
    slots = [
        running("web.1"),
        old("web.2"),
        slot("web.3", container("web.3", state=State.STARTING, running_since=None)),
        slot("web.4", container("web.4", state=State.FAILED)),
        slot("web.5", container("web.5", 2), container("web.5", 1, State.STOPPING)),
    ]
    [counts] = plan_for([service(replicas=5)], slots).counts
    assert counts == Counts("web", wanted=5, well=2, live=5, due=1)
