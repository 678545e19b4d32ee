"""Virtual time: one heap of (time, number, event). Whatever happens in a run happens in one of its events."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Event:
    time: float
    act: Callable[[], object] | None
    """None once it is cancelled."""

    def cancel(self) -> None:
        self.act = None


class Clock:
    """Seconds since `BEGIN`. `after` is called after each event."""

    def __init__(self) -> None:
        self.now = 0.0
        self.after: Callable[[], object] = lambda: None
        self._heap: list[tuple[float, int, Event]] = []
        self._number = 0

    def at(self, delay: float, act: Callable[[], object]) -> Event:
        self._number += 1
        event = Event(self.now + max(0.0, delay), act)
        heapq.heappush(self._heap, (event.time, self._number, event))
        return event

    def run(self, until: float) -> None:
        """Everything up to `until`. An event may call this itself: it is then stuck while the world goes on."""
        while self._heap and self._heap[0][0] <= until:
            event = heapq.heappop(self._heap)[2]
            if event.act is None:
                continue
            # A stuck event that comes back late leaves the time where the others have brought it.
            self.now = max(self.now, event.time)
            event.act()
            self.after()
        self.now = max(self.now, until)

    def datetime(self) -> datetime:
        return BEGIN + timedelta(seconds=self.now)
