from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from console.accounts.models import ApiToken
from console.api.models import KeptAnswer
from console.api.tasks import forget_kept_answers
from console.workloads.models import App
from lab.postgres import PostgresServer
from tests import factories, programs
from tests.api.caller import Answer, Caller, People
from tests.api.race import TIMES

APPS = "/teams/home/apps"
SHOP = {"name": "shop", "compose": factories.COMPOSE}


def once(caller: Caller, path: str, body: Any, key: str = "k1", method: str = "POST") -> Answer:
    return caller.send(method, path, body, headers={"Idempotency-Key": key})


def test_the_first_answer_comes_back(people: People) -> None:
    first = once(people.owner, APPS, SHOP)
    again = once(people.owner, APPS, SHOP)
    assert (first.status, again.status, again.body) == (202, 202, first.body)
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (
        None,
        "true",
    )
    assert App.objects.count() == 1


def test_another_request_under_the_key_is_refused(people: People) -> None:
    once(people.owner, APPS, SHOP)
    for path, body, method in [
        (APPS, {**SHOP, "name": "other"}, "POST"),
        ("/teams/home/tokens", SHOP, "POST"),
        (f"{APPS}/shop", SHOP, "DELETE"),
    ]:
        answer = once(people.owner, path, body, method=method)
        assert (answer.status, answer.error["code"]) == (409, "idempotency_mismatch")
    assert App.objects.count() == 1


def test_a_key_is_its_callers_own(people: People) -> None:
    assert once(people.owner, APPS, SHOP).status == 202
    other = once(people.developer, APPS, SHOP)
    assert (other.status, other.error["code"]) == (409, "name_taken")


def test_what_changed_nothing_may_be_tried_again(people: People) -> None:
    wrong = {**SHOP, "compose": "services: 3"}
    assert once(people.owner, APPS, wrong).status == 400
    assert not KeptAnswer.objects.exists()
    assert once(people.owner, APPS, SHOP).status == 202


def test_a_viewer_stays_one(people: People) -> None:
    once(people.owner, APPS, SHOP)
    assert once(people.viewer, APPS, SHOP).status == 403
    assert once(people.stranger, APPS, SHOP).status == 404


def test_a_secret_that_is_shown_once_is_not_in_the_database(people: People) -> None:
    first = once(people.owner, "/teams/home/tokens", {"name": "ci"}, key="key-of-mine")
    assert once(people.owner, "/teams/home/tokens", {"name": "ci"}, key="key-of-mine").body == first.body
    assert ApiToken.objects.filter(name="ci").count() == 1
    kept = KeptAnswer.objects.get()
    assert first.body["secret"].encode() not in bytes(kept.content)
    assert "key-of-mine" not in kept.key
    assert (kept.status, kept.headers) == (201, {"Content-Type": "application/json"})


def test_after_a_day_the_key_is_free(people: People) -> None:
    once(people.owner, APPS, SHOP)
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert once(people.owner, APPS, {**SHOP, "name": "second"}).status == 202
    assert forget_kept_answers() == 0
    KeptAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert forget_kept_answers() == 1


def test_under_another_secret_key_it_says_so(people: People, settings: Settings) -> None:
    once(people.owner, APPS, SHOP)
    settings.SECRET_KEY = "another one" * 5
    answer = once(people.owner, APPS, SHOP)
    assert (answer.status, answer.error["code"]) == (409, "idempotency_unreadable")


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201])
def test_what_can_be_no_key_is_refused(people: People, key: str) -> None:
    answer = once(people.owner, APPS, SHOP, key=key)
    assert (answer.status, list(answer.error["fields"])) == (400, ["Idempotency-Key"])
    assert not App.objects.exists()


def test_a_read_takes_no_notice(people: People) -> None:
    assert people.owner.get("/me", headers={"Idempotency-Key": "k1"}).status == 200
    assert not KeptAnswer.objects.exists()


def race(home: Path, database: str) -> None:
    home.mkdir()
    environment = programs.environment(home, database) | {"BERTH_ALLOWED_HOSTS": "testserver"}
    said = programs.run("tests.api.race", environment)
    assert said["rows"] == {"App": 1, "Release": 1, "KeptAnswer": 1}
    answers = said["answers"]
    assert len(answers) == TIMES
    assert {one["status"] for one in answers} == {202}
    assert len({(one["body"], one["location"]) for one in answers}) == 1
    assert sum(one["replayed"] for one in answers) == TIMES - 1


@pytest.mark.thorough
def test_twenty_at_once_make_one_app(tmp_path: Path) -> None:
    race(tmp_path / "home", f"sqlite:///{tmp_path}/home/berth.sqlite3")


@pytest.mark.postgres
def test_twenty_at_once_make_one_app_on_postgresql(postgres_server: PostgresServer, tmp_path: Path) -> None:
    race(tmp_path / "home", postgres_server.new_database())
