"""How long a slot waits."""

from __future__ import annotations

from itertools import pairwise

from scheduler.backoff import backoff


def test_back_off_doubles_up_to_five_minutes() -> None:
    assert [backoff(n) for n in (0, 1, 2, 3, 9, 10, 10_000)] == [0, 1, 2, 4, 256, 300, 300]


def test_it_never_shrinks() -> None:
    waits = [backoff(failures) for failures in range(-1, 30)]
    assert all(earlier <= later for earlier, later in pairwise(waits))
