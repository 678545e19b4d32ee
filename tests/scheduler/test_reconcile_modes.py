"""Global services, and jobs. Time is 100."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.lifecycle import State
from scheduler.model import Counts, Mode, NewSlot, NodeState, Plan, RolloutMove, RolloutState, SlotView
from scheduler.reconcile import reconcile
from tests.scheduler.builders import node
from tests.scheduler.views import container, placed, rollout, running, service, slot, stopped, view
from tests.scheduler.world import World

READY = {"n1": NodeState.READY, "n2": NodeState.READY}


def everywhere(*slots: SlotView, eligible: tuple[str, ...] = ("n1", "n2"), **more: Any) -> Plan:
    """A plan for a global service that may be on these nodes."""
    one = service(mode=Mode.GLOBAL, eligible=eligible, **more.pop("service", {}))
    return reconcile(view([one], list(slots), **{"nodes": READY, **more}), 100.0)


def on(node: str, name: str = "web.1", **more: Any) -> SlotView:
    return slot(name, container(name, node=node, **more), node=node)


# -- global


def test_a_global_service_gets_a_slot_on_each_eligible_node() -> None:
    plan = everywhere(on("n2", "web.2"), eligible=("n3", "n2", "n1"))
    assert plan.create == (NewSlot("web", 1, "n1"), NewSlot("web", 3, "n3"))
    assert [(each.index, each.node) for each in plan.place] == [(1, "n1"), (3, "n3")]
    assert plan.counts == (Counts("web", wanted=3, well=1, live=1),)


def test_a_slot_of_a_global_service_is_filled_again_on_its_node() -> None:
    gone = replace(on("n2", state=State.FAILED, removed=True), not_before=90.0)
    [placement] = everywhere(gone, eligible=("n2",)).place
    assert (placement.index, placement.node) == (1, "n2")


def test_a_node_that_drops_out_of_the_constraints_loses_its_slot() -> None:
    plan = everywhere(on("n1"), on("n2", "web.2"), eligible=("n1",))
    assert [(each.container, each.reason) for each in plan.stop] == [("web.2-g1", "no longer wanted")]
    assert plan.counts == (Counts("web", wanted=1, well=1, live=2),)


def test_a_draining_node_loses_its_slot() -> None:
    nodes = {"n1": NodeState.READY, "n2": NodeState.DRAINING}
    plan = everywhere(on("n1"), on("n2", "web.2"), eligible=("n1",), nodes=nodes, cordoned=frozenset({"n2"}))
    assert [(each.container, each.reason) for each in plan.stop] == [
        ("web.2-g1", "its node is being drained")
    ]
    empty = replace(slot("web.2"), node="n2")
    assert everywhere(on("n1"), empty, eligible=("n1",), nodes=nodes).retire == ("web.2",)


@pytest.mark.parametrize("state", [NodeState.SUSPECT, NodeState.DOWN])
def test_a_silent_node_keeps_its_slot_and_it_is_not_replaced(state: NodeState) -> None:
    for eligible in (("n1",), ("n1", "n2")):
        plan = everywhere(on("n1"), on("n2", "web.2"), eligible=eligible, nodes={"n2": state})
        assert plan == Plan(counts=(Counts("web", wanted=1, well=1, live=1),))


def test_a_cordoned_node_keeps_what_it_has_and_gets_nothing_new() -> None:
    cordoned = frozenset({"n2"})
    old = on("n2", "web.2", digest="old")
    assert everywhere(on("n1"), old, eligible=("n1",), cordoned=cordoned).empty
    ended = on("n2", "web.2", state=State.FAILED, removed=True)
    assert everywhere(on("n1"), ended, eligible=("n1",), cordoned=cordoned).empty


def test_a_rollout_does_not_wait_for_nodes_that_take_nothing() -> None:
    old = on("n2", "web.2", digest="old")
    plan = everywhere(on("n1"), old, eligible=("n1",), cordoned=frozenset({"n2"}), rollout=rollout())
    assert plan.rollout == RolloutMove(RolloutState.SUCCEEDED)


def test_a_stopped_global_service_stops_everywhere() -> None:
    one = service(replicas=0, mode=Mode.GLOBAL, eligible=("n1", "n2"))
    nodes = {**READY, "n2": NodeState.SUSPECT}
    plan = reconcile(view([one], [on("n1"), on("n2", "web.2")], nodes=nodes), 100.0)
    assert stopped(plan) == ["web.2-g1", "web.1-g1"]


def test_slots_of_another_mode_make_way() -> None:
    plan = everywhere(running("web.1"), eligible=("n1",))
    assert (stopped(plan), plan.create) == (["web.1-g1"], (NewSlot("web", 2, "n1"),))


def test_a_node_that_joins_gets_the_service_and_one_that_drains_loses_it() -> None:
    nodes = {name: node(name) for name in ("n1", "n2")}
    cloud = World(nodes, {"web": service(mode=Mode.GLOBAL, digest="one")})
    cloud.converge(5)
    cloud.nodes["n3"] = node("n3")
    cloud.set_node("n1", NodeState.DRAINING)
    assert cloud.converge(5).empty
    assert sorted((each.slot, each.node) for each in cloud.live()) == [("web.2", "n2"), ("web.3", "n3")]
    cloud.set_node("n1", NodeState.READY)
    cloud.converge(5)
    assert sorted(each.node or "" for each in cloud.live()) == ["n1", "n2", "n3"]


# -- jobs


def job(*slots: SlotView, replicas: int = 1, now: float = 100.0, **more: Any) -> Plan:
    one = service(replicas=replicas, mode=Mode.REPLICATED_JOB, restart=more.pop("restart", "on-failure"))
    return reconcile(view([one], list(slots), **more), now)


def ended(state: State, **more: Any) -> SlotView:
    rest = {key: more.pop(key) for key in ("failures", "not_before") if key in more}
    return slot("web.1", container("web.1", state=state, removed=True, **more), **rest)


def test_a_job_runs_once_per_release() -> None:
    done = job(ended(State.EXITED))
    assert done == Plan(counts=(Counts("web", wanted=1, well=1, live=0),))
    assert placed(job(ended(State.EXITED, digest="old"))) == [("web", 1)]


def test_a_failed_job_is_tried_again_after_its_back_off() -> None:
    failed = ended(State.FAILED, failures=2, not_before=102.0)
    assert job(failed).wake_at == 102.0
    assert placed(job(failed, now=102.0)) == [("web", 1)]
    assert job(failed, now=102.0, restart="none").empty


def test_a_rollout_waits_for_its_jobs_and_when_time_is_up_is_content_with_their_running() -> None:
    succeeded = RolloutMove(RolloutState.SUCCEEDED)
    assert job(running("web.1"), rollout=rollout()).rollout is None
    assert job(ended(State.EXITED), rollout=rollout()).rollout == succeeded
    assert job(running("web.1"), rollout=rollout(), now=400.0).rollout == succeeded


def test_a_job_at_work_is_left_to_finish_on_a_draining_node() -> None:
    assert job(running("web.1", move_to="n2"), nodes={"n1": NodeState.DRAINING}).empty


def test_a_global_job_is_done_once_on_each_node() -> None:
    nodes = {name: node(name) for name in ("n1", "n2")}
    one = service(mode=Mode.GLOBAL_JOB, restart="on-failure", digest="one")
    cloud = World(nodes, {"web": one})
    cloud.deploy("one")
    ran = []
    for _ in range(20):
        cloud.step()
        cloud.advance_all()
        for each in cloud.live():
            if each.state is State.RUNNING:
                ran.append(each.node)
                cloud.finish(each.id)
        cloud.now += 5.0
    assert sorted(ran, key=str) == ["n1", "n2"]
    assert cloud.rollout is not None
    assert cloud.rollout.state is RolloutState.SUCCEEDED


def test_a_task_that_was_overtaken_is_stopped_once_the_newer_one_has_ended_well() -> None:
    newest = container("web.1", 2, State.EXITED)
    older = container("web.1", 1, digest="old", node="n2")
    for restart in ("none", "on-failure"):
        one = service(restart=restart)
        plan = reconcile(view([one], [slot("web.1", newest, older)], nodes=READY), 100.0)
        assert (stopped(plan), placed(plan)) == (["web.1-g1"], [])
