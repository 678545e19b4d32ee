from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console.common.models import Dirty
from console.workloads.enums import OperationState, RolloutState
from console.workloads.models import App, Operation, Release, Rollout
from tests import factories
from tests.api.caller import People

SHOP = "/teams/home/apps/shop"
ROLLOUT = f"{SHOP}/rollout"
ACTIONS = ("pause", "resume", "cancel")


@pytest.fixture
def app(people: People) -> App:
    """Release 1 was rolled out well, release 2 is on its way."""
    made = factories.make_app(people.access, "shop")
    factories.make_ready(Release.objects.get(app=made))
    Rollout.objects.filter(app=made).update(state=RolloutState.SUCCEEDED, ended_at=timezone.now())
    Operation.objects.filter(app_id=made.id).update(state=OperationState.SUCCEEDED)
    people.owner.post(f"{SHOP}/releases", {"compose": factories.COMPOSE})
    Dirty.objects.all().delete()
    return made


def rollout() -> Rollout:
    """The newest one."""
    return Rollout.objects.latest("started_at")


def test_a_paused_rollout_stands_still_and_goes_on(people: People, app: App) -> None:
    operation, deadline = rollout().operation_id, rollout().deadline
    answer = people.developer.post(f"{ROLLOUT}/pause")
    assert (answer.status, answer.body["operation"]["id"]) == (202, operation)
    assert answer.body["operation"]["state"] == "running"
    assert answer.body["operation"]["steps"][-1]["text"] == "Paused by developer@example.com"
    observed = people.viewer.get(SHOP).body["app"]["observed"]
    assert (observed["state"], observed["rollout"]["state"]) == ("paused", "paused")
    assert observed["rollout"]["paused_at"] is not None
    Rollout.objects.filter(pk=rollout().pk).update(paused_at=timezone.now() - timedelta(minutes=5))
    answer = people.developer.post(f"{ROLLOUT}/resume")
    assert answer.body["operation"]["steps"][-1]["text"] == "Resumed by developer@example.com"
    assert (rollout().state, rollout().paused_at) == (RolloutState.RUNNING, None)
    moved_on = rollout().deadline - deadline
    assert timedelta(minutes=5) <= moved_on < timedelta(minutes=6)
    assert list(Dirty.objects.values_list("app_id", flat=True)) == [app.id] * 2


def test_a_cancelled_rollout_goes_back_to_the_release_before(people: People, app: App) -> None:
    under_way = rollout()
    people.developer.post(f"{ROLLOUT}/pause")
    answer = people.developer.post(f"{ROLLOUT}/cancel")
    assert (answer.status, answer.body["operation"]["kind"]) == (202, "rollback")
    under_way.refresh_from_db()
    assert (under_way.state, under_way.reason) == (
        RolloutState.SUPERSEDED,
        "Cancelled by developer@example.com",
    )
    assert under_way.operation is not None
    assert under_way.operation.state == OperationState.SUPERSEDED
    made = rollout()
    assert (made.rollback, made.release.number, made.release.rolled_back_from) == (True, 3, 1)
    shown = people.viewer.get(SHOP).body["app"]["observed"]["rollout"]
    assert (shown["state"], shown["rollback"]) == ("running", True)


def test_what_makes_no_sense_names_the_operation_in_the_way(people: People, app: App) -> None:
    operation = rollout().operation_id
    for first, action, code in (
        ("", "resume", "rollout_running"),
        ("pause", "pause", "rollout_paused"),
    ):
        if first:
            people.owner.post(f"{ROLLOUT}/{first}")
        answer = people.owner.post(f"{ROLLOUT}/{action}")
        assert (answer.status, answer.error["code"], answer.error["data"]) == (
            409,
            code,
            {"operation": operation},
        )
    people.owner.post(f"{ROLLOUT}/cancel")
    answer = people.owner.post(f"{ROLLOUT}/cancel")
    assert (answer.status, answer.error["code"]) == (409, "rollout_is_rollback")
    assert answer.error["data"] == {"operation": rollout().operation_id}
    Rollout.objects.all().update(state=RolloutState.FAILED)
    for action in ACTIONS:
        assert people.owner.post(f"{ROLLOUT}/{action}").error["code"] == "no_rollout"


def test_a_first_rollout_has_nothing_to_go_back_to(people: People) -> None:
    factories.make_app(people.access, "shop")
    answer = people.owner.post(f"{ROLLOUT}/cancel")
    assert (answer.status, answer.error["code"]) == (409, "no_earlier_release")
    assert rollout().state == RolloutState.RUNNING


def test_a_deployment_takes_the_place_of_a_paused_rollout(people: People, app: App) -> None:
    people.owner.post(f"{ROLLOUT}/pause")
    assert people.owner.post(f"{SHOP}/releases", {"compose": factories.COMPOSE}).status == 202
    states = Rollout.objects.order_by("started_at").values_list("state", flat=True)
    assert list(states) == ["succeeded", "superseded", "running"]


def test_an_app_that_goes_names_its_deletion(people: People, app: App) -> None:
    deletion = people.owner.delete(SHOP).body["operation"]["id"]
    assert rollout().state == RolloutState.SUPERSEDED
    for action in ACTIONS:
        answer = people.owner.post(f"/teams/home/apps/{app.id}/rollout/{action}")
        assert (answer.status, answer.error["data"]) == (409, {"operation": deletion})


def test_viewers_and_outsiders_hold_nothing(people: People, app: App) -> None:
    for action in ACTIONS:
        assert people.viewer.post(f"{ROLLOUT}/{action}").error["code"] == "forbidden"
        people.assert_outside("POST", f"{ROLLOUT}/{action}")
    assert rollout().state == RolloutState.RUNNING


def test_a_global_service_is_not_scaled(people: People) -> None:
    everywhere = "services:\n  web:\n    image: berth/demo\n    deploy: {mode: global}\n"
    app = factories.make_app(people.access, "shop", compose=everywhere)
    answer = people.owner.post(f"{SHOP}/services/web/scale", {"replicas": 3})
    assert (answer.status, answer.error["code"]) == (409, "global_service")
    for index in (1, 2):
        factories.make_container(app, factories.make_node(), "web", index)
    shown = people.viewer.get(SHOP).body["app"]
    assert (shown["desired"]["replicas"], shown["services"][0]["desired"]["mode"]) == (2, "global")


def test_a_job_that_is_done_is_well_also_when_nothing_of_it_is_left(people: People) -> None:
    job = "services:\n  web:\n    image: berth/demo\n    restart: on-failure\n    deploy: {mode: replicated-job}\n"
    app = factories.make_app(people.access, "shop", compose=job)
    done = factories.make_container(
        app,
        factories.make_node(),
        state="exited",
        exit_code=0,
        ended_at=timezone.now(),
        removed_at=timezone.now(),
    )
    shown = people.viewer.get(SHOP).body["app"]
    assert shown["observed"]["replicas"] == 1
    assert shown["services"][0]["slots"][0]["container"]["id"] == done.id
