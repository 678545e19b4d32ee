"""How objects look to clients: explicit serializers, which the schema is made from as well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers


def shown(kind: type[serializers.Serializer[Any]], rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Each of the rows as `kind` shows it."""
    return list(kind(rows, many=True).data)
