"""Refuses a migration that breaks the release before it, which runs on the new schema until it is ended.

Each release only adds: a table, an index, a column that may be empty or has its default in the database. What is to go
is first left unused by one release, and goes with the next. A migration that is right all the same says why:
`safe_because = "…"` in its class.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from typing import Any, cast

import django
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

UNCHECKED = {
    "accounts": 5,
    "api": 1,
    "cluster": 5,
    "common": 2,
    "controller": 1,
    "images": 1,
    "network": 2,
    "workloads": 9,
}
"""Number of each app's last migration from before the promise."""
WHOLE = (migrations.DeleteModel, migrations.RenameModel, migrations.AlterModelTable)
GONE = (migrations.RemoveField, migrations.RenameField)
TIGHTER = (
    migrations.AddConstraint,
    migrations.AlterUniqueTogether,
    migrations.AlterOrderWithRespectTo,
)
DATA = (migrations.RunPython, migrations.RunSQL)


def findings(label: str, migration: migrations.Migration, before: ProjectState) -> list[str]:
    """What is wrong with it, a line each; `before` is the state that it begins with, and is changed."""
    if getattr(migration, "safe_because", ""):
        return []
    new: set[str] = set()
    found = []
    for operation in migration.operations:
        after = before.clone()
        operation.state_forwards(label, after)
        if isinstance(operation, migrations.CreateModel):
            new.add(operation.name_lower)
        elif _model(operation) not in new and (why := _why(label, operation, before, after)):
            found.append(f"{label} {migration.name}: {operation.describe()}: {why}")
        before = after
    return found


def _model(operation: Operation) -> str:
    name = getattr(operation, "model_name", "") or getattr(operation, "name", "")
    return str(name).lower()


def _why(label: str, operation: Operation, before: ProjectState, after: ProjectState) -> str:
    """Why the release before cannot live with it; empty where it can."""
    if isinstance(operation, WHOLE + GONE):
        return "the release before may still use it"
    if isinstance(operation, TIGHTER):
        return "the release before may write rows that it refuses"
    if isinstance(operation, DATA):
        return "rows that the release before writes afterwards do not see it"
    if isinstance(operation, migrations.AddField):
        return _added(_field(after, label, operation))
    if isinstance(operation, migrations.AlterField):
        return _altered(_field(before, label, operation), _field(after, label, operation))
    return ""


def _field(
    state: ProjectState, label: str, operation: migrations.AddField | migrations.AlterField
) -> models.Field[Any, Any]:
    model = state.apps.get_model(label, operation.model_name)
    return cast("models.Field[Any, Any]", model._meta.get_field(operation.name))


def _added(field: models.Field[Any, Any]) -> str:
    if field.unique and not field.null:
        return "rows of the release before would all have the same"
    if field.null or field.many_to_many or field.has_db_default():
        return ""
    return "the release before leaves it out: give it db_default, or null"


def _altered(old: models.Field[Any, Any], new: models.Field[Any, Any]) -> str:
    if old.db_type(connection) != new.db_type(connection) or (new.unique and not old.unique):
        return "another type, size or uniqueness than the release before knows"
    if (old.null and not new.null) or (old.has_db_default() and not new.has_db_default()):
        return "the release before may leave it empty"
    return ""


def checked(loader: MigrationLoader) -> Iterator[str]:
    """Findings in the migrations of Berth's own apps since the promise."""
    for (label, name), migration in sorted(loader.disk_migrations.items()):
        if migration.__module__.startswith("console.") and int(name[:4]) > UNCHECKED.get(label, 0):
            yield from findings(label, migration, loader.project_state((label, name), at_end=False))


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    os.environ.setdefault("BERTH_SECRET_KEY", secrets.token_urlsafe(32))
    django.setup()
    found = list(checked(MigrationLoader(None)))
    print("\n".join(found) or "the release before works on this one's schema")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
