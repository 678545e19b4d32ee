"""Signing in: what is kept, for whom, and what wins over it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from berth import client, config
from berth.errors import CliError, Exit
from console.accounts.access import Access
from tests import factories
from tests.berth.conftest import Run


def test_a_login_is_kept_for_its_user_alone(signed_in: Run, tmp_path: Path, live_server: LiveServer) -> None:
    file = tmp_path / "config" / "login.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["url"] == live_server.url
    who = signed_in("whoami", "--json")
    assert json.loads(who.out)["user"]["email"] == "owner@example.com"
    assert signed_in("logout").code == Exit.OK
    assert not file.exists()
    assert signed_in("apps").code == Exit.REFUSED


def test_a_wrong_token_keeps_nothing(
    run: Run, live_server: LiveServer, owner: Access, tmp_path: Path
) -> None:
    ended = run("login", live_server.url, stdin="berth_wrong\n")
    assert ended.code == Exit.REFUSED
    assert not (tmp_path / "config").exists()
    assert run("login", live_server.url, stdin="\n").code == Exit.USAGE
    assert run("login", "example.com", stdin="x\n").code == Exit.USAGE


def test_a_team_that_the_token_does_not_open_is_refused(
    run: Run, live_server: LiveServer, owner: Access
) -> None:
    token = factories.make_token(owner)
    ended = run("login", live_server.url, "--team", "other", stdin=f"{token}\n")
    assert (ended.code, "default" in ended.err) == (Exit.USAGE, True)


def test_the_environment_wins_but_a_kept_token_goes_to_its_own_console_alone(
    signed_in: Run, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = config.load({})
    assert config.load({"BERTH_TEAM": "b"}).team == "b"
    assert config.load({"BERTH_TEAM": "b"}, team="c").team == "c"
    assert config.load({"BERTH_TOKEN": "t"}).token == "t"
    assert config.load({"BERTH_URL": kept.url + "/"}) == kept
    with pytest.raises(CliError):
        config.load({"BERTH_URL": "https://elsewhere.example.com"})


def test_a_broken_file_says_what_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "login.json").write_text("{")
    ended = run("apps")
    assert (ended.code, "berth login" in ended.err) == (Exit.REFUSED, True)


def test_a_console_that_is_away_has_an_exit_code_of_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAUSES", (0.01, 0.02))
    monkeypatch.setenv("BERTH_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("BERTH_TOKEN", "t")
    assert run("apps").code == Exit.UNREACHABLE
