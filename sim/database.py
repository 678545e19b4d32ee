"""The real schema in memory: made once per process, its rows put back to the first ones for each seed."""

from __future__ import annotations

import os
from functools import cache
from random import Random
from typing import Any


def prepare() -> None:
    """Before anything of Django is imported."""
    os.environ.update(
        DATABASE_URL="sqlite://:memory:",
        BERTH_ROLLOUT_DEADLINE="60",
        BERTH_SECRET_KEY="a run of the simulation keeps no secrets",
        BERTH_LOG_LEVEL="CRITICAL",
        DJANGO_SETTINGS_MODULE="console.settings",
    )
    import django

    django.setup()
    _find_parameters_once()


def _find_parameters_once() -> None:
    """Django rewrites each statement for SQLite, and they are the same few hundred again and again."""
    from django.db.backends.sqlite3.base import FORMAT_QMARK_REGEX, SQLiteCursorWrapper

    kept = cache(lambda query: FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%"))
    by_name = SQLiteCursorWrapper.convert_query

    def convert_query(self: Any, query: str, *, param_names: list[str] | None = None) -> str:
        return str(kept(query) if param_names is None else by_name(self, query, param_names=param_names))

    SQLiteCursorWrapper.convert_query = convert_query  # type: ignore[method-assign]


def _now() -> str:
    """By the clock of the present run."""
    from django.utils import timezone

    return str(timezone.now().replace(tzinfo=None))


class Database:
    def __init__(self) -> None:
        from django.apps import apps
        from django.conf import settings
        from django.core.management import call_command
        from django.db import connection

        from console.accounts.services import create_first_owner
        from console.cluster.queries import cluster
        from console.common.ids import use_source

        use_source(Random(0))
        # From the models at once: the same tables, without the time for every migration.
        settings.MIGRATION_MODULES = {app.label: None for app in apps.get_app_configs()}
        call_command("migrate", run_syncdb=True, verbosity=0)
        create_first_owner(email="owner@example.com")
        cluster()
        # Once: a function that is made anew has every statement compiled anew.
        connection.connection.create_function("virtual_now", 0, _now)
        self._connection = connection
        self._first = {table: self._execute(f'SELECT * FROM "{table}"') for table in self._tables()}

    def reset(self) -> None:
        """Row by row: another database in its place would have every statement compiled anew."""
        raw = self._connection.connection
        raw.execute("BEGIN")
        for table, rows in self._first.items():
            raw.execute(f'DELETE FROM "{table}"')
            if rows:
                raw.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(rows[0]))})', rows)
        raw.execute("COMMIT")

    def _tables(self) -> list[str]:
        """The counter of ids last: filling the others moves it."""
        made = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name = 'sqlite_sequence', name"
        return [name for [name] in self._execute(made)]

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self._connection.connection.execute(sql))
