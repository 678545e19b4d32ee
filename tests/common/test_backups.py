"""A panel is backed up, changed, and restored: by the commands, as an operator would."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.common.origin import operator
from lab.manage import ManageError, manage
from lab.postgres import PostgresServer

pytestmark = pytest.mark.slow

START = [["migrate", "--no-input", "--verbosity", "0"], ["bootstrap", "--node", ""]]
ROWS = "SELECT actor, message FROM common_auditentry WHERE kind LIKE '{}.%' ORDER BY id"
LEADS = "INSERT INTO controller_lease (id, holder, term, expires_at) VALUES (1, 'me', 1, '2999-01-01 00:00:00+00')"


class Panel:
    """A console's home and database, without its processes."""

    def __init__(self, home: Path, database: str = "") -> None:
        home.mkdir(mode=0o700)
        self.home = home
        self.env = {
            **os.environ,
            "BERTH_HOME": str(home),
            "BERTH_SECRET_KEY": secrets.token_urlsafe(40),
            "DATABASE_URL": database or f"sqlite:///{home}/berth.sqlite3",
        }

    def run(self, *commands: list[str]) -> str:
        """What the last one says. Raises `ManageError`."""
        return manage(self.env, *commands)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows, straight from the database."""
        url = self.env["DATABASE_URL"]
        connection: Any = (
            psycopg.connect(url)
            if url.startswith("postgres")
            else sqlite3.connect(url.removeprefix("sqlite:///"))
        )
        with closing(connection):
            cursor = connection.execute(query)
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
            return rows

    @property
    def nodes(self) -> list[str]:
        return [name for (name,) in self.ask("SELECT name FROM cluster_node ORDER BY name")]

    def add(self, node: str) -> list[str]:
        return ["add_node", node, "--config-out", str(self.home / f"{node}.json")]


@pytest.fixture
def panel(tmp_path: Path) -> Panel:
    return Panel(tmp_path / "home")


def comes_back(panel: Panel, file: Path) -> None:
    said = panel.run(*START, panel.add("kept"), ["backup", str(file)])
    assert said.startswith(f"{file}: ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    panel.run(panel.add("later"))
    assert panel.nodes == ["kept", "later"]
    assert panel.ask(ROWS.format("backup")) == [(operator(), f"Backup to {file} asked for")]
    assert panel.run(["restore", str(file)]).startswith("Restored as of ")
    assert panel.nodes == ["kept"]
    backup, restored = panel.ask(ROWS.format("backup"))
    assert (backup[0], restored[0], restored[1][:14]) == (operator(), operator(), "Restored as of")
    assert panel.run(["audit_verify"])


def test_what_was_there_at_the_backup_is_there_after_the_restore(panel: Panel, tmp_path: Path) -> None:
    comes_back(panel, tmp_path / "berth.backup")


@pytest.mark.postgres
def test_the_same_on_postgresql(postgres_server: PostgresServer, tmp_path: Path) -> None:
    comes_back(Panel(tmp_path / "home", postgres_server.new_database()), tmp_path / "berth.backup")


def test_a_restore_under_a_running_controller_is_refused(panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "berth.backup"
    panel.run(*START, ["backup", str(file)])
    panel.ask(LEADS)
    with pytest.raises(ManageError, match="stop web, controller and worker first"):
        panel.run(["restore", str(file)])


def test_another_secret_key_is_said(panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "berth.backup"
    panel.run(*START, ["backup", str(file)])
    panel.env["BERTH_SECRET_KEY"] = secrets.token_urlsafe(40)
    assert "BERTH_SECRET_KEY is not the one of the backup" in panel.run(["restore", str(file)])


@pytest.mark.parametrize("kind", ["empty", "half", "link"])
def test_what_is_no_whole_backup_changes_nothing(panel: Panel, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "berth.backup"
    panel.run(*START, panel.add("kept"), ["backup", str(file)])
    match kind:
        case "empty":
            file.write_bytes(b"")
        case "half":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        case _:
            _lead_out(file)
    with pytest.raises(ManageError, match=r"Not restored: .* cannot be read as a backup"):
        panel.run(["restore", str(file)])
    assert panel.nodes == ["kept"]


def _lead_out(file: Path) -> None:
    """A backup whose folder is a link to one of the machine's."""
    with tarfile.open(file, "w:gz") as archive:
        link = tarfile.TarInfo("ca")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
