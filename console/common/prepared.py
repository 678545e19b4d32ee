"""Queries of which the SQL is made once. Building and compiling a queryset takes Django a millisecond or two, many
times what the database needs to answer it; the controller asks the same few questions in each of its steps.

    _SLOTS = Prepared(lambda app: Slot.objects.filter(service__app=app, retired=False))
    slots = _SLOTS(app.id)

The SQL is Django's own, made with stand-ins for the values; each call puts its values where those are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    ValuesListIterable,
    get_related_populators,
)
from django.db.models.sql import DeleteQuery, UpdateQuery

Row = TypeVar("Row")
Scalar = str | int | datetime
Value = Scalar | Collection[str]
_Key = tuple[object, ...]
"""The database's kind, and of each value its type; of a collection, how many it has room for."""
_FIRST_DAY, _FIRST_NUMBER = datetime(1900, 1, 1, tzinfo=UTC), 1_900_000_000
"""Stand-ins count from here: nothing that a query says itself comes near."""


class Prepared(Generic[Row]):
    """The rows of `make(*values)` as a list. `make` hands its values to a queryset and looks at none: what it makes
    at the first call serves all. A collection of texts is for an `__in`; an empty one finds nothing."""

    def __init__(self, make: Callable[..., QuerySet[Any, Row]]) -> None:
        self._make = make
        self._known: dict[_Key, _Select[Row]] = {}

    def __call__(self, *values: Value) -> list[Row]:
        connection = connections[DEFAULT_DB_ALIAS]
        key, flat = _flatten(connection.vendor, values)
        if flat is None:
            return []
        select = self._known.get(key)
        if select is None:
            select = self._known[key] = _Select(self._make(*_stand_ins(values)), values)
        return select.rows(connection, flat)

    def first(self, *values: Value) -> Row | None:
        """For a queryset that is cut to one row, or finds no more."""
        return next(iter(self(*values)), None)


class _PreparedChange:
    """How many rows were changed by a statement on those of `make(*values)`."""

    def __init__(self, make: Callable[..., QuerySet[Any]]) -> None:
        self._make = make
        self._known: dict[_Key, _Statement] = {}

    def __call__(self, *values: Value) -> int:
        connection = connections[DEFAULT_DB_ALIAS]
        key, flat = _flatten(connection.vendor, values)
        if flat is None:
            return 0
        statement = self._known.get(key)
        if statement is None:
            statement = self._known[key] = self._statement(values)
        with transaction.mark_for_rollback_on_error(DEFAULT_DB_ALIAS), connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.params(connection, flat))
            return int(cursor.rowcount)

    def _statement(self, values: tuple[Value, ...]) -> _Statement:
        compiler = self._query(_stand_ins(values)).get_compiler(using=DEFAULT_DB_ALIAS)
        return _Statement(compiler.connection, compiler.as_sql(), values)

    def _query(self, given: tuple[Value, ...]) -> Any:
        raise NotImplementedError


class PreparedUpdate(_PreparedChange):
    """`make(*values).update(**changes(*values))`: how many rows there were. As in `Prepared`."""

    def __init__(self, make: Callable[..., QuerySet[Any]], changes: Callable[..., dict[str, Any]]) -> None:
        super().__init__(make)
        self._changes = changes

    def _query(self, given: tuple[Value, ...]) -> Any:
        query: Any = self._make(*given).query.chain(UpdateQuery)
        query.add_update_values(self._changes(*given))
        return query


class PreparedDelete(_PreparedChange):
    """The rows of `make(*values)` go, at once: for those to which no others point, which Django would look for."""

    def _query(self, given: tuple[Value, ...]) -> Any:
        return self._make(*given).query.chain(DeleteQuery)


class _Statement:
    """SQL, and where among its parameters the values belong."""

    def __init__(
        self, connection: BaseDatabaseWrapper, said: tuple[str, Collection[Any]], values: tuple[Value, ...]
    ) -> None:
        self.sql, self._params = said[0], list(said[1])
        _key, flat = _flatten(connection.vendor, _stand_ins(values))
        numbers = {_adapted(connection, value): number for number, value in enumerate(flat or ())}
        self._places = [
            (place, numbers[param])
            for place, param in enumerate(self._params)
            if isinstance(param, str | int | datetime) and param in numbers
        ]
        if len({number for _place, number in self._places}) < len(numbers):
            raise ValueError(f"not every value became a parameter of {self.sql}")

    def params(self, connection: BaseDatabaseWrapper, flat: list[Scalar]) -> tuple[Any, ...]:
        params = self._params.copy()
        for place, number in self._places:
            params[place] = _adapted(connection, flat[number])
        return tuple(params)


class _Select(Generic[Row]):
    """A queryset whose compiler has done its work, and what Django's iterables would find out anew at each call."""

    def __init__(self, queryset: QuerySet[Any, Row], values: tuple[Value, ...]) -> None:
        iterable: Any = getattr(queryset, "_iterable_class")  # noqa: B009  (it has no public name)
        if iterable not in _MAKERS:
            raise TypeError(f"a {iterable.__name__} cannot be prepared")
        compiler: Any = queryset.query.get_compiler(using=DEFAULT_DB_ALIAS)
        self._statement = _Statement(compiler.connection, compiler.as_sql(), values)
        converters = compiler.get_converters([one[0] for one in compiler.select[: compiler.col_count]])
        self._converters = [
            (place, convert, column) for place, (several, column) in converters.items() for convert in several
        ]
        self._make: Callable[[Sequence[Any]], Row] = _MAKERS[iterable](compiler)

    def rows(self, connection: BaseDatabaseWrapper, flat: list[Scalar]) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(self._statement.sql, self._statement.params(connection, flat))
            found: list[Sequence[Any]] = cursor.fetchall()
        if self._converters:
            found = [self._converted(row, connection) for row in found]
        return list(map(self._make, found))

    def _converted(self, row: Sequence[Any], connection: BaseDatabaseWrapper) -> Sequence[Any]:
        values = list(row)
        for place, convert, column in self._converters:
            values[place] = convert(values[place], column, connection)
        return values


def _models(compiler: Any) -> Callable[[Sequence[Any]], Any]:
    """As `ModelIterable` makes objects."""
    told, annotations = compiler.klass_info, compiler.annotation_col_map
    first, end = told["select_fields"][0], told["select_fields"][-1] + 1
    names = [one[0].target.attname for one in compiler.select[first:end]]
    # The stubs are those of a later Django.
    related = get_related_populators(told, compiler.select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]
    from_db = told["model"].from_db

    def make(row: Sequence[Any]) -> Any:
        made = from_db(DEFAULT_DB_ALIAS, names, row[first:end])
        for each in related:
            each.populate(row, made)
        for name, place in annotations.items():
            setattr(made, name, row[place])
        return made

    return make


def _tuples(compiler: Any) -> Callable[[Sequence[Any]], Any]:
    """A query may select more than it was asked for, to sort by it."""
    count: int = compiler.col_count
    return lambda row: tuple(row[:count])


def _firsts(_compiler: Any) -> Callable[[Sequence[Any]], Any]:
    return itemgetter(0)


_MAKERS: dict[object, Callable[[Any], Callable[[Sequence[Any]], Any]]] = {
    ModelIterable: _models,
    ValuesListIterable: _tuples,
    FlatValuesListIterable: _firsts,
}
"""By how a queryset gives its rows: one row of the database → one of the result."""


def _room(count: int) -> int:
    """Few sizes, so that few statements are kept; the last text stands in what is left."""
    return 1 << (count - 1).bit_length()


def _flatten(vendor: str, values: tuple[Value, ...]) -> tuple[_Key, list[Scalar] | None]:
    """The key, and the values one by one; None where a collection is empty."""
    key: list[object] = [vendor]
    flat: list[Scalar] = []
    for value in values:
        if isinstance(value, str | int | datetime):
            key.append(type(value))
            flat.append(value)
            continue
        texts = sorted(value)
        if not texts:
            return (), None
        key.append(_room(len(texts)))
        flat += texts + texts[-1:] * (_room(len(texts)) - len(texts))
    return tuple(key), flat


def _stand_ins(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Of the same types, each unlike any other value."""
    found: list[Value] = []
    for number, value in enumerate(values):
        if isinstance(value, str):
            found.append(f"?{number}")
        elif isinstance(value, datetime):
            found.append(_FIRST_DAY + timedelta(days=number))
        elif isinstance(value, int):
            found.append(_FIRST_NUMBER + number)
        else:
            found.append([f"?{number}:{place:05}" for place in range(_room(len(value)))])
    return tuple(found)


def _adapted(connection: BaseDatabaseWrapper, value: Scalar) -> Any:
    """As a field hands it to the database."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
