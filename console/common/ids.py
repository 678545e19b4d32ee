"""Opaque ids: 16 characters of lower-case base 32, 80 random bits, safe in names of engines and URLs."""

from __future__ import annotations

import secrets
from base64 import b32encode
from random import Random
from typing import Any

from django.db import models

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_source: Random | None = None


def use_source(source: Random | None) -> None:
    """Simulations pass a seeded generator, so that a run can be replayed exactly; None is the system's again."""
    global _source  # noqa: PLW0603
    _source = source


def new_id() -> str:
    if _source is None:
        # One request to the system; `SystemRandom.choices` makes one for each character.
        return b32encode(secrets.token_bytes(10)).decode().lower()
    return "".join(_source.choices(_ALPHABET, k=16))


class IdField(models.CharField):  # type: ignore[type-arg]  # not generic at run time
    """Primary key that holds `new_id()`."""

    def __init__(self, **options: Any) -> None:
        defaults = {"primary_key": True, "max_length": 16, "default": new_id, "editable": False}
        super().__init__(**{**defaults, **options})
