"""How fast the machine is at the moment. It may have neighbours: one and the same work took up to 1.7 times as much
processor time in one minute as in another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean

EVERY = 0.7
_ROUNDS = 60_000
_KEYS = 1024


class Pace:
    """`milliseconds` of processor time that a fixed piece of work takes, on average while it is watched."""

    def __init__(self) -> None:
        self._taken: list[float] = []
        self._stop = threading.Event()

    @property
    def milliseconds(self) -> float:
        return 1000 * mean(self._taken)

    @contextmanager
    def watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, name="pace", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while True:
            self._taken.append(_work())
            if self._stop.wait(EVERY):
                return


def _work() -> float:
    """Seconds of this thread's processor time for it."""
    begun, found = time.thread_time(), dict[int, int]()
    for number in range(_ROUNDS):
        found[number % _KEYS] = found.get(number % (_KEYS // 2), 0) + number
    return time.thread_time() - begun
