"""`x-` fields: kept as plain JSON values, and Berth's own below `x-berth`."""

from __future__ import annotations

import math
from typing import Any

from .cursor import OWN, Cursor
from .nodes import Node


def read_extensions(at: Cursor, *, own: bool = False) -> dict[str, Any]:
    """The `x-` fields of a mapping. `own`: Berth's are read elsewhere; else there are none, and each is an error."""
    found: dict[str, Any] = {}
    for entry in at.entries() if at.is_map else []:
        if entry.key == OWN:
            if not own and entry.node.value is not None:
                entry.fields(set(), unsupported=_Everything())
        elif entry.key is not None and entry.key.startswith("x-"):
            found[str(entry.key)] = _plain(entry, entry.node)
    return found


class _Everything(dict[str, str]):
    """Every key is in it, without a reason."""

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> str:
        return ""


def _plain(at: Cursor, node: Node) -> Any:
    if isinstance(node.value, dict):
        return {str(key): _plain(at, below) for key, below in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(at, below) for below in node.value]
    if isinstance(node.value, float) and not math.isfinite(node.value):
        at.fail("invalid", "infinite numbers cannot be kept")
        return None
    return node.value
