"""What is in this cluster's volumes, in bytes: measured seldom, and by a program that gives way to all others."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from nodeagent.periodic import Periodic
from nodeagent.protocol import VolumeFact, Volumes
from nodeagent.runtime.base import Runtime

LOOK_EVERY = 30.0
"""Seconds between two looks at which volumes there are: a new one is measured soon."""
MEASURE_EVERY = 900.0
PATIENCE = 120.0
"""Seconds for measuring all; what is not done by then stays unknown."""
SHARE = 50.0
"""However long measuring takes, no more than one part in so many of the time is spent on it."""


class VolumeMeter(Periodic):
    """One thread. What it finds out goes through `send`."""

    def __init__(self, runtime: Runtime, cluster: Callable[[], str], send: Callable[[Volumes], None]) -> None:
        super().__init__("volumes", LOOK_EVERY)
        self._runtime = runtime
        self._cluster = cluster
        self._send = send
        self._known: frozenset[str] = frozenset()
        self._due = 0.0

    def look(self) -> None:
        """Measure if it is time, or if a volume is new. Raises `AgentError` for an engine that does not answer."""
        cluster = self._cluster()
        places = self._runtime.volume_places(cluster) if cluster else {}
        names = frozenset(places)
        began = time.monotonic()
        if not names or (began < self._due and names <= self._known):
            return
        sizes = measured(places) or self._runtime.volume_sizes(names)
        took = time.monotonic() - began
        self._known, self._due = names, began + max(MEASURE_EVERY, SHARE * took)
        self._send(Volumes(volumes=tuple(VolumeFact(name=name, bytes=sizes[name]) for name in sorted(sizes))))


def measured(places: Mapping[str, Path]) -> dict[str, int]:
    """Bytes on disk by name, of the folders that this process can see; none if it sees none of them."""
    seen = {str(path): name for name, path in places.items() if path.is_dir()}
    if not seen:
        return {}
    argv = ["nice", "-n", "19", "du", "--summarize", "--one-file-system", "--block-size=1", "--", *seen]
    try:
        output = subprocess.run(argv, capture_output=True, timeout=PATIENCE, check=False).stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
    rows = (line.partition(b"\t") for line in output.splitlines())
    return {seen[path.decode()]: int(size) for size, tab, path in rows if tab and path.decode() in seen}
