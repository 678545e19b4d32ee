"""Opaque ids: 16 characters of lower-case base 32, 80 random bits, safe in names of engines and URLs."""

from __future__ import annotations

import random
from typing import Any

from django.db import models

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_source: random.Random = random.SystemRandom()


def use_source(source: random.Random) -> None:
    """Simulations pass a seeded generator, so that a run can be replayed exactly."""
    global _source  # noqa: PLW0603
    _source = source


def new_id() -> str:
    return "".join(_source.choices(_ALPHABET, k=16))


class IdField(models.CharField):  # type: ignore[type-arg]  # not generic at run time
    """Primary key that holds `new_id()`."""

    def __init__(self, **options: Any) -> None:
        defaults = {"primary_key": True, "max_length": 16, "default": new_id, "editable": False}
        super().__init__(**{**defaults, **options})
