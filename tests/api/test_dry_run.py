from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from console.api.models import KeptAnswer
from console.common.models import AuditEntry, Dirty, Event
from console.workloads.models import App, Operation, Release, Service
from tests import factories
from tests.api.caller import Answer, Caller, People

APPS = "/teams/home/apps"
SHOP = f"{APPS}/shop"
TABLES = (App, Operation, Release, Service, Event, AuditEntry, Dirty, KeptAnswer)
TWO = "services:\n  web:\n    image: berth/demo\n    deploy: {replicas: 2}\n"


def rows() -> list[list[Any]]:
    return [list(table._default_manager.order_by("pk").values_list()) for table in TABLES]


def tried(caller: Caller, path: str, body: Any, method: str = "POST") -> Answer:
    """The answer to a dry run, which has changed no row, whatever it was."""
    before = rows()
    mark = "&" if "?" in path else "?"
    answer = caller.send(method, f"{path}{mark}dry_run=true", body, headers={"Idempotency-Key": "k"})
    assert rows() == before
    assert not connection.needs_rollback
    return answer


def changed(answer: Answer) -> dict[str, tuple[Any, Any]]:
    assert (answer.status, answer.body["dry_run"]) == (200, True), answer.body
    return {each["path"]: (each["before"], each["after"]) for each in answer.body["changes"]}


def test_a_new_app_shows_its_model_and_where_it_would_go(people: People) -> None:
    factories.make_node("n1")
    answer = tried(people.developer, APPS, {"name": "shop", "compose": TWO})
    assert changed(answer)["services.web.image"] == (None, "berth/demo")
    assert answer.body["status"] == 202
    assert answer.body["events"] == ["App shop created", "Release 1 made"]
    (web,) = answer.body["placement"]
    assert (web["service"], web["wanted"], web["placed"], web["refusal"]) == ("web", 2, 2, None)
    assert [(node["name"], node["count"]) for node in web["nodes"]] == [("n1", 2)]
    quota = answer.body["quota"]
    assert [(quota[when]["apps"], quota[when]["containers"]) for when in ("before", "after")] == [
        (0, 0),
        (1, 2),
    ]
    assert quota["allowed"]["apps"] is None


def test_what_finds_no_node_says_why(people: People) -> None:
    answer = tried(people.developer, APPS, {"name": "shop", "compose": TWO})
    (web,) = answer.body["placement"]
    assert (web["wanted"], web["placed"]) == (2, 0)
    assert web["refusal"]["summary"]


def test_scaling_is_about_the_new_ones(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    factories.make_ready(app.releases.get())
    factories.make_container(app, factories.make_node("n1"))
    answer = tried(people.owner, f"{SHOP}/services/web/scale", {"replicas": 3})
    assert changed(answer) == {"services.web.replicas": (1, 3)}
    assert [(one["service"], one["wanted"]) for one in answer.body["placement"]] == [("web", 2)]


def test_a_release_shows_the_difference(people: People) -> None:
    factories.make_app(people.access, "shop", compose=TWO)
    new = TWO.replace("image: berth/demo", "image: berth/demo:2\n    init: true")
    found = changed(tried(people.owner, f"{SHOP}/releases", {"compose": new}))
    assert found["services.web.image"] == ("berth/demo", "berth/demo:2")
    assert set(found) <= {"services.web.image", "services.web.init"}


def test_stopping_and_deleting(people: People) -> None:
    factories.make_app(people.access, "shop")
    assert changed(tried(people.owner, f"{SHOP}/stop", {})) == {"stopped": (False, True)}
    answer = tried(people.owner, f"{SHOP}?volumes=delete", None, "DELETE")
    assert changed(answer) == {"deleting": (False, True)}
    assert answer.body["placement"] == []
    assert answer.body["events"] == ["Deletion of shop asked for"]


def test_errors_are_those_of_the_write(people: People) -> None:
    factories.make_app(people.access, "shop")
    taken = tried(people.owner, APPS, {"name": "shop", "compose": TWO})
    assert (taken.status, taken.error["code"]) == (409, "name_taken")
    wrong = tried(people.owner, APPS, {"name": "new", "compose": "services: 3"})
    assert (wrong.status, wrong.error["code"]) == (400, "compose_invalid")
    assert tried(people.viewer, f"{SHOP}/stop", {}).status == 403
    assert tried(people.stranger, f"{SHOP}/stop", {}).status == 404
    assert tried(people.owner, f"{SHOP}/services/web/scale", {"replicas": -1}).status == 400


def test_writes_of_no_app_tell_their_history(people: People, administrator: Caller) -> None:
    answer = tried(administrator, "/teams/home/nodes", {"name": "n9"})
    assert (changed(answer), answer.body["status"]) == ({}, 201)
    assert any("n9" in text for text in answer.body["events"])
    assert "config" not in answer.body


@pytest.mark.parametrize(("value", "status"), [("false", 202), ("0", 202), ("perhaps", 400), ("", 400)])
def test_only_yes_is_a_dry_run(people: People, value: str, status: int) -> None:
    factories.make_app(people.access, "shop")
    assert people.owner.send("POST", f"{SHOP}/stop?dry_run={value}", {}).status == status


def test_what_takes_effect_outside_the_database_cannot_be_tried(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    container = factories.make_container(app, factories.make_node())
    answer = people.owner.send("POST", f"/teams/home/containers/{container.id}/exec?dry_run=true", {})
    assert (answer.status, list(answer.error["fields"])) == (400, ["dry_run"])
