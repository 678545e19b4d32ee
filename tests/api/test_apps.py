from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from msgspec.json import encode
from pytest_django import DjangoAssertNumQueries

from console.api.outputs.apps import AppOutput, app_item
from console.workloads import summaries
from console.workloads.models import App, Operation, Release
from tests import factories
from tests.api.caller import People

APPS = "/teams/home/apps"
SHOP = {"name": "shop", "compose": factories.COMPOSE}


def test_a_developer_deploys(people: People) -> None:
    answer = people.developer.post(APPS, {**SHOP, "variables": {"A": "1"}, "files": {"a.env": "B=2"}})
    operation = answer.body["operation"]
    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/v1/teams/home/operations/{operation['id']}"
    assert (operation["kind"], operation["state"], operation["target"]) == ("deploy", "running", "#1")
    assert operation["actor"] == "developer@example.com"
    release = Release.objects.get(app__name="shop")
    assert (release.variables, release.files) == ({"A": "1"}, {"a.env": "B=2"})
    assert people.viewer.get(answer.headers["Location"].removeprefix("/api/v1")).body == operation


def test_who_may_not_deploy_leaves_nothing_behind(people: People) -> None:
    answer = people.viewer.post(APPS, SHOP)
    assert (answer.status, answer.error["code"]) == (403, "forbidden")
    people.assert_outside("POST", APPS, SHOP)
    assert App.objects.count() == 0


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"name": "Shop!"}, 400, "invalid", "name"),
        ({"name": None}, 400, "invalid", "name"),
        ({"compose": ""}, 400, "invalid", "compose"),
        ({"compose": 7, "replica": 1}, 400, "invalid", "replica"),
        ({"compose": "a\u0000b"}, 400, "invalid", "compose"),
        ({"variables": ["A"]}, 400, "invalid", "variables"),
        ({"variables": {"A": {}}}, 400, "invalid", "variables.A"),
        ({"variables": {"A\u0000": "1"}}, 400, "invalid", "variables"),
        ({"files": {"a": None}}, 400, "invalid", "files.a"),
        ({"name": "taken"}, 409, "name_taken", "name"),
        (
            {"compose": "services:\n  web:\n    privileged: true\n    image: x\n"},
            400,
            "compose_invalid",
            "compose",
        ),
    ],
)
def test_wrong_input_names_the_field(
    people: People, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    factories.make_app(people.access, "taken")
    answer = people.owner.post(APPS, {**SHOP, **change})
    assert (answer.status, answer.error["code"], list(answer.error["fields"])) == (status, code, [field])
    assert App.objects.count() == 1


def test_a_wrong_file_says_where(people: People) -> None:
    compose = "services:\n  web:\n    image: x\n    privileged: true\n"
    (problem,) = people.owner.post(APPS, {**SHOP, "compose": compose}).error["data"]["problems"]
    assert (problem["line"], problem["service"], problem["key"]) == (4, "web", "services.web.privileged")


def test_more_memory_than_any_node_has(people: People) -> None:
    factories.make_node(memory=factories.GIB)
    compose = "services:\n  web:\n    image: x\n    mem_limit: 2g\n"
    answer = people.owner.post(APPS, {**SHOP, "compose": compose})
    assert (answer.status, answer.error["code"]) == (422, "does_not_fit")
    assert App.objects.count() == 0


def test_a_check_changes_nothing(people: People) -> None:
    answer = people.viewer.post("/teams/home/compose/check", {"compose": factories.COMPOSE})
    assert answer.status == 200
    web = answer.body["services"]["web"]
    assert (web["image"], web["replicas"], web["ports"]) == (
        "berth/demo",
        1,
        [{"container": 80, "host": 0, "protocol": "tcp"}],
    )
    assert "memory" in web["defaults"]
    assert web["resources"]["memory"] > 0
    assert answer.body["volumes"] == ["data"]
    assert (App.objects.count(), Operation.objects.count()) == (0, 0)


def test_a_check_tells_of_problems_like_a_deploy(people: People) -> None:
    given = {"compose": "services:\n  web:\n    image: x\n    privileged: true\n"}
    refused = people.owner.post("/teams/home/compose/check", given).error
    assert refused["code"] == "compose_invalid"
    assert refused["data"] == people.owner.post(APPS, {**given, "name": "shop"}).error["data"]
    people.assert_outside("POST", "/teams/home/compose/check", given)


def test_an_app_shows_what_is_wanted_and_what_was_seen(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    container = factories.make_container(app, factories.make_node("n1"))
    body = people.viewer.get(f"{APPS}/shop").body
    shown, (service,) = body["app"], body["app"]["services"]
    assert shown["desired"] == {"release": 1, "replicas": 1, "stopped": False, "deleting": False}
    assert (shown["observed"]["state"], shown["observed"]["replicas"]) == ("deploying", 1)
    assert shown["observed"]["rollout"]["state"] == "running"
    assert container.observed_at is not None
    assert shown["observed_at"] == service["observed_at"]
    assert shown["urls"] == container.urls
    update = {
        "parallelism": 1,
        "delay": 0.0,
        "order": "stop-first",
        "monitor": 5.0,
        "max_failure_ratio": 0.0,
        "failure_action": "pause",
    }
    assert service["desired"] == {
        "replicas": 1,
        "scale": 1,
        "stopped": False,
        "image": "berth/demo",
        "mode": "replicated",
        "priority": 0,
        "update_config": update,
        "rollback_config": update,
    }
    assert service["observed"] == {"replicas": 1, "live": 1}
    (slot,) = service["slots"]
    assert (slot["name"], slot["container"]["id"]) == ("web.1", container.id)
    assert slot["container"]["node"]["name"] == "n1"
    assert people.viewer.get(f"{APPS}/{app.id}").body == body
    people.assert_outside("GET", f"{APPS}/shop")


def test_another_teams_app_is_not_found(people: People) -> None:
    foreign = factories.make_app(factories.make_member(factories.make_team()), "theirs")
    for path in (f"{APPS}/theirs", f"{APPS}/{foreign.id}"):
        assert people.owner.get(path).error["code"] == "not_found"
        assert people.owner.delete(path).status == 404
    assert not App.objects.get(pk=foreign.pk).deleting


@pytest.mark.parametrize(
    ("query", "fate"), [("", "kept"), ("?volumes=keep", "kept"), ("?volumes=delete", "deleted")]
)
def test_deleting_says_what_happens_to_volumes(people: People, query: str, fate: str) -> None:
    app = factories.make_app(people.access, "shop")
    node = factories.make_node("n1")
    volume = factories.make_volume(app, node)
    answer = people.developer.delete(f"{APPS}/shop{query}")
    assert answer.status == 202
    assert answer.body["operation"]["kind"] == "delete"
    assert answer.body["volumes"] == [
        {"name": "data", "node": "n1", "engine_name": volume.engine_name, "fate": fate}
    ]
    app.refresh_from_db()
    assert (app.deleting, app.delete_volumes) == (True, fate == "deleted")
    assert people.owner.get(f"{APPS}/shop").status == 404
    assert people.owner.get(f"{APPS}/{app.id}").body["app"]["observed"]["state"] == "deleting"
    again = people.owner.delete(f"{APPS}/{app.id}")
    assert (again.status, again.error["code"]) == (409, "app_deleting")


def test_who_may_not_delete(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    assert people.viewer.delete(f"{APPS}/shop").status == 403
    people.assert_outside("DELETE", f"{APPS}/shop")
    wrong = people.owner.delete(f"{APPS}/shop?volumes=burn")
    assert (wrong.status, list(wrong.error["fields"])) == (400, ["volumes"])
    app.refresh_from_db()
    assert not app.deleting


def test_the_list_takes_as_many_queries_for_twenty_apps_as_for_one(people: People) -> None:
    node = factories.make_node()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed = people.viewer.get(APPS)
        assert len(listed.body["items"]) == App.objects.count()
        return len(captured)

    factories.make_container(factories.make_app(people.access), node)
    people.viewer.get(APPS)
    one = queries()
    for _ in range(19):
        factories.make_container(factories.make_app(people.access), node)
    assert (queries(), one <= 10) == (one, True)


def test_the_list_is_the_teams_own_by_name(people: People) -> None:
    factories.make_app(factories.make_member(factories.make_team()), "theirs")
    factories.make_app(people.access, "zoo")
    factories.make_app(people.access, "art")
    listed = people.viewer.get(APPS).body
    assert [app["name"] for app in listed["items"]] == ["art", "zoo"]
    assert listed["next"] is None
    people.assert_outside("GET", APPS)


def test_a_list_shows_apps_as_their_serializer_does(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    factories.make_container(app, factories.make_node())
    factories.make_app(people.access, "idle")
    for summary in summaries.summaries(people.access.team):
        assert encode(app_item(summary)) == encode(dict(AppOutput(summary).data))


def test_a_page_takes_at_most_eight_queries(
    people: People, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    node = factories.make_node()
    for _ in range(12):
        app = factories.make_app(people.access)
        factories.make_ready(app.releases.get())
        factories.make_container(app, node)
    people.viewer.get("/teams/home/apps")  # notes the token's use
    with django_assert_max_num_queries(8):
        assert len(people.viewer.get("/teams/home/apps?limit=10").body["items"]) == 10
