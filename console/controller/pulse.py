"""How the loop is doing, told to whoever asks for `/metrics`: each controller's steps, in Redis."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import Any, cast

import msgspec
import redis

from console.common import redis as keys
from console.controller.models import Cursor

logger = logging.getLogger(__name__)

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: the upper bounds of the histogram, but for the last, which has none."""
EVERY = 1.0
SILENT = 60.0
"""Seconds after which a controller that says nothing is left out."""


class Steps(msgspec.Struct, kw_only=True):
    """Of one controller since its start. `counts[i]` steps took no longer than `BOUNDS[i]` and longer than the
    bound before; `at` is Unix seconds."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    failures: int = 0
    at: float = 0.0


class Pulse:
    """Counts one controller's steps and tells them at most once a second. Never raises."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.steps = Steps()
        self._told = 0.0

    def took(self, seconds: float) -> None:
        self.steps.counts[bisect_left(BOUNDS, seconds)] += 1
        self.steps.seconds += seconds
        self.tell()

    def failed(self) -> None:
        self.steps.failures += 1
        self.tell()

    def tell(self) -> None:
        """Also that it stands by: whoever is silent counts as gone."""
        if time.monotonic() - self._told < EVERY:
            return
        self._told = time.monotonic()
        self.steps.at = time.time()
        try:
            keys.client().hset(keys.PULSE, self.holder, msgspec.msgpack.encode(self.steps))
        except (redis.RedisError, OSError) as error:
            logger.debug("The loop's times cannot be told: %s", error)


def pulses() -> dict[str, Steps]:
    """By holder, of all controllers that run; what is left of others is swept away. Raises `RedisError`."""
    store, now = keys.client(), time.time()
    told = cast("dict[bytes, bytes]", store.hgetall(keys.PULSE))
    raw = {holder.decode(): msgspec.msgpack.decode(data, type=Steps) for holder, data in told.items()}
    gone = [holder for holder, steps in raw.items() if now - steps.at > SILENT]
    if gone:
        store.hdel(keys.PULSE, *gone)
    return {holder: steps for holder, steps in raw.items() if holder not in gone}


def lag() -> float:
    """Seconds from the newest report in the stream back to the last one taken in. Raises `RedisError`."""
    newest = cast("list[tuple[bytes, Any]]", keys.client().xrevrange(keys.REPORTS, count=1))
    cursor = Cursor.objects.filter(id=1).first()
    if not newest or cursor is None:
        return 0.0
    return max(0.0, (_milliseconds(newest[0][0].decode()) - _milliseconds(cursor.position)) / 1000)


def _milliseconds(position: str) -> int:
    return int(position.partition("-")[0])
