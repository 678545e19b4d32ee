"""How long a slot waits before its next generation."""

from __future__ import annotations

LONGEST = 300.0


def backoff(failures: int) -> float:
    """Seconds to wait after this many failures in a row: 0, 1, 2, 4 … 300."""
    if failures <= 0:
        return 0.0
    return min(2.0 ** min(failures - 1, 16), LONGEST)
