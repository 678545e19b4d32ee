"""Wrong tokens, counted by address: who tries many is slowed down. A right token is never held up by others' tries."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.exceptions import Throttled

from console.common.origin import address_of

WINDOW = 60


def count_failure(request: HttpRequest) -> None:
    """Raises `Throttled` (429) once the address has had its share of the minute."""
    key = f"token-failures:{address_of(request)}"
    try:
        tried = 1 if cache.add(key, 1, WINDOW) else cache.incr(key)
    except ValueError:  # it ended between the two
        return
    if tried > settings.TOKEN_FAILURES:
        raise Throttled(wait=WINDOW)
