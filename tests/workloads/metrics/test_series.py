"""The store of points: what was written is read, coarser points follow, and Redis forgets by itself."""

from __future__ import annotations

import numpy as np
import pytest

from console.cluster import looks, series
from console.cluster.series import FINEST, RINGS
from console.common import redis as keys
from lab.redis_server import RedisServer

TEN, MINUTE, TENS = RINGS


def point(cpu: float, memory: float = 0.0, weight: float = 1.0) -> series.Points:
    made = np.zeros(1, series.POINT)
    made["weight"], made["cpu"], made["cpu_max"] = weight, cpu, cpu
    made["memory"] = made["memory_max"] = memory
    return made


@pytest.fixture
def start(with_redis: RedisServer) -> int:
    """The begin of the ten minutes before these, so that nothing expires under a test."""
    return int(looks.now()) // 600 * 600 - 600


def numbers(ring: series.Ring, subject: str, begin: int, count: int, field: str = "cpu") -> list[float]:
    values: list[float] = series.read(ring, [subject], begin, count)[0][field].tolist()
    return values


def test_points_are_read_where_they_were_written_and_nowhere_else(start: int) -> None:
    series.record(start + 20, {"slot:a": point(100), "slot:b": point(7)})
    series.record(start + 40, {"slot:a": point(300)})
    assert numbers(TEN, "slot:a", start, 6) == [0, 0, 100, 0, 300, 0]
    assert numbers(TEN, "slot:a", start, 6, "weight") == [0, 0, 1, 0, 1, 0]
    assert numbers(TEN, "slot:b", start, 6) == [0, 0, 7, 0, 0, 0]
    assert numbers(TEN, "slot:c", start, 6) == [0] * 6
    assert series.read(TEN, [], start, 6).shape == (0, 6)


def test_a_coarser_point_is_the_mean_of_what_is_there_and_its_peak(start: int) -> None:
    for number, cpu in enumerate((100, 200, 600)):
        series.record(start + 10 * number, {"app:a": point(cpu)})
    assert numbers(MINUTE, "app:a", start, 2) == [300, 0]
    assert numbers(MINUTE, "app:a", start, 2, "cpu_max") == [600, 0]
    assert numbers(MINUTE, "app:a", start, 2, "weight") == [3, 0]
    series.record(start + 60, {"app:a": point(700)})
    # Of ten minutes each ten seconds count alike, not each minute.
    assert numbers(TENS, "app:a", start, 1) == [400]
    assert numbers(TENS, "app:a", start, 1, "cpu_max") == [700]
    assert numbers(TENS, "app:a", start, 1, "weight") == [4]


def test_writing_a_point_twice_changes_nothing(start: int) -> None:
    for _ in range(2):
        series.record(start, {"app:a": point(100)})
        series.record(start + 10, {"app:a": point(200)})
    assert [numbers(ring, "app:a", start, 1) for ring in RINGS] == [[100], [150], [150]]


def test_a_read_goes_over_chunks_that_are_there_and_that_are_not(start: int) -> None:
    series.record(start + 590, {"app:a": point(1)})
    series.record(start + 600, {"app:a": point(2)})
    assert numbers(TEN, "app:a", start - 600, 122)[118:] == [0, 1, 2, 0] or numbers(
        TEN, "app:a", start + 580, 4
    ) == [0, 1, 2, 0]
    assert numbers(TEN, "app:a", start + 580, 4) == [0, 1, 2, 0]


def test_each_chunk_expires_once_nothing_of_it_is_wanted(start: int) -> None:
    series.record(start, {"app:a": point(1)})
    for ring in RINGS:
        lifetime = keys.client().ttl(ring.key("app:a", start)) + looks.now() - start
        last = start - start % ring.span + ring.span
        assert lifetime == pytest.approx(last - start + ring.keep, abs=3)


def test_a_subject_takes_no_more_than_is_said(start: int) -> None:
    """The bound that the decision record states."""
    size = series.POINT.itemsize
    assert size == 36
    assert sum(ring.keep // ring.step for ring in RINGS) * size == 101_088
    series.record(start + 590, {"slot:one-whole-chunk": point(1)})
    used = keys.client().memory_usage(FINEST.key("slot:one-whole-chunk", start))
    assert used is not None
    assert used < 60 * size + 700
