"""Use over time, in Redis: fixed-size points in chunks that Redis forgets by itself (docs/adr/0014-metrics.md).

A subject is whatever has a history (`slot:…`, `app:…`, `node:…`). Of each there are three rings: an hour of points
of ten seconds, a day of minutes, a week of ten minutes. A coarser point is made anew from its finer ones whenever
one of them is written, so that nobody has to remember anything, and writing a point twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from console.common import redis as keys

FIELDS = ("cpu", "memory", "net_rx", "net_tx", "block_read", "block_write")
"""Means: thousandths of a core, bytes, and bytes a second."""
PEAKS = ("cpu", "memory")
"""Of which the highest is kept, too."""
POINT = np.dtype([("weight", "<f4"), *((f, "<f4") for f in FIELDS), *((f"{f}_max", "<f4") for f in PEAKS)])
"""`weight` is of how many ten seconds it tells; 0: there is nothing."""
PER_CHUNK = 60
AT_ONCE = 1000
"""Chunks that Redis is asked for at once: nobody else waits for long."""

Points = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Ring:
    """Points of `step` seconds, kept for `keep` seconds."""

    step: int
    keep: int

    @property
    def span(self) -> int:
        """Seconds of one chunk."""
        return self.step * PER_CHUNK

    def key(self, subject: str, at: int) -> str:
        return keys.series_key(self.step, subject, at // self.span)


RINGS = (Ring(10, 3600), Ring(60, 86400), Ring(600, 7 * 86400))
FINEST = RINGS[0]


def record(at: int, points: Mapping[str, Points]) -> None:
    """Write each subject's point of the ten seconds from `at` on, and what follows of it. Raises `RedisError`."""
    subjects = list(points)
    fresh = np.concatenate([points[subject] for subject in subjects]) if subjects else np.zeros(0, POINT)
    _write(FINEST, subjects, at, fresh)
    for finer, coarser in pairwise(RINGS):
        begin = at - at % coarser.step
        _write(coarser, subjects, begin, _merged(_span(finer, subjects, begin, coarser.step)))


def read(ring: Ring, subjects: Sequence[str], begin: int, count: int) -> Points:
    """`count` points of each subject from `begin` on, a row each. Raises `RedisError`."""
    first = begin - begin % ring.span
    chunks = range(first, begin + count * ring.step, ring.span)
    wanted = [ring.key(subject, at) for subject in subjects for at in chunks]
    size = PER_CHUNK * POINT.itemsize
    found: list[bytes | None] = []
    for some in range(0, len(wanted), AT_ONCE):
        found += cast("list[bytes | None]", keys.client().mget(wanted[some : some + AT_ONCE]))
    whole = b"".join((raw or b"").ljust(size, b"\0") for raw in found)
    points = np.frombuffer(whole, POINT).reshape(len(subjects), len(chunks) * PER_CHUNK)
    skipped = (begin - first) // ring.step
    return points[:, skipped : skipped + count]


def _write(ring: Ring, subjects: Sequence[str], at: int, points: Points) -> None:
    offset = at % ring.span // ring.step * POINT.itemsize
    gone = at - at % ring.span + ring.span + ring.keep
    pipe = keys.client().pipeline(transaction=False)
    for subject, point in zip(subjects, points, strict=True):
        key = ring.key(subject, at)
        pipe.setrange(key, offset, point.tobytes())
        pipe.expireat(key, gone)
    pipe.execute()


def _span(ring: Ring, subjects: Sequence[str], begin: int, seconds: int) -> Points:
    """The points within one coarser step, which lies within one chunk. A row each."""
    count = seconds // ring.step
    first = begin % ring.span // ring.step * POINT.itemsize
    size = count * POINT.itemsize
    pipe = keys.client().pipeline(transaction=False)
    for subject in subjects:
        pipe.getrange(ring.key(subject, begin), first, first + size - 1)
    whole = b"".join(raw.ljust(size, b"\0") for raw in pipe.execute())
    return np.frombuffer(whole, POINT).reshape(len(subjects), count)


def _merged(points: Points) -> Points:
    """One point of each row: means by weight, and the highest."""
    merged = np.zeros(len(points), POINT)
    weights = points["weight"]
    merged["weight"] = weights.sum(axis=1)
    divisor = np.maximum(merged["weight"], 1e-9)
    for field in FIELDS:
        merged[field] = (points[field] * weights).sum(axis=1) / divisor
    for field in PEAKS:
        merged[f"{field}_max"] = points[f"{field}_max"].max(axis=1, initial=0)
    return merged
