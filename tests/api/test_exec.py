"""Tickets for terminals: who gets one, for what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from console.common import redis as keys
from console.workloads import terminals
from console.workloads.enums import ContainerState
from console.workloads.models import Container
from lab.redis_server import RedisServer
from tests import factories
from tests.api.caller import People


@pytest.fixture
def container(people: People) -> Container:
    return factories.make_container(factories.make_app(people.access, "shop"), factories.make_node("n1"))


@pytest.fixture
def path(container: Container) -> str:
    return f"/teams/home/containers/{container.id}/exec"


@pytest.fixture
def with_redis(settings: Settings, redis_server: RedisServer) -> None:
    settings.REDIS_URL = redis_server.url
    keys.client.cache_clear()


@pytest.mark.redis
def test_a_ticket_stands_for_the_program_asked_for(
    people: People, with_redis: None, container: Container, path: str, settings: Settings
) -> None:
    settings.BERTH_URL = "https://berth.example"
    body = {
        "command": "psql -c 'select 1'",
        "tty": False,
        "user": "app:1000",
        "working_dir": "/srv",
        "width": 100,
    }
    answer = people.developer.post(path, body)
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    assert (answer.body["url"], answer.body["expires_in"]) == ("wss://berth.example/ws/exec", 30)
    grant = terminals.redeem(answer.body["ticket"])
    assert grant is not None
    assert grant.command == ("psql", "-c", "select 1")
    assert (grant.container, grant.tty, grant.width, grant.height) == (container.id, False, 100, 24)
    assert (grant.exec_user, grant.working_dir, bool(grant.token)) == ("app:1000", "/srv", True)
    assert terminals.redeem(answer.body["ticket"]) is None


@pytest.mark.redis
@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({}, terminals.SHELL),
        ({"command": []}, terminals.SHELL),
        ({"command": ["sh", "-c", "echo ; ls", ""]}, ("sh", "-c", "echo ; ls", "")),
    ],
)
def test_commands(
    people: People, with_redis: None, path: str, given: dict[str, Any], command: tuple[str, ...]
) -> None:
    grant = terminals.redeem(people.owner.post(path, given).body["ticket"])
    assert grant is not None
    assert (grant.command, grant.tty) == (command, True)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"command": "echo 'open"}, "command"),
        ({"command": ["", "x"]}, "command"),
        ({"command": ["sh", "a\0b"]}, "command.1"),
        ({"command": ["x"] * 257}, "command"),
        ({"command": ["x" * 16_000] * 5}, "command"),
        ({"command": 7}, "command"),
        ({"user": "root; rm"}, "user"),
        ({"user": "--privileged"}, "user"),
        ({"working_dir": "srv"}, "working_dir"),
        ({"width": 0}, "width"),
        ({"height": 1001}, "height"),
        ({"privileged": True}, "privileged"),
    ],
)
def test_wrong_input_names_the_field(people: People, path: str, body: dict[str, Any], field: str) -> None:
    answer = people.owner.post(path, body)
    assert (answer.status, list(answer.error["fields"])) == (400, [field])


def test_who_may_not(people: People, path: str) -> None:
    answer = people.viewer.post(path)
    assert (answer.status, answer.error["code"]) == (403, "forbidden")
    people.assert_outside("POST", path)
    assert people.owner.get(path).status == 405


def test_what_is_not_there_or_does_not_run(people: People, container: Container, path: str) -> None:
    assert people.owner.post("/teams/home/containers/none/exec").status == 404
    away = factories.make_member(factories.make_team("else"))
    theirs = factories.make_container(factories.make_app(away, "other"), factories.make_node("n9"))
    assert people.owner.post(f"/teams/home/containers/{theirs.id}/exec").status == 404
    Container.objects.filter(pk=container.pk).update(state=ContainerState.EXITED)
    answer = people.owner.post(path)
    assert (answer.status, answer.error["code"]) == (409, "not_running")


def test_without_redis_it_says_so(people: People, path: str) -> None:
    answer = people.owner.post(path)
    assert (answer.status, answer.error["code"]) == (503, "unavailable")
