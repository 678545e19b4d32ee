"""How many requests a token, or a person, may make in a minute. Counted in Redis; without it nobody is held up."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import redis
from django.conf import settings

from console.common.redis import api_rate_key, connected

logger = logging.getLogger(__name__)

WINDOW = 60
_PAUSE = 5.0
"""Seconds for which a Redis that did not answer is not asked again."""
_away_until = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    limit: int
    used: int
    reset: int
    """Seconds until the window ends."""

    @property
    def over(self) -> bool:
        return self.used > self.limit

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.limit};w={WINDOW}",
        }


@cache
def _client() -> redis.Redis:
    """Of little patience: a count is not worth a wait."""
    return connected(socket_timeout=0.25, socket_connect_timeout=0.25)


def take(caller: str) -> Verdict | None:
    """Count one request of the caller. None: there is no limit, or Redis is away."""
    global _away_until  # noqa: PLW0603
    limit, now = int(settings.API_RATE), time.time()
    if not limit or time.monotonic() < _away_until:
        return None
    window, passed = divmod(int(now), WINDOW)
    key = api_rate_key(caller, window)
    try:
        with _client().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW)
            used, _expires = pipe.execute()
    except redis.RedisError as error:
        logger.warning("Requests are not counted for %.0f s: %s", _PAUSE, error)
        _away_until = time.monotonic() + _PAUSE
        return None
    return Verdict(limit, used, WINDOW - passed)
