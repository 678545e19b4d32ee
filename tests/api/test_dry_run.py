from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from console.accounts.enums import Verb
from console.accounts.tokens import create_token
from console.api.models import KeptAnswer
from console.common.models import AuditEntry, Dirty, Event
from console.workloads.models import App, Operation, Release, Service
from console.workloads.services import create_release
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


CANARY = "hunter2-canary"
FILLED = """
services:
  web:
    image: berth/demo:${PW}
    command: [serve, "${PW}"]
    entrypoint: "run ${PW}"
    user: ${PW}
    working_dir: /${PW}
    hostname: ${PW}
    environment: ["PASSWORD=${PW}", "${PW}=x", PW]
    env_file: web.env
    labels: {"token": "${PW}"}
    healthcheck: {test: "true ${PW}"}
    volumes: ["data:/${PW}"]
    tmpfs: ["/tmp/${PW}"]
    networks: {default: {aliases: ["${PW}"]}}
    configs: [{source: site, target: "/etc/${PW}"}]
    logging: {driver: local, options: {max-size: 1m}}
    deploy:
      labels: ["${PW}=${PW}"]
    x-note: ["${PW}"]
    x-berth: {release_command: [migrate, "${PW}"]}
configs: {site: {content: "${PW}"}}
networks: {default: {}}
volumes: {data: {}}
"""
PLAIN = "services: {web: {image: berth/demo}}"
SECRET = {"variables": {"PW": CANARY}, "files": {"web.env": f"FROM_FILE={CANARY}"}}


def filled(people: People) -> None:
    """Two releases: one that variables and a file fill, and, the newest, one that uses neither."""
    app = factories.make_app(people.access, "shop", compose=FILLED, **SECRET)
    factories.make_ready(app.releases.get())
    create_release(people.access, app, compose=PLAIN)


def secret_reads() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(kind="secret.read"))


@pytest.mark.parametrize(
    ("path", "body"),
    [(f"{SHOP}/releases", {"compose": FILLED}), (f"{SHOP}/rollback", {"release": 1})],
    ids=["release", "rollback"],
)
def test_stored_values_are_hidden_from_who_may_not_read_them(
    people: People, path: str, body: dict[str, Any]
) -> None:
    filled(people)
    deploys = Caller(create_token(people.access, name="ci", verbs={Verb.DEPLOY})[1])
    answer = tried(deploys, path, body)
    found = changed(answer)
    assert CANARY not in json.dumps(answer.body)
    assert found["services.web.environment.PASSWORD"] == (None, "•••")
    assert found["services.web.environment.•••"] == (None, "•••")
    assert found["services.web.healthcheck.test"] == (None, ["•••", "•••"])
    assert found["services.web.image"] == ("berth/demo", "berth/demo:${PW}")
    assert secret_reads() == []

    answer = people.developer.post(f"{path}?dry_run=true", body)
    assert changed(answer)["services.web.environment.PASSWORD"] == (None, CANARY)
    (entry,) = secret_reads()
    assert "services.web.environment.PASSWORD" in entry.data["paths"]
    assert (entry.team_id, CANARY in json.dumps(entry.data)) == (people.access.team.pk, False)


def test_what_shows_no_stored_value_is_no_reading(people: People) -> None:
    filled(people)
    assert changed(people.owner.post(f"{SHOP}/stop?dry_run=true")) == {"stopped": (False, True)}
    assert tried(people.owner, APPS, {"name": "new", "compose": FILLED, **SECRET}).status == 200
    assert secret_reads() == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    "line",
    [
        "cpus: '${PW}'",
        "mem_limit: '${PW}'",
        "ports: ['${PW}']",
        "volumes: ['${PW}:/data', 'x:${PW}']",
        "environment: ['${PW}', '${PW}', ' =${PW}'], cpus: '${PW}'",
        "depends_on: ['${PW}']",
        "restart: '${PW}'",
        "command: '${PW} | ${MISSING:?${PW}}'",
        "env_file: ['${PW}', bad.env, odd.env]",
        "deploy: {placement: {constraints: ['${PW}']}}",
        "tmpfs: ['/x:${PW}']",
        "networks: ['${PW}']",
        "secrets: ['${PW}']",
        "pull_policy: '${PW}'",
        "security_opt: ['${PW}']",
        "logging: {driver: '${PW}'}",
    ],
)
def test_no_problem_and_no_warning_names_a_stored_value(people: People, line: str) -> None:
    files = {"bad.env": f"{CANARY} {CANARY}", "odd.env": f"A={CANARY}\nB=${{NO:?$A}}\nC=$hunter2"}
    factories.make_app(people.access, "shop", compose=PLAIN, variables={"PW": CANARY}, files=files)
    deploys = Caller(create_token(people.access, name="ci", verbs={Verb.DEPLOY})[1])
    answer = deploys.post(
        f"{SHOP}/releases", {"compose": f"services: {{web: {{image: berth/demo, {line}}}}}"}
    )
    assert "hunter2" not in json.dumps(answer.body)
    assert (answer.status, answer.error["code"]) == (400, "compose_invalid")
    assert "${PW}" in answer.error["message"] + json.dumps(answer.error["data"])


def test_images_in_the_history_are_as_the_file_writes_them(people: People) -> None:
    filled(people)
    people.owner.post(f"{SHOP}/rollback", {"release": 1})
    rows = [*AuditEntry.objects.values_list("data", flat=True), *Event.objects.values_list("data", flat=True)]
    assert any(
        row.get("after", {}) and row["after"].get("images") == {"web": "berth/demo:${PW}"} for row in rows
    )
    assert CANARY not in json.dumps(rows)


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
