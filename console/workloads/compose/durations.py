"""Durations as text."""

from __future__ import annotations


def go_duration(seconds: float) -> str:
    """Seconds as Go prints a duration: 1m30s, 1h0m1.5s, 500ms."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds == 0:
        return "0s"
    for scale, unit in ((1, "ns"), (1_000, "µs"), (1_000_000, "ms")):
        if nanoseconds < 1_000_000_000 and nanoseconds < scale * 1000:
            return f"{nanoseconds / scale:.9f}".rstrip("0").rstrip(".") + unit
    minutes, rest = divmod(nanoseconds, 60 * 1_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1e9:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
