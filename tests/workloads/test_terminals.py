"""What history and audit say of a terminal's command."""

from __future__ import annotations

import json
import shlex

import pytest

from console.accounts.access import Access
from console.common.models import AuditEntry, Event
from console.workloads import terminals
from console.workloads.models import Container
from console.workloads.terminals import Grant
from tests import factories

pytestmark = pytest.mark.django_db
COMPOSE = """
services:
  web:
    image: berth/demo
    environment: {PLAIN: in-the-file}
    env_file: web.env
    secrets: [key]
secrets: {key: {environment: KEY}}
"""
VALUES = {"variable": "canary-variable", "file": "canary-file", "secret": "canary-secret"}


def _container(access: Access) -> Container:
    variables = {"KEY": VALUES["secret"], "PW": VALUES["variable"]}
    files = {"web.env": f"A={VALUES['file']}"}
    app = factories.make_app(access, "shop", compose=COMPOSE, variables=variables, files=files)
    return factories.make_container(app, factories.make_node("n1"))


def _grant(access: Access, container: Container, command: tuple[str, ...]) -> Grant:
    return Grant(
        user=access.user.id,
        token="",
        team=access.team.id,
        container=container.id,
        command=command,
        tty=True,
        exec_user="",
        working_dir="",
        width=80,
        height=24,
    )


def test_arguments_are_for_the_audit_alone_and_known_values_for_nobody() -> None:
    access = factories.make_member(factories.make_team("home"))
    container = _container(access)
    command = ("mysql", *(f"-p{value}" for value in VALUES.values()), "-u", "in-the-file", "own-secret")
    terminals.record_opened(access, container, _grant(access, container, command), "10.0.0.9")
    event, row = Event.objects.get(kind="exec.opened"), AuditEntry.objects.get(kind="exec.opened")
    assert row.data["command"] == ["mysql", "-p•••", "-p•••", "-p•••", "-u", "in-the-file", "own-secret"]
    assert (row.address, event.message, row.message) == ("10.0.0.9", event.message, event.message)
    assert event.message == f"Terminal in {container.name} on n1 opened: mysql"
    assert "own-secret" not in json.dumps(event.data)
    assert not any(value in json.dumps([event.data, row.data]) for value in VALUES.values())


def test_a_program_that_is_a_secret_is_not_named() -> None:
    access = factories.make_member(factories.make_team("home"))
    container = _container(access)
    command = (shlex.quote(VALUES["secret"]),)
    terminals.record_opened(access, container, _grant(access, container, command), "")
    assert Event.objects.get(kind="exec.opened").message.endswith("opened: •••")
