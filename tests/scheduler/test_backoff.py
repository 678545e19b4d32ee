"""How long a slot waits."""

from __future__ import annotations

from itertools import pairwise

import pytest

from scheduler.backoff import backoff


def test_back_off_doubles_up_to_five_minutes() -> None:
    assert [backoff(n) for n in (0, 1, 2, 3, 9, 10, 10_000)] == [0, 1, 2, 4, 256, 300, 300]


def test_it_is_as_long_as_was_asked_for_at_least() -> None:
    assert [backoff(n, 5.0) for n in (0, 1, 3, 4, 10)] == [5, 5, 5, 8, 300]
    assert backoff(10, 600.0) == 600


@pytest.mark.parametrize("least", [0.0, 5.0, 600.0])
def test_it_never_shrinks(least: float) -> None:
    waits = [backoff(failures, least) for failures in range(-1, 30)]
    assert all(earlier <= later for earlier, later in pairwise(waits))
