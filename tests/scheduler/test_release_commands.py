"""Release commands: once, before anything else of their release. Time is 100."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.lifecycle import State
from scheduler.model import (
    CommandsEnd,
    Dependency,
    Mode,
    NodeState,
    Plan,
    RolloutState,
    ServiceView,
    SlotView,
)
from scheduler.reconcile import reconcile
from tests.scheduler.builders import node
from tests.scheduler.strategies import MANY
from tests.scheduler.views import container, placed, rollout, running, service, stopped, view
from tests.scheduler.world import World

NAME = "web.release"


def command(name: str = NAME, **more: Any) -> ServiceView:
    values = {"mode": Mode.REPLICATED_JOB, "restart": "none", "ahead": True, "command": True, **more}
    return service(name, digest="cmd", **values)


def one(state: State | None = None, **more: Any) -> SlotView:
    if state is None:
        return SlotView("c.1", NAME, 1, 0)
    made = container("c.1", 1, state, **{"digest": "cmd", **more})
    return SlotView("c.1", NAME, 1, 1, (made,), failures=int(state is State.FAILED))


def plan_for(*slots: SlotView, services: list[ServiceView] | None = None, **more: Any) -> Plan:
    return reconcile(view(services or [command(), service()], list(slots), **more), more.pop("now", 100.0))


def end(*slots: SlotView, **more: Any) -> CommandsEnd | None:
    return plan_for(*slots, **more).commands


DONE = one(State.EXITED, exit_code=0)


def test_it_is_placed_and_the_release_before_stays() -> None:
    plan = plan_for(running("web.1"))
    assert (placed(plan), plan.stop, plan.commands) == ([(NAME, 1)], (), None)


def test_it_is_done_when_it_ended_well_and_not_before() -> None:
    assert end(one(State.RUNNING), running("web.1")) is None
    assert end(one(State.STARTING, running_since=None), running("web.1")) is None
    assert end(DONE, running("web.1")) == CommandsEnd(True)
    assert end(one(State.EXITED, exit_code=0, digest="of another release"), running("web.1")) is None
    assert end(running("web.1"), services=[service()]) is None


def test_all_of_several_must_be_done() -> None:
    both = [command(), command("api.release")]
    other = SlotView("d.1", "api.release", 1, 1, (container("d.1", state=State.RUNNING, digest="cmd"),))
    assert end(DONE, other, services=both) is None
    ended = replace(other.containers[0], state=State.EXITED, ended_at=90.0)
    assert end(DONE, replace(other, containers=(ended,)), services=both) == CommandsEnd(True)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"exit_code": 3}, "web.release.1 exited with code 3"),
        ({"exit_code": 3, "error": "boom"}, "web.release.1 exited with code 3: boom"),
        ({"fatal": True, "error": "no such image"}, "web.release.1 cannot start: no such image"),
    ],
)
def test_it_fails_at_once_and_is_not_tried_again(more: dict[str, Any], reason: str) -> None:
    plan = plan_for(one(State.FAILED, **more), running("web.1"))
    assert plan.commands == CommandsEnd(False, reason, "c.1-g1")
    assert (plan.place, plan.stop) == ((), ())


def test_one_that_was_interrupted_is_not_run_again() -> None:
    plan = plan_for(one(State.EXITED, exit_code=143, stopped=True), running("web.1"))
    assert plan.commands is not None
    assert (plan.commands.ok, plan.place) == (False, ())


def test_one_whose_node_is_cut_off_is_not_run_elsewhere() -> None:
    for state in (State.ASSIGNED, State.STARTING, State.RUNNING):
        plan = plan_for(one(state, node="n2"), running("web.1"), nodes={"n2": NodeState.DOWN})
        assert (plan.place, plan.commands) == ((), None)


def test_a_restart_of_the_app_does_not_concern_it() -> None:
    plan = plan_for(one(State.RUNNING), running("web.1"), restart_epoch=95.0)
    assert stopped(plan) == ["web.1-g1"]
    assert end(DONE, running("web.1"), restart_epoch=95.0) == CommandsEnd(True)


def test_the_one_of_an_older_release_makes_way_whatever_became_of_the_last_rollout() -> None:
    older = one(State.RUNNING, digest="of another release")
    plan = plan_for(older, running("web.1"), rollout=rollout(state=RolloutState.FAILED))
    assert (stopped(plan), plan.place) == (["c.1-g1"], ())


def test_it_waits_for_what_its_service_waits_for() -> None:
    waits = command(depends_on=(Dependency("db", "healthy"),))
    services = [waits, service("db", has_healthcheck=True)]
    assert placed(plan_for(running("db.1", health="starting"), services=services)) == []
    assert placed(plan_for(running("db.1", health="healthy"), services=services)) == [(NAME, 1)]


def test_a_rollout_that_was_paused_or_failed_lets_what_serves_do() -> None:
    waits = [command(depends_on=(Dependency("db", "healthy"),)), service("db")]
    half = [running("db.1", digest="old")]
    for state in (RolloutState.PAUSED, RolloutState.FAILED):
        assert placed(plan_for(*half, services=waits, rollout=rollout(state=state))) == [(NAME, 1)]


@pytest.mark.parametrize(
    ("slots", "reason"),
    [
        ([], "web.release was not there when its time was up"),
        ([one()], "web.release waited until db is healthy when its time was up"),
        ([one(State.RUNNING)], "web.release still ran when its time was up"),
        ([one(State.PREPARING, running_since=None)], "web.release was preparing when its time was up"),
    ],
)
def test_it_can_be_late(slots: list[SlotView], reason: str) -> None:
    services = [command(depends_on=(Dependency("db", "healthy"),)), service("db", has_healthcheck=True)]
    there = [*slots, running("db.1", health="starting")]
    late = reconcile(view(services, there, commands_by=100.0), 100.0).commands
    assert late is not None
    assert (late.ok, late.reason) == (False, reason)
    early = reconcile(view(services, there, commands_by=130.0), 100.0)
    assert (early.commands, early.wake_at) == (None, 130.0)


def test_a_blind_console_does_not_judge() -> None:
    assert end(one(State.FAILED, exit_code=1), running("web.1"), frozen=True) is None


@pytest.mark.thorough
@MANY
@given(data=st.data())
def test_until_it_is_done_nothing_of_the_release_before_is_touched_and_it_heals(data: st.DataObject) -> None:
    """Whatever becomes of the command, and of what serves meanwhile."""
    nodes = {name: node(name) for name in ("n1", "n2", "n3")}
    world = World(nodes, {"web": service(replicas=3, digest="one")})
    world.deploy("one")
    world.converge(8)
    world.services[NAME] = replace(command(), digest="two")
    began = set()
    for _ in range(30):
        plan = world.step()
        assert not [each for each in plan.stop if not each.container.startswith(NAME)]
        assert {each.digest for each in plan.place if each.service == "web"} <= {"one"}
        began |= {each.id for each in world.containers() if each.slot == f"{NAME}.1"}
        assert len(began) <= 1
        world.advance_all()
        for each in world.live():
            if each.state is State.RUNNING and data.draw(st.integers(0, 9)) == 0:
                if each.slot.startswith(NAME) and data.draw(st.booleans()):
                    world.finish(each.id)
                else:
                    world.crash(each.id)
        world.now += 1.0
    assert len(began) == 1
