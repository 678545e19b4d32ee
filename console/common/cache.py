"""The cache: counts of attempts, in Redis, so that all web processes share them.

Without Redis each process counts by itself: nobody is locked out, and nobody may guess without end.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import redis
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

from console.common.redis import connected
from console.common.redis_url import sentinels

logger = logging.getLogger(__name__)

TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
PAUSE = 5.0
"""Seconds for which a Redis that did not answer is not asked again."""


class JsonSerializer:
    """What Redis holds is data: it is never run as code, as a pickle would be."""

    def __init__(self, protocol: Any = None) -> None:
        del protocol

    def dumps(self, value: Any) -> Any:
        # Redis counts up what is stored as a bare number.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, stored: Any) -> Any:
        return json.loads(stored)


class Client(RedisCacheClient):
    """Of one Redis, or of the master that Sentinels name."""

    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(servers, **options)
        self._sentinels = sentinels(servers[0]) is not None
        self._timeouts = {name: options[name] for name in TIMEOUTS if name in options}

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        return _master(**self._timeouts) if self._sentinels else super().get_client(key, write=write)


@cache
def _master(**timeouts: float) -> redis.Redis:
    return connected(**timeouts)


class Cache(RedisCache):
    """Redis' cache with one in memory that stands in for it."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        options = {"serializer": JsonSerializer(), **params.get("OPTIONS", {})}
        # As a list: of a text, a comma would separate two servers of which one is written to.
        servers: Any = [server]
        super().__init__(servers, {**params, "OPTIONS": options})
        self._class = Client
        self._local = LocMemCache("berth", {})
        self._away_until = 0.0

    def _either(
        self, shared: Callable[..., Any], local: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        if time.monotonic() >= self._away_until:
            try:
                return shared(*args, **kwargs)
            except (redis.RedisError, OSError) as error:
                logger.warning("Attempts are counted by each process for %.0f s: %s", PAUSE, error)
                self._away_until = time.monotonic() + PAUSE
        return local(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().add, self._local.add, *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().get, self._local.get, *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().set, self._local.set, *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().touch, self._local.touch, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().delete, self._local.delete, *args, **kwargs)

    def has_key(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().has_key, self._local.has_key, *args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> Any:
        return self._either(super().incr, self._local.incr, *args, **kwargs)

    def clear(self) -> None:
        """Of this process alone: Redis' own would empty it of everything, not only of what the cache put there."""
        self._local.clear()
