"""What a process that holds a large cluster asks of Python's collector of cycles."""

from __future__ import annotations

import gc


def look_seldom() -> None:
    """What is kept of a cluster are up to millions of small tuples, in which there are no cycles. By its own measure
    Python looks through all of them again and again: a quarter of the time in which a million containers are placed,
    and pauses of most of a second afterwards."""
    gc.set_threshold(50_000, 10, 10)
