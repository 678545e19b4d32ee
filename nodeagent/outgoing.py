"""What waits to go up the link. Receipts and results are kept in order; numbers only as the latest."""

from __future__ import annotations

import logging
import threading
from collections import deque

from nodeagent.protocol import LogNotKept, Progress, Receipt, Result, Samples, Volumes

log = logging.getLogger(__name__)

Kept = Receipt | Result | LogNotKept
LIMIT = 10_000


class Outgoing:
    """Filled by any thread, emptied by the link's. `wake` ends a `wait` at once."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._condition = threading.Condition()
        self._awake = False
        self._kept: deque[Kept] = deque()
        self._progress: dict[str, Progress] = {}
        self._samples: Samples | None = None
        self._volumes: Volumes | None = None

    def put(self, message: Kept) -> None:
        """Kept until sent, across sessions too."""
        with self._condition:
            if len(self._kept) >= self._limit:
                lost = self._kept.popleft()
                log.error(
                    "the link has been away for too long: %s is dropped, its job will be repeated", lost
                )
            self._kept.append(message)
            if isinstance(message, Result):
                self._progress.pop(message.job, None)
        self.wake()

    def put_progress(self, message: Progress) -> None:
        with self._condition:
            self._progress[message.job] = message
        self.wake()

    def put_samples(self, samples: Samples) -> None:
        with self._condition:
            self._samples = samples
        self.wake()

    def put_volumes(self, volumes: Volumes) -> None:
        with self._condition:
            self._volumes = volumes
        self.wake()

    def first(self) -> Kept | None:
        """The oldest kept message; it stays until `sent`."""
        with self._condition:
            return self._kept[0] if self._kept else None

    def sent(self, message: Kept) -> None:
        with self._condition:
            if self._kept and self._kept[0] is message:
                self._kept.popleft()

    def take_progress(self) -> Progress | None:
        with self._condition:
            return self._progress.pop(next(iter(self._progress))) if self._progress else None

    def take_samples(self) -> Samples | None:
        with self._condition:
            samples, self._samples = self._samples, None
            return samples

    def take_volumes(self) -> Volumes | None:
        with self._condition:
            volumes, self._volumes = self._volumes, None
            return volumes

    def wake(self) -> None:
        with self._condition:
            self._awake = True
            self._condition.notify_all()

    def wait(self, timeout: float) -> None:
        """Until something was put in since the last wait, or the time is over."""
        with self._condition:
            self._condition.wait_for(lambda: self._awake, max(0.0, timeout))
            self._awake = False
