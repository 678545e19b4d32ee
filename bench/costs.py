"""Which processes the processor's time went to."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from bench.pace import Pace


class Costs:
    """CPU seconds of processes and their children, between two looks; and of the whole machine, with its pace."""

    def __init__(self, pids: Mapping[str, int | None]) -> None:
        """By name; `engine-1` and `engine-2` count together, as `engine`."""
        self._pids = pids

    @contextmanager
    def into(self, found: dict[str, dict[str, float]], case: str) -> Iterator[None]:
        before, machine, load = self._spent(), busy(), os.getloadavg()[0]
        pace = Pace()
        with pace.watched():
            yield
        after = self._spent()
        found[case] = {name: round(after[name] - before.get(name, 0.0), 2) for name in after}
        found[case] |= {"machine": round(busy() - machine, 1), "load_before": round(load, 1)}
        found[case] |= {"pace_ms": round(pace.milliseconds, 2)}

    def _spent(self) -> dict[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        for name, pid in self._pids.items():
            if pid is not None:
                found[name.partition("-")[0]] += spent(pid)
        return found


def spent(pid: int) -> float:
    """CPU seconds of a process and of its children that are alive, and of those that it waited for."""
    process = psutil.Process(pid)
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return float(total)


def busy() -> float:
    """CPU seconds that the machine has worked since it booted."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
