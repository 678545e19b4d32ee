"""Resident memory of each process, idle, with its children."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil

from lab.lab import Lab

SETTLE = 10.0
NAMES = ("web", "controller", "worker", "agent-1", "redis")


def measure(lab: Lab) -> Iterator[dict[str, Any]]:
    time.sleep(SETTLE)
    for name in NAMES:
        pid = lab.pid(name)
        if pid is None:
            raise RuntimeError(f"{name} does not run")
        process = psutil.Process(pid)
        parts = [process, *process.children(recursive=True)]
        total = sum(part.memory_info().rss for part in parts)
        yield {"case": "resident memory, idle", "process": name, "mib": round(total / 1024**2)}
