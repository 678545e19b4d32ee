"""How objects look to clients: explicit serializers, which the schema is made from as well."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from rest_framework import serializers


@cache
def _serializer(kind: Any) -> serializers.Serializer[Any]:
    """One for all requests: making its fields takes longer than showing a row, and showing one changes nothing."""
    made: serializers.Serializer[Any] = kind()
    return made


def shown(kind: type[serializers.Serializer[Any]], rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Each of the rows as `kind` shows it."""
    serializer = _serializer(kind)
    return [serializer.to_representation(row) for row in rows]


def shown_one(kind: type[serializers.Serializer[Any]], row: Any) -> dict[str, Any]:
    """As `shown`, of one."""
    return dict(_serializer(kind).to_representation(row))
