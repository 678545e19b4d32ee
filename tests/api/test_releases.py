from __future__ import annotations

from console.workloads.models import Release
from tests import factories
from tests.api.caller import People

SHOP = "/teams/home/apps/shop"
NEXT = factories.COMPOSE.replace("berth/demo", "berth/demo:2")


def test_the_next_release_keeps_what_is_not_given(people: People) -> None:
    factories.make_app(people.access, "shop", variables={"A": "1"}, files={"a.env": "B=2"})
    answer = people.developer.post(f"{SHOP}/releases", {"compose": NEXT, "variables": {}})
    assert (answer.status, answer.body["operation"]["target"]) == (202, "#2")
    body = people.developer.get(f"{SHOP}/releases/2").body
    assert (body["compose"], body["variables"], body["files"]) == (NEXT, {}, {"a.env": "B=2"})
    assert (body["state"], body["created_by"]) == ("resolving", "developer@example.com")
    first = people.developer.get(f"{SHOP}/releases/1").body
    assert (first["compose"], first["variables"]) == (factories.COMPOSE, {"A": "1"})
    listed = people.viewer.get(f"{SHOP}/releases").body["items"]
    assert [release["number"] for release in listed] == [2, 1]
    assert "compose" not in listed[0]


def test_a_viewer_sees_the_names_of_variables_and_files_alone(people: People) -> None:
    factories.make_app(people.access, "shop", variables={"A": "1"}, files={"a.env": "B=2"})
    body = people.viewer.get(f"{SHOP}/releases/1").body
    assert (body["variables"], body["files"]) == ({"A": None}, {"a.env": None})


def test_a_release_shows_its_warnings(people: People) -> None:
    factories.make_app(people.access, "warned", compose="version: '3'\n" + factories.COMPOSE)
    (warning,) = people.viewer.get("/teams/home/apps/warned/releases/1").body["warnings"]
    assert (warning["line"], warning["key"]) == (1, "version")
    assert people.viewer.get("/teams/home/apps/warned").body["app"]["warnings"] == [warning]


def test_a_rollback_is_a_new_release_with_an_old_ones_content(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    factories.make_ready(Release.objects.get(app=app))
    people.owner.post(f"{SHOP}/releases", {"compose": NEXT})
    answer = people.developer.post(f"{SHOP}/rollback", {"release": 1})
    assert (answer.status, answer.body["operation"]["kind"]) == (202, "rollback")
    body = people.viewer.get(f"{SHOP}/releases/3").body
    assert (body["rolled_back_from"], body["state"], body["compose"]) == (1, "ready", factories.COMPOSE)
    assert body["images"]["web"]["image"] == f"berth/demo@sha256:{'0' * 64}"


def test_a_rollback_refuses_what_cannot_be(people: People) -> None:
    factories.make_app(people.access, "shop")
    for body, status, code in (
        ({"release": 1}, 409, "release_not_ready"),
        ({"release": 7}, 404, "not_found"),
        ({"release": 10**30}, 400, "invalid"),
        ({"release": "one"}, 400, "invalid"),
        ({}, 400, "invalid"),
    ):
        answer = people.owner.post(f"{SHOP}/rollback", body)
        assert (answer.status, answer.error["code"]) == (status, code), body
    assert Release.objects.count() == 1


def test_a_wrong_release_is_refused_and_not_kept(people: People) -> None:
    factories.make_app(people.access, "shop")
    answer = people.owner.post(f"{SHOP}/releases", {"compose": "services: {}\nnetworks: 7\n"})
    assert (answer.status, answer.error["code"]) == (400, "compose_invalid")
    assert list(answer.error["fields"]) == ["compose"]
    assert Release.objects.count() == 1


def test_viewers_and_outsiders(people: People) -> None:
    factories.make_app(people.access, "shop")
    assert people.viewer.post(f"{SHOP}/releases", {"compose": NEXT}).status == 403
    assert people.viewer.post(f"{SHOP}/rollback", {"release": 1}).status == 403
    people.assert_outside("GET", f"{SHOP}/releases")
    people.assert_outside("POST", f"{SHOP}/releases", {"compose": NEXT})
    people.assert_outside("GET", f"{SHOP}/releases/1")
    people.assert_outside("POST", f"{SHOP}/rollback", {"release": 1})
    assert Release.objects.count() == 1
    assert people.owner.get(f"{SHOP}/releases/{'9' * 40}").status == 404
