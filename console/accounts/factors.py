"""Second factors: who has one; and seeds of one-time codes and of recovery codes, as they are kept: sealed, inside the
data that allauth stores."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Q

from console.accounts import envelope

_BINDING = "second factor"
_SEEDS = ("secret", "seed")
"""What allauth calls them in an authenticator's data."""


REAL = Q(type__in=[Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN])
"""Recovery codes alone are none: they are what is left when one is lost."""


def has_one(user_id: str) -> bool:
    return bool(Authenticator.objects.filter(REAL, user_id=user_id).exists())


def seal(seed: str) -> str:
    return base64.b64encode(envelope.seal(seed.encode(), _BINDING)).decode()


def open_sealed(sealed: str) -> str:
    """Raises `envelope.CannotOpen`."""
    return envelope.open_sealed(base64.b64decode(sealed), _BINDING).decode()


def sealed_in(data: Mapping[str, Any]) -> list[bytes]:
    return [base64.b64decode(data[name]) for name in _SEEDS if name in data]


def rewrapped(authenticator: Authenticator) -> dict[str, Any] | None:
    """Its data with the seeds under the newest master key; None when they are. Raises `envelope.CannotOpen`."""
    fresh: dict[str, Any] = dict(authenticator.data)
    changed = False
    for name in _SEEDS:
        wrapped = envelope.rewrap(base64.b64decode(fresh[name]), _BINDING) if name in fresh else None
        if wrapped is not None:
            fresh[name], changed = base64.b64encode(wrapped).decode(), True
    return fresh if changed else None
