from __future__ import annotations

import json

from console.common.models import Event
from console.workloads.models import App, Release, Secret, SecretVersion
from console.workloads.secretstore import open_version, store_secret
from tests import factories
from tests.api.caller import People

TEAM, APP = "/teams/home/secrets", "/teams/home/apps/shop/secrets"
VALUE = "canary-51d3 \n"
COMPOSE = """\
services:
  web:
    image: berth/demo
    secrets: [password, {source: token, mode: 0444}]
  other:
    image: berth/demo
secrets:
  password: {external: true}
  token: {environment: TOKEN}
"""


def deploy(people: People, **given: object) -> Release:
    answer = people.developer.post("/teams/home/apps/shop/releases", {"compose": COMPOSE, **given})
    assert answer.status == 202, answer.body
    return Release.objects.filter(app__name="shop").latest("number")


def make_shop(people: People) -> App:
    return factories.make_app(people.access, "shop")


def test_a_value_goes_in_and_never_out(people: People) -> None:
    make_shop(people)
    for path, caller in ((TEAM, people.owner), (APP, people.developer)):
        made = caller.post(path, {"name": "password", "value": VALUE})
        assert made.status == 201
        assert set(made.body) == {"name", "version", "created_at", "updated_at", "updated_by", "used_by"}
        listed, one = people.viewer.get(path), people.viewer.get(f"{path}/password")
        assert listed.body["items"] == [made.body] == [one.body]
        assert "canary" not in str((made, listed, one, people.viewer.get("/teams/home/events")))
    for stored in SecretVersion.objects.all():
        assert (open_version(stored), b"canary" in bytes(stored.sealed)) == (VALUE.encode(), False)


def test_who_may_what(people: People) -> None:
    make_shop(people)
    given = {"name": "password", "value": VALUE}
    assert people.developer.post(TEAM, given).error["code"] == "forbidden"
    assert people.viewer.post(APP, given).error["code"] == "forbidden"
    assert people.owner.post(TEAM, given).status == people.developer.post(APP, given).status == 201
    assert people.developer.delete(f"{TEAM}/password").status == 403
    assert people.viewer.delete(f"{APP}/password").status == 403
    for path in (TEAM, f"{TEAM}/password", APP, f"{APP}/password"):
        people.assert_outside("GET", path)
    assert people.owner.delete(f"{TEAM}/password").status == 204
    assert people.owner.delete(f"{TEAM}/password").status == 404
    assert people.developer.delete(f"{APP}/password").status == 204


def test_wrong_ones_name_the_field(people: People) -> None:
    for change, field in (
        ({"name": "../x"}, "name"),
        ({"name": "a b"}, "name"),
        ({"value": ""}, "value"),
        ({"value": "x" * (513 * 1024)}, "value"),
        ({"value": None}, "value"),
        ({"version": 7}, "version"),
        ({"app": "shop"}, "app"),
    ):
        answer = people.owner.post(TEAM, {"name": "a", "value": "b", **change})
        assert (answer.status, list(answer.error["fields"])) == (400, [field]), change
    assert not Secret.objects.exists()


def test_the_same_value_makes_no_version_and_another_does(people: People) -> None:
    versions = [people.owner.post(TEAM, {"name": "a", "value": value}).body["version"] for value in "xxy"]
    assert versions == [1, 1, 2]
    kinds = list(
        Event.objects.filter(kind__startswith="secret").order_by("id").values_list("message", flat=True)
    )
    assert kinds == ["Secret a stored", "Version 2 of secret a stored"]


def test_a_release_takes_the_versions_of_its_time(people: People) -> None:
    make_shop(people)
    people.owner.post(TEAM, {"name": "password", "value": "of the team"})
    first = deploy(people, variables={"TOKEN": "t1", "PLAIN": "p"})
    assert set(first.secrets) == {"password", "token"}
    assert first.variables == {"PLAIN": "p"}
    assert "t1" not in json.dumps([first.compose, first.model, first.variables, first.files])
    people.developer.post(APP, {"name": "password", "value": "of the app"})
    second = deploy(people)
    assert second.secrets["token"] == first.secrets["token"], "a source that is not given stays as it was"
    assert second.secrets["password"] != first.secrets["password"], "the app's own comes first"
    kept = people.viewer.get(f"{TEAM}/password").body
    assert kept["used_by"] == []
    assert people.viewer.get(f"{APP}/password").body["used_by"] == ["shop (version 1)"]
    assert people.developer.delete(f"{APP}/password").error["code"] == "secret_in_use"


def test_a_secret_that_is_nowhere_is_told(people: People) -> None:
    make_shop(people)
    answer = people.developer.post(
        "/teams/home/apps/shop/releases", {"compose": COMPOSE, "variables": {"TOKEN": "x"}}
    )
    assert (answer.status, answer.error["code"]) == (422, "secret_missing")
    assert "password" in answer.error["message"]
    assert not Secret.objects.exists(), "nothing is kept of a release that was refused"


def test_other_teams_and_apps_secrets_are_not_taken(people: People) -> None:
    away = factories.make_member(factories.make_team("elsewhere"))
    make_shop(people)
    other = factories.make_app(people.access, "other")
    store_secret(away, None, name="password", value="x")
    store_secret(people.access, other, name="password", value="x")
    answer = people.developer.post(
        "/teams/home/apps/shop/releases", {"compose": COMPOSE, "variables": {"TOKEN": "x"}}
    )
    assert answer.error["code"] == "secret_missing"


def test_a_rollback_takes_the_old_versions_or_says_that_they_are_gone(people: People) -> None:
    app = make_shop(people)
    people.owner.post(TEAM, {"name": "password", "value": "one"})
    first = factories.make_ready(deploy(people, variables={"TOKEN": "t"}))
    people.owner.post(TEAM, {"name": "password", "value": "two"})
    factories.make_ready(deploy(people))
    assert people.developer.post("/teams/home/apps/shop/rollback", {"release": first.number}).status == 202
    newest = Release.objects.filter(app=app).latest("number")
    assert newest.secrets == first.secrets
    Secret.objects.filter(name="password").delete()
    answer = people.developer.post("/teams/home/apps/shop/rollback", {"release": first.number})
    assert (answer.status, answer.error["code"]) == (409, "secret_missing")
