"""Inserts and updates of rows, of which the SQL is made once, as in `prepared`: Django takes longer to write it than
the database to do what it says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from itertools import chain
from types import NoneType
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    AutoField,
    BooleanField,
    CharField,
    DateTimeField,
    Field,
    IntegerField,
    Model,
    TextField,
)
from django.db.models.constants import OnConflict
from django.db.models.expressions import DatabaseDefault
from django.db.models.sql import InsertQuery
from psycopg.types.json import Jsonb

_BATCH = 1000
"""Rows per statement, at most: SQLite takes fewer."""
_MOST_KEPT = 100
"""Statements that grow with their rows are rare for more, and long: they are made anew."""
_NEVER = "\0"
"""Is in no text that PostgreSQL can have."""
_ANY = 0
"""Stands for any number of rows but one."""
_PROBES: dict[type[Field[Any, Any]], object] = {
    CharField: " Text ",
    TextField: " Text ",
    IntegerField: 7,
    BooleanField: True,
}
"""By this value is found out whether such a field hands what it has to the database unchanged."""


def insert(rows: Sequence[Model]) -> None:
    """Insert rows of one model, in the caller's transaction. As `bulk_create`, except that a row which has its id
    from the database is not told of it."""
    if rows:
        _insert_into(type(rows[0]), ())(rows)


def upsert(rows: Sequence[Model], fields: Sequence[str]) -> None:
    """As `insert`; of a row whose primary key is there already these fields are saved."""
    if rows:
        _insert_into(type(rows[0]), tuple(fields))(rows)


def update(row: Model, fields: Sequence[str], ids: Collection[str] | None = None) -> None:
    """Save these columns of a row, as `save(update_fields=…)`, but one that is gone stays gone; with ids, of those
    rows instead."""
    _update_of(type(row), tuple(fields))(row, [row.pk] if ids is None else ids)


class _Update:
    def __init__(self, model: type[Model], changed: tuple[str, ...]) -> None:
        quote = connections[DEFAULT_DB_ALIAS].ops.quote_name
        self._columns = _Columns([model._meta.get_field(name) for name in changed])
        columns = ", ".join(f"{quote(field.column)} = %s" for field in self._columns.fields)
        # Names of our own tables alone; the values are parameters.
        self._sql = (
            f"UPDATE {quote(model._meta.db_table)} SET {columns} "  # noqa: S608  # nosec B608 (own tables)
            f"WHERE {quote(str(model._meta.pk.column))} IN "
        )

    def __call__(self, row: Model, ids: Collection[str]) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        sql = f"{self._sql}({', '.join(['%s'] * len(ids))})"
        with transaction.mark_for_rollback_on_error(DEFAULT_DB_ALIAS), connection.cursor() as cursor:
            cursor.execute(sql, [*self._columns.of(row, connection, add=False), *ids])


class _Insert:
    def __init__(self, model: type[Model], changed: tuple[str, ...]) -> None:
        self._model, self._changed = model, changed
        self._fields: list[Any] = [
            field
            for field in model._meta.concrete_fields
            if not (field.generated or isinstance(field, AutoField))
        ]
        self._columns = _Columns(self._fields)
        self._left_open = [field.attname for field in self._fields if field.has_db_default()]
        """Where the database may be the one that decides."""
        self._known: dict[tuple[str, int], str] = {}
        """By the database's kind, and the number of rows."""

    def __call__(self, rows: Sequence[Model]) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        size = min(_BATCH, max(1, connection.ops.bulk_batch_size(self._fields, rows)))
        with transaction.mark_for_rollback_on_error(DEFAULT_DB_ALIAS), connection.cursor() as cursor:
            for start in range(0, len(rows), size):
                cursor.execute(*self._statement(connection, rows[start : start + size]))
        for row in rows:
            row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS

    def _statement(self, connection: BaseDatabaseWrapper, rows: Sequence[Model]) -> tuple[str, Sequence[Any]]:
        if any(isinstance(getattr(row, name), DatabaseDefault) for row in rows for name in self._left_open):
            return self._compiled(rows)
        if len(rows) > 1 and (sql := self._by_column(connection, rows)):
            return sql, self._columns.arrays(rows, connection)
        key = connection.vendor, len(rows)
        if sql := self._known.get(key, ""):
            return sql, list(chain.from_iterable(self._values(connection, rows)))
        sql, params = self._compiled(rows)
        if len(rows) <= _MOST_KEPT:
            self._known[key] = sql
        return sql, params

    def _by_column(self, connection: BaseDatabaseWrapper, rows: Sequence[Model]) -> str:
        """PostgreSQL is given an array for each column, however many rows there are; empty for the others."""
        key = connection.vendor, _ANY
        if key not in self._known:
            sql, _params = self._compiled(rows[:2])
            self._known[key] = sql if sql.count("%s") == len(self._fields) else ""
        return self._known[key]

    def _values(self, connection: BaseDatabaseWrapper, rows: Sequence[Model]) -> list[list[Any]]:
        return [self._columns.of(row, connection, add=True) for row in rows]

    def _compiled(self, rows: Sequence[Model]) -> tuple[str, Sequence[Any]]:
        """Django's own. It says the same of any other rows that leave nothing open, as long as there are as many."""
        fields = self._model._meta.get_field
        query = InsertQuery(
            self._model,
            on_conflict=OnConflict.UPDATE if self._changed else None,
            update_fields=[fields(name) for name in self._changed],
            unique_fields=[self._model._meta.pk],
        )
        query.insert_values(self._fields, list(rows))
        compiler: Any = query.get_compiler(using=DEFAULT_DB_ALIAS)
        [statement] = compiler.as_sql()
        return cast("tuple[str, Sequence[Any]]", statement)


_insert_into, _update_of = cache(_Insert), cache(_Update)


class _Columns:
    """What rows have in some fields, as the database is given it."""

    def __init__(self, fields: list[Any]) -> None:
        self.fields = fields
        self._bare = [_is_bare(field) for field in fields]
        self._kept: dict[str, list[type | None]] = {}
        """By the database's kind, of each field."""

    def of(self, row: Model, connection: BaseDatabaseWrapper, *, add: bool) -> list[Any]:
        """One row's, field by field."""
        values = []
        for field, bare, kept in zip(self.fields, self._bare, self._kept_by(connection), strict=True):
            value = getattr(row, field.attname) if bare else field.pre_save(row, add)
            if value is not None and type(value) is not kept:
                value = field.get_db_prep_save(value, connection=connection)
            values.append(value)
        return values

    def arrays(self, rows: Sequence[Model], connection: BaseDatabaseWrapper) -> list[list[Any] | str]:
        """New rows', of each field an array for PostgreSQL."""
        found = []
        for field, bare, kept in zip(self.fields, self._bare, self._kept_by(connection), strict=True):
            values = [getattr(row, field.attname) if bare else field.pre_save(row, True) for row in rows]
            if not {type(value) for value in values} <= {kept, NoneType}:
                save = field.get_db_prep_save
                values = [None if value is None else save(value, connection=connection) for value in values]
            found.append(_array(values))
        return found

    def _kept_by(self, connection: BaseDatabaseWrapper) -> list[type | None]:
        if connection.vendor not in self._kept:
            self._kept[connection.vendor] = [_kept(connection, field) for field in self.fields]
        return self._kept[connection.vendor]


def _is_bare(field: Any) -> bool:
    """Whether what is saved of the field is what the row has."""
    if isinstance(field, DateTimeField):
        return not (field.auto_now or field.auto_now_add)
    return type(field).pre_save is Field.pre_save


def _kept(connection: BaseDatabaseWrapper, field: Any) -> type | None:
    """The type whose values the field hands to the database as they are, or only dressed as another type of the same
    value; None for none."""
    while field.is_relation:
        field = field.target_field
    for kind, probe in _PROBES.items():
        if isinstance(field, kind) and field.get_db_prep_save(probe, connection=connection) == probe:
            return type(probe)
    return None


def _array(column: list[Any]) -> list[Any] | str:
    """As PostgreSQL's driver takes it. The driver itself looks for quotes in one text after another, and marks one
    after another: texts and JSON, which is full of them, are written here, all at once."""
    kinds = {type(value) for value in column} - {NoneType}
    if kinds == {Jsonb}:
        return _quoted([None if value is None else value.dumps(value.obj) for value in column])
    return _quoted(column) if all(issubclass(kind, str) for kind in kinds) else column


def _quoted(texts: list[str | None]) -> list[Any] | str:
    """An array of texts. One with the character that no text of the database can have is left to the driver, which
    refuses it."""
    given = [text for text in texts if text is not None]
    marked = _NEVER.join(given).replace("\\", "\\\\").replace('"', '\\"').split(_NEVER)
    if given and len(marked) != len(given):
        return texts
    following = iter(marked)
    quoted = ("NULL" if text is None else f'"{next(following)}"' for text in texts)
    return f"{{{','.join(quoted)}}}"
