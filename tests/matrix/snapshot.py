"""All rows of all tables, so that two calls can be compared by what they left behind."""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest.mock import patch

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import models
from django.utils import timezone

from console.common import ids

WAITING = "account_reauthentication_state"
"""Where a session keeps a request that goes on once the password was given again."""
Snapshot = dict[str, list[str]]
_TIME = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z| UTC)?")
_COUNTED = re.compile(r'"id": ?\d+')
"""An event's number in the text of a delivery. PostgreSQL gives none of them twice, not even one that was undone."""
_LONG_AGO = "2000-"
"""Times of this year are never the clock's, and compared as they are."""


@contextmanager
def same_chance() -> Iterator[None]:
    """Ids and secrets made inside are the same each time."""
    source = random.Random(7)
    ids.use_source(source)
    try:
        with (
            patch.object(secrets, "choice", source.choice),
            patch.object(secrets, "token_urlsafe", lambda size: "".join(source.choices("abcdefgh", k=size))),
        ):
            yield
    finally:
        ids.use_source(None)


def snapshot(begun: datetime) -> Snapshot:
    """By table, its rows as sorted texts. Times since `begun` count by the minute; of sealed bytes only how many."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        rows = map(_decoded, Session.objects.all()) if model is Session else model._base_manager.values()
        found[model._meta.label] = sorted(_row(model, row, begun) for row in rows)
    return found


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Rows that are in one of the two alone."""
    said = []
    for table, rows in before.items():
        said += [f"- {table} {row}" for row in sorted(set(rows) - set(after[table]))]
        said += [f"+ {table} {row}" for row in sorted(set(after[table]) - set(rows))]
        if len(rows) != len(after[table]):
            said.append(f"{table}: {len(rows)} rows, {len(after[table])} rows")
    return said


def _decoded(session: Session) -> dict[str, Any]:
    """What is signed with the time would differ; a request that waits for the password differs as it was sent."""
    data = {key: value for key, value in session.get_decoded().items() if key != WAITING}
    return {"session_key": session.session_key, "data": data, "expire_date": session.expire_date}


def _row(model: type[models.Model], row: dict[str, Any], begun: datetime) -> str:
    counted = isinstance(model._meta.pk, models.AutoField)
    shown = {key: value for key, value in row.items() if not (counted and key == model._meta.pk.attname)}
    shown = {key: "some event" if key == "event_id" and value else value for key, value in shown.items()}
    return _COUNTED.sub('"id":…', repr({key: _value(value, begun) for key, value in shown.items()}))


def _value(value: Any, begun: datetime) -> Any:
    match value:
        case datetime():
            return f"{(value - begun).total_seconds() / 60:.0f} minutes" if value.year > 2000 else value
        case bytes() | memoryview():
            return f"{len(value)} bytes"
        case dict():
            return {key: _value(one, begun) for key, one in value.items()}
        case list():
            return [_value(one, begun) for one in value]
        case str():
            return _TIME.sub(lambda found: found[0] if found[0].startswith(_LONG_AGO) else "some time", value)
        case float():
            # allauth notes when a session came in.
            return "some time" if abs(value - timezone.now().timestamp()) < 3600 else value
        case _:
            return value
