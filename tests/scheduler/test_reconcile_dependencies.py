"""Compose's depends_on: web waits for db. Time is 100; the rollout began at 50."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.lifecycle import State
from scheduler.model import Dependency, Plan, RolloutMove, RolloutState, ServiceView, SlotView
from scheduler.reconcile import reconcile
from tests.scheduler.builders import node
from tests.scheduler.views import container, placed, rollout, running, service, slot, stopped, view
from tests.scheduler.world import World

STARTING = slot("db.1", container("db.1", state=State.STARTING, running_since=None))
DONE = slot("db.1", container("db.1", state=State.EXITED, removed=True))
FAILED = slot("db.1", container("db.1", state=State.FAILED, fatal=True, removed=True, running_since=None))


def web(condition: str = "started", **more: Any) -> ServiceView:
    return service("web", depends_on=(Dependency("db", condition, **more),))


def plan_for(one: ServiceView, *slots: SlotView, now: float = 100.0, **more: Any) -> Plan:
    db = more.pop("db", service("db", restart="on-failure"))
    return reconcile(view([one, db], list(slots), **more), now)


@pytest.mark.parametrize(
    ("condition", "db", "goes"),
    [
        ("started", STARTING, False),
        ("started", running("db.1", running_since=99.0), True),
        ("started", running("db.1", digest="old"), False),
        ("started", DONE, True),
        ("healthy", running("db.1", running_since=99.0), False),
        ("healthy", running("db.1"), True),
        ("healthy", running("db.1", health="starting"), False),
        ("completed", running("db.1"), False),
        ("completed", DONE, True),
        ("completed", FAILED, False),
    ],
)
def test_the_first_container_waits_for_the_condition(condition: str, db: SlotView, goes: bool) -> None:
    plan = plan_for(web(condition), db)
    assert [each for each in placed(plan) if each[0] == "web"] == ([("web", 1)] if goes else [])
    assert [each.index for each in plan.create] == [1]


def test_the_plan_says_what_is_waited_for() -> None:
    waits = {each.service: each.waits for each in plan_for(web("healthy"), STARTING).counts}
    assert waits == {"db": "", "web": "waits until db is healthy"}
    waits = {each.service: each.waits for each in plan_for(web(), STARTING, running("web.1")).counts}
    assert waits == {"db": "", "web": ""}


def test_an_update_waits_until_the_dependency_is_updated() -> None:
    old = running("web.1", digest="old")
    assert stopped(plan_for(web(), running("db.1", digest="old"), old)) == ["db.1-g1"]
    assert stopped(plan_for(web(), running("db.1"), old)) == ["web.1-g1"]


def test_what_crashed_does_not_wait_to_come_back() -> None:
    crashed = slot("web.1", container("web.1", state=State.FAILED, removed=True))
    assert placed(plan_for(web(), STARTING, crashed)) == [("web", 1)]


def test_what_was_stopped_with_its_app_starts_in_order_again() -> None:
    rested = slot("web.1", container("web.1", state=State.EXITED, stopped=True, removed=True))
    assert placed(plan_for(web(), STARTING, rested)) == []
    assert placed(plan_for(web(), running("db.1"), rested)) == [("web", 1)]


def test_a_stopped_or_missing_dependency_holds_nothing_up() -> None:
    assert placed(plan_for(web("healthy"), db=service("db", replicas=0))) == [("web", 1)]
    assert placed(reconcile(view([web("healthy")], []), 100.0)) == [("web", 1)]


def test_one_that_is_not_required_may_have_given_up() -> None:
    assert placed(plan_for(web(), FAILED)) == []
    assert placed(plan_for(web(required=False), FAILED)) == [("web", 1)]
    assert placed(plan_for(web(required=False), STARTING)) == []


def test_a_circle_does_not_hang() -> None:
    db = service("db", depends_on=(Dependency("web"),))
    assert placed(plan_for(web(), db=db)) == [("db", 1), ("web", 1)]


def test_after_a_failed_rollout_what_still_serves_is_good_enough() -> None:
    over = rollout(state=RolloutState.FAILED)
    crashed = slot("web.1", container("web.1", state=State.FAILED, digest="old", removed=True))
    plan = plan_for(web("healthy"), running("db.1", digest="old"), crashed, rollout=over)
    assert placed(plan) == [("web", 1)]


def test_a_late_rollout_names_what_was_waited_for() -> None:
    api = service("api", depends_on=(Dependency("db", "healthy"),))
    sick = running("db.1", health="starting")
    late = reconcile(view([api, service("db")], [sick, slot("api.1")], rollout=rollout()), 400.0)
    reason = "api.1 waited until db is healthy when the time of 350 s was up"
    assert late.rollout == RolloutMove(RolloutState.FAILED, reason)


# -- restarts


def test_a_restart_of_the_dependency_takes_this_one_along_after_it() -> None:
    db = service("db", restart_epoch=95.0)
    plan = plan_for(web(restart=True), running("db.1"), running("web.1"), db=db)
    assert stopped(plan) == ["db.1-g1"]
    assert [each.waits for each in plan.counts] == ["", "waits until db has restarted"]
    fresh = running("db.1", running_since=96.0)
    assert stopped(plan_for(web(restart=True), fresh, running("web.1"), db=db)) == ["web.1-g1"]
    assert plan_for(web(), fresh, running("web.1"), db=db).empty


# -- a whole story


def test_an_app_comes_up_in_order() -> None:
    services = [
        service("web", replicas=2, depends_on=(Dependency("api", "healthy"),)),
        service("api", has_healthcheck=True, depends_on=(Dependency("init", "completed"),)),
        service("init", restart="on-failure"),
    ]
    cloud = World({"n1": node("n1")}, {each.name: each for each in services})
    cloud.deploy("one")
    order = []
    for _ in range(30):
        order += [each.service for each in cloud.step().place]
        cloud.advance_all()
        for each in cloud.live():
            if each.state is State.RUNNING:
                if each.slot == "init.1":
                    cloud.finish(each.id)
                else:
                    cloud.judge(each.id, "healthy")
        cloud.now += 1.0
    assert order == ["init", "api", "web", "web"]
    assert cloud.rollout is not None
    assert cloud.rollout.state is RolloutState.SUCCEEDED
