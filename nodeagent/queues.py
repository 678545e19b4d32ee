"""Queues of slots: a slot's jobs in order, slots side by side, and few starts at a time."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nodeagent.protocol import Ensure, Remove, Stop

SlotJob = Ensure | Stop | Remove

FEWEST_STARTS, MOST_STARTS = 4, 8
"""One that hangs, on a volume that does not answer, is not to hold up all others."""
OTHERS = 16
"""Stops and removals at a time. A stop mostly waits for its container, up to its whole grace."""


def starts_at_once(cores: int | None) -> int:
    """A start keeps the engine's processors busy: more of them than these can serve only hold each other up. `cores`
    are those of the agent's host; None where that is not known."""
    return max(FEWEST_STARTS, min(MOST_STARTS, 2 * (cores or 1)))


class SlotQueues:
    """Thread-safe. `carry_out` is called with each job and its ticket, and must not raise."""

    def __init__(
        self, carry_out: Callable[[SlotJob, int], None], starts: int = starts_at_once(os.cpu_count())
    ) -> None:
        self._carry_out = carry_out
        self._starters = ThreadPoolExecutor(starts, thread_name_prefix="start")
        self._others = ThreadPoolExecutor(OTHERS, thread_name_prefix="stop")
        self._waiting: dict[str, deque[tuple[SlotJob, int]]] = {}
        """By slot, the one whose turn it is first."""
        self._starts = 0
        """Those that were put in and have not ended."""
        self._calm = threading.Condition()

    def put(self, job: SlotJob, ticket: int) -> None:
        slot = job.identity.slot if isinstance(job, Ensure) else job.slot
        with self._calm:
            self._starts += isinstance(job, Ensure)
            queue = self._waiting.setdefault(slot, deque())
            queue.append((job, ticket))
            if len(queue) == 1:
                self._begin(slot, job)

    def start(self, work: Callable[[], None]) -> None:
        """A start outside of its slot's order, which takes its turn among all others. `work` must not raise."""
        with self._calm:
            self._starts += 1
        self._starters.submit(self._start, work)

    def await_calm(self, seconds: float) -> None:
        """Until no start is queued or under way, but for those that wait for an image; at most so long."""
        with self._calm:
            self._calm.wait_for(lambda: not self._starts, max(0.0, seconds))

    def _begin(self, slot: str, job: SlotJob) -> None:
        pool = self._starters if isinstance(job, Ensure) else self._others
        pool.submit(self._next, slot)

    def _start(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._calm:
                self._starts -= 1
                if not self._starts:
                    self._calm.notify_all()

    def _next(self, slot: str) -> None:
        with self._calm:
            job, ticket = self._waiting[slot][0]
        try:
            self._carry_out(job, ticket)
        finally:
            with self._calm:
                self._starts -= isinstance(job, Ensure)
                queue = self._waiting[slot]
                queue.popleft()
                if queue:
                    self._begin(slot, queue[0][0])
                else:
                    del self._waiting[slot]
                if not self._starts:
                    self._calm.notify_all()
