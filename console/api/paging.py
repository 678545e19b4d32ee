"""Pages by cursor. A page begins after the last row of the one before it, so that rows which come or go meanwhile
are neither shown twice nor left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import attrgetter, or_
from typing import Any, Generic, TypeVar

import msgspec
from django.core.exceptions import ValidationError as Invalid
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError

T = TypeVar("T")
M = TypeVar("M", bound=Model)
Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Fields by which a list is sorted; together they are unique."""

    keys: tuple[str, ...]
    descending: bool = False

    @property
    def columns(self) -> list[str]:
        return [f"-{key}" if self.descending else key for key in self.keys]

    def of(self, row: Any) -> Values:
        return tuple(attrgetter(key)(row) for key in self.keys)


BY_NAME = Order(("name", "id"))
NEWEST_FIRST = Order(("created_at", "id"), descending=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`cursor` is where the next one begins; empty: this is the last."""

    rows: Sequence[T]
    cursor: str = ""


def encode(values: Values) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def decode(cursor: str, length: int) -> Values:
    """Raises DRF's ValidationError for what was never a cursor of this list."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise unknown() from error
    if not isinstance(values, list) or len(values) != length:
        raise unknown()
    return tuple(values)


def unknown() -> ValidationError:
    return ValidationError({"cursor": [_("This is no cursor of this list. Begin again without one.")]})


def number_in(cursor: str) -> int:
    """Of a list that is sorted by a growing number. Raises as `decode`; 0 for no cursor."""
    if not cursor:
        return 0
    (found,) = decode(cursor, 1)
    if not isinstance(found, int) or not 0 < found < 2**63:
        raise unknown()
    return found


def cut(rows: Sequence[T], limit: int, values: Callable[[T], Values]) -> Page[T]:
    """The first `limit` of the rows; whoever read them asked for one more, to know whether there are any."""
    if len(rows) <= limit:
        return Page(rows)
    kept = rows[:limit]
    return Page(kept, encode(values(kept[-1])))


def select(rows: QuerySet[M], order: Order, *, limit: int, cursor: str = "") -> Page[M]:
    """A page of a query. It reads `limit` rows and one, whatever there is in all."""
    if cursor:
        rows = rows.filter(_after(order, _typed(rows, order, decode(cursor, len(order.keys)))))
    return cut(list(rows.order_by(*order.columns)[: limit + 1]), limit, order.of)


def pick(rows: Iterable[T], order: Order, *, limit: int, cursor: str = "") -> Page[T]:
    """A page of what is in memory already, and short."""
    found = sorted(rows, key=order.of, reverse=order.descending)
    if cursor:
        last = decode(cursor, len(order.keys))
        try:
            found = [row for row in found if _comparable(order.of(row), last, order)]
        except TypeError as error:
            raise unknown() from error
    return cut(found, limit, order.of)


def _comparable(values: Values, last: Values, order: Order) -> bool:
    plain = tuple(msgspec.to_builtins(values))
    return plain < last if order.descending else plain > last


def _typed(rows: QuerySet[M], order: Order, values: Values) -> Values:
    """The cursor's values as its fields have them."""
    try:
        fields = {field.name: field for field in rows.model._meta.concrete_fields}
        typed = [fields[key].to_python(value) for key, value in zip(order.keys, values, strict=True)]
    except (Invalid, TypeError, ValueError) as error:
        raise unknown() from error
    texts = [(value, given) for value, given in zip(typed, values, strict=True) if isinstance(value, str)]
    if None in typed or any(value != given or "\0" in value for value, given in texts):
        raise unknown()
    return tuple(typed)


def _after(order: Order, values: Values) -> Q:
    """What follows the row of these values. The first condition is implied by the others; an index uses it."""
    more = "lt" if order.descending else "gt"
    first = Q(**{f"{order.keys[0]}__{more}e": values[0]})
    steps = [
        Q(**dict(zip(order.keys[:number], values[:number], strict=True)), **{f"{key}__{more}": value})
        for number, (key, value) in enumerate(zip(order.keys, values, strict=True))
    ]
    return first & reduce(or_, steps)
