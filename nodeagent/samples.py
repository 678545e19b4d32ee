"""The numbers of running containers: from kernel files, from the engine where those are hidden."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nodeagent import cgroup
from nodeagent.errors import AgentError
from nodeagent.facts import Known
from nodeagent.observer import Observer
from nodeagent.protocol import Sample, Samples
from nodeagent.runtime.base import Runtime, Usage

log = logging.getLogger(__name__)

FIRST_LOOK = 1.0
"""A rate needs two looks: the first one after a start comes early."""
SLOW_READERS = 16
"""The engine takes about a second for each: so many at once keep up with 160 containers."""


class Sampler:
    """One thread; `interval` may be changed at any time. A container's first look gives no sample yet."""

    def __init__(self, runtime: Runtime, observer: Observer, send: Callable[[Samples], None]) -> None:
        self._runtime = runtime
        self._observer = observer
        self._send = send
        self._last: dict[str, Usage] = {}
        self._last_node: tuple[float, float] | None = None
        self._places: dict[tuple[str, int], cgroup.Place | None] = {}
        self._stop = threading.Event()
        self.interval = 10.0
        self.thread = threading.Thread(target=self._run, name="samples", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        due = time.monotonic() + FIRST_LOOK
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            # From when it was due: else looks would drift, and some ten seconds would have none.
            due = max(due + (self.interval if self._last_node else FIRST_LOOK), time.monotonic())
            try:
                self._send(self.sample())
            except Exception:
                log.exception("sampling failed and is repeated")

    def sample(self) -> Samples:
        """One look at everything that runs."""
        running = self._observer.running()
        usages = self._read_all(running)
        samples = tuple(
            _sample(known, usage, self._last[known.facts.engine_id])
            for known, usage in usages
            if known.facts.engine_id in self._last
        )
        self._last = {known.facts.engine_id: usage for known, usage in usages}
        cpu, memory = self._node()
        return Samples(samples=samples, node_cpu=cpu, node_memory=memory)

    def _read_all(self, running: tuple[Known, ...]) -> list[tuple[Known, Usage]]:
        keys = {(known.facts.engine_id, known.facts.pid) for known in running}
        self._places = {key: place for key, place in self._places.items() if key in keys}
        usages: list[tuple[Known, Usage]] = []
        hidden: list[Known] = []
        for known in running:
            place = self._place(known)
            if place is None:
                hidden.append(known)
                continue
            try:
                usages.append((known, cgroup.read(place)))
            except (OSError, ValueError, KeyError) as error:
                log.debug("no numbers of %s: %s", known.identity.name, error)
        return usages + self._ask_engine(hidden)

    def _place(self, known: Known) -> cgroup.Place | None:
        key = known.facts.engine_id, known.facts.pid
        if key not in self._places:
            self._places[key] = cgroup.find(known.facts.pid, known.facts.engine_id)
        return self._places[key]

    def _ask_engine(self, hidden: list[Known]) -> list[tuple[Known, Usage]]:
        if not hidden:
            return []
        with ThreadPoolExecutor(SLOW_READERS, thread_name_prefix="stats") as pool:
            found = pool.map(self._stats, hidden)
            return [(known, usage) for known, usage in zip(hidden, found, strict=True) if usage]

    def _stats(self, known: Known) -> Usage | None:
        try:
            return self._runtime.stats(known.facts.engine_id)
        except (AgentError, KeyError) as error:
            log.debug("no numbers of %s: %s", known.identity.name, error)
            return None

    def _node(self) -> tuple[float, int]:
        """Thousandths of a core that the host was busy since the last look, and bytes in use."""
        now = time.monotonic()
        busy, memory = cgroup.node()
        before, self._last_node = self._last_node, (now, busy)
        if before is None or now <= before[0]:
            return 0.0, memory
        return 1000 * (busy - before[1]) / (now - before[0]), memory


def _sample(known: Known, usage: Usage, before: Usage) -> Sample:
    slot, generation = known.key
    elapsed = max(usage.at - before.at, 1e-3)
    return Sample(
        slot=slot,
        generation=generation,
        # A container that was restarted between two looks counts from 0 again.
        cpu=max(0, usage.cpu_ns - before.cpu_ns) / elapsed / 1e6,
        memory=usage.memory,
        memory_limit=known.facts.memory_limit,
        net_rx=usage.net_rx,
        net_tx=usage.net_tx,
        block_read=usage.block_read,
        block_write=usage.block_write,
        pids=usage.pids,
        cpu_total=usage.cpu_ns,
    )
