"""Many rows in few statements."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Model

from console.common.writes import update, upsert

BATCH = 1000
"""Ids per statement."""


def save(rows: Iterable[Model], fields: Sequence[str]) -> None:
    """Save these columns of rows of one model that are wholly loaded; of those that are new, everything.

    As an insert that meets its own id and updates: a `CASE` over a thousand rows, which is what `bulk_update`
    writes, costs their square. In the order of ids, so that two such statements do not wait for each other.
    """
    upsert(sorted(rows, key=lambda row: str(row.pk)), fields)


def save_alike(rows: Iterable[Model], fields: Sequence[str]) -> None:
    """Save these columns of rows of one model, most of which have the same values: one statement for each
    set of values. The rest of a row need not be loaded."""
    groups: defaultdict[str, list[Model]] = defaultdict(list)
    for row in rows:
        key = [getattr(row, name) for name in fields]
        groups[json.dumps(key, sort_keys=True, cls=DjangoJSONEncoder)].append(row)
    for group in groups.values():
        for ids in chunks({str(row.pk) for row in group}):
            update(group[0], fields, ids)


def save_one(row: Model, fields: Sequence[str]) -> None:
    """Save these columns of a row."""
    update(row, fields)


def save_texts(model: type[Model], column: str, texts: Mapping[str, str]) -> None:
    """Save one text column of many rows, by id; the rows need not be loaded."""
    table, quote = model._meta.db_table, connection.ops.quote_name
    for ids in chunks(texts.keys()):
        values = ", ".join(["(%s, %s)"] * len(ids))
        # Names of our own tables alone; the values are parameters.
        sql = (
            f"WITH given(id, value) AS (VALUES {values}) "  # noqa: S608  # nosec B608 (names of our own tables)
            f"UPDATE {quote(table)} SET {quote(column)} = given.value FROM given WHERE {quote(table)}.id = given.id"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [part for id_ in ids for part in (id_, texts[id_])])


def chunks(ids: Collection[str]) -> Iterator[list[str]]:
    """In their order, as many at a time as a statement may name."""
    ordered = sorted(ids)
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
