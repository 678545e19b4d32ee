"""A pull's stream of JSON lines, read to its end. Pure but for the clock."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from nodeagent.runtime.base import EngineTimeout, Progress
from nodeagent.runtime.faults import pull_fault


def read_pull(image: str, lines: Iterable[bytes], progress: Progress, deadline: float) -> None:
    """Reports each change; raises the error that the engine wrote into the stream, or on the deadline."""
    layers: dict[str, tuple[int, int]] = {}
    for line in lines:
        if time.monotonic() > deadline:
            raise EngineTimeout(f"Pulling {image} took longer than allowed and was given up.")
        if not line:
            continue
        message = json.loads(line)
        if "error" in message:
            raise pull_fault(image, str(message["error"]))
        detail = message.get("progressDetail") or {}
        if message.get("id") and detail.get("total"):
            layers[message["id"]] = (int(detail.get("current") or 0), int(detail["total"]))
        done = sum(current for current, _ in layers.values())
        progress(str(message.get("status") or ""), done, sum(total for _, total in layers.values()))
