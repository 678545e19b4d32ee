"""The two Redis clients, and the names of what the console keeps there. All of it can be rebuilt."""

from __future__ import annotations

from functools import cache
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from django.conf import settings

from console.common.redis_url import sentinels

REPORTS = "berth:reports"
"""Stream of what nodes observed, and of pokes."""
EPOCH = "berth:epoch"
"""Random word set with the first use of a Redis; another one means that its contents are gone."""
CONTACT = "berth:contact"
"""Sorted set: node id by the time (Redis' clock) of its last stored heartbeat."""
BEATS = "berth:beats"
"""Hash: node id to the last heartbeat."""


def looks_key(node_id: str) -> str:
    """List of what a node said of its use in the last minutes."""
    return f"berth:looks:{node_id}"


PULSE = "berth:pulse"
"""Hash: each controller to how long its steps take."""

RECORDED = "berth:series-recorded"
"""Up to which second the series below are written."""


def series_key(step: int, subject: str, chunk: int) -> str:
    return f"berth:series:{step}:{subject}:{chunk}"


def stream_channel(stream_id: str) -> str:
    return f"berth:stream:{stream_id}"


def exec_ticket_key(digest: str) -> str:
    """What a one-use ticket for a terminal stands for; only the ticket's SHA-256 is part of it."""
    return f"berth:exec:{digest}"


def api_rate_key(caller: str, window: int) -> str:
    """How many requests of the API this caller made in this minute."""
    return f"berth:api-rate:{caller}:{window}"


@cache
def client() -> redis.Redis:
    """Blocking client. Every call ends within a few seconds."""
    return connected(socket_timeout=5, socket_connect_timeout=3, health_check_interval=10)


def connected(**options: Any) -> redis.Redis:
    """A client of the Redis in force: the one there is, or the master that Sentinels name at each connection."""
    if (found := sentinels(settings.REDIS_URL)) is None:
        return redis.Redis.from_url(settings.REDIS_URL, **options)
    watch: Any = redis.sentinel.Sentinel
    master: redis.Redis = watch(found.hosts, sentinel_kwargs=found.sentinel_kwargs).master_for(
        found.master, **found.login, **options
    )
    return master


def async_client() -> redis.asyncio.Redis:
    """A client for the running event loop; the caller closes it."""
    options: dict[str, Any] = {"socket_connect_timeout": 3, "health_check_interval": 10}
    if (found := sentinels(settings.REDIS_URL)) is None:
        return redis.asyncio.Redis.from_url(settings.REDIS_URL, **options)
    watch: Any = redis.asyncio.sentinel.Sentinel
    master: redis.asyncio.Redis = watch(found.hosts, sentinel_kwargs=found.sentinel_kwargs).master_for(
        found.master, **found.login, **options
    )
    return master
