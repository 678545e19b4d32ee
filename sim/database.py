"""The real schema in memory: made once per process, put back to its first state for each seed."""

from __future__ import annotations

import os
from random import Random


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
        self._connection = connection
        self._first = connection.connection.serialize()

    def reset(self) -> None:
        self._connection.connection.deserialize(self._first)
