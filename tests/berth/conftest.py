from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer
from typer import main as typer_main
from typer.testing import CliRunner

from berth import main
from berth.app import app
from berth.errors import CliError, Exit
from console.accounts.access import Access, team_access
from console.accounts.services import create_first_owner
from tests import factories


@dataclass(frozen=True)
class Ended:
    """A command's exit code and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]
_parser = cache(typer_main.get_command)
"""Made once, and not, as the runner does, for each command."""


def _run(*words: str, stdin: str = "") -> Ended:
    result = CliRunner().invoke(app, list(words), input=stdin)
    if isinstance(result.exception, CliError):
        lines = [result.exception.message, *result.exception.lines]
        return Ended(result.exception.code, result.stdout, "\n".join(lines))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder, with no login."""
    for name in ("BERTH_URL", "BERTH_TOKEN", "BERTH_TEAM", "BERTH_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BERTH_CONFIG", str(tmp_path / "config" / "login.json"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("typer.testing._get_command", _parser)
    monkeypatch.chdir(tmp_path)
    assert main.COMMANDS  # importing it registers them
    return _run


@pytest.fixture
def owner(db: None) -> Access:
    user, team = create_first_owner(email="owner@example.com")
    return team_access(user, team.slug)


@pytest.fixture
def signed_in(run: Run, live_server: LiveServer, owner: Access) -> Run:
    """The same as the owner of the team `default`."""
    token = factories.make_token(owner)
    assert run("login", live_server.url, stdin=f"{token}\n").code == Exit.OK
    return run
