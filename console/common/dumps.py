"""The database as one file, and back: SQLite by its own backup call, PostgreSQL by its own programs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from console.common.errors import BerthError

TIMEOUT = 3600.0
"""Seconds for one run of a program of PostgreSQL."""


class DumpFailed(BerthError):
    code = "dump_failed"


def kind() -> str:
    """`sqlite` or `postgresql`."""
    return str(connections["default"].vendor)


def dump(target: Path) -> None:
    """A consistent copy of the database as it is now, while others go on writing. Raises `DumpFailed`."""
    if kind() == "sqlite":
        with (
            closing(sqlite3.connect(_database()["NAME"])) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            # One file, whoever opens it next.
            copy.execute("PRAGMA journal_mode=DELETE")
        return
    _program("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


def load(source: Path) -> None:
    """Put a copy in the place of the present database: all of it, or nothing. Raises `DumpFailed`."""
    connections.close_all()
    if kind() == "sqlite":
        _check(source)
        path = Path(_database()["NAME"])
        fresh = path.with_name(f"{path.name}.restoring")
        shutil.copyfile(source, fresh)
        fresh.chmod(0o600)
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        os.replace(fresh, path)
        return
    flags = (
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
    )
    _program("pg_restore", *flags, f"--dbname={_database()['NAME']}", str(source))


def _check(source: Path) -> None:
    try:
        with closing(sqlite3.connect(source)) as copy:
            [(answer,)] = copy.execute("PRAGMA integrity_check")
    except sqlite3.DatabaseError as error:
        raise DumpFailed(f"The copy of the database cannot be read: {error}") from error
    if answer != "ok":
        raise DumpFailed(f"The copy of the database is damaged: {answer}")


def _database() -> Mapping[str, Any]:
    return settings.DATABASES["default"]


def _program(name: str, *options: str) -> None:
    if shutil.which(name) is None:
        raise DumpFailed(f"{name} is not installed: apt-get install postgresql-client")
    database = _database()
    names = {
        "PGHOST": "HOST",
        "PGPORT": "PORT",
        "PGUSER": "USER",
        "PGPASSWORD": "PASSWORD",
        "PGDATABASE": "NAME",
    }
    given = {variable: str(database[key]) for variable, key in names.items() if database.get(key)}
    done = subprocess.run(
        [name, *options],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    if done.returncode:
        raise DumpFailed(f"{name} failed: {done.stderr.strip()[-2000:]}")
