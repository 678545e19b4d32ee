"""How long a slot waits before its next generation."""

from __future__ import annotations

LONGEST = 300.0


def backoff(failures: int, least: float = 0.0) -> float:
    """Seconds to wait after this many failures in a row: 0, 1, 2, 4 … 300; `least` (Compose's delay) at least."""
    if failures <= 0:
        return least
    return max(min(2.0 ** min(failures - 1, 16), LONGEST), least)
