"""A wedged agent is worse than a dead one: it looks well and does nothing. This ends it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

EXIT_WEDGED = 70
LOOK_EVERY = 1.0
ASLEEP = 3.0
"""The watchdog itself came so late: the whole process was stopped, or the machine, and no part of it can be blamed."""


class Pulse:
    """One part's sign of life. `limit`: seconds after which its silence means that it hangs."""

    def __init__(self, name: str, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.limit, self._clock = name, limit, clock
        self._at: float | None = None

    def beat(self) -> None:
        self._at = self._clock()

    @property
    def silent_for(self) -> float:
        """0 until the part has begun."""
        return 0.0 if self._at is None else self._clock() - self._at

    @property
    def hangs(self) -> bool:
        return self.silent_for > self.limit


class Watchdog:
    """A thread of its own, which takes no lock of the agent's and asks neither engine nor broker."""

    def __init__(
        self,
        *pulses: Pulse,
        end: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pulses, self._end, self._clock = pulses, end, clock
        self._looked = clock()
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._looked = self._clock()
        self.thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            self.look()

    def look(self) -> None:
        """End the process if a part hangs. Containers do not notice."""
        now = self._clock()
        late, self._looked = now - self._looked - LOOK_EVERY, now
        if late > ASLEEP:
            for pulse in self._pulses:
                if pulse.silent_for:
                    pulse.beat()
            return
        for pulse in self._pulses:
            if pulse.hangs:
                log.critical(
                    "%s has not moved for %.0f s; the agent exits so that its supervisor starts it anew",
                    pulse.name,
                    pulse.silent_for,
                )
                logging.shutdown()
                self._end(EXIT_WEDGED)
                return
