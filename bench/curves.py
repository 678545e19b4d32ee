"""How many containers run, over time, by the engines' own events; and a plot of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lab.engine import Engine
from lab.eventlog import TROUBLE

Curve = list[tuple[float, int]]
"""Seconds since the beginning, and how many run from then on."""
_FOREVER = 3600
COLOURS = {"Berth": "#206bc4", "Swarm": "#d63939", "floor": "#868e96"}


class Watch:
    """A thread per engine reads its starts and ends. Everything on these engines counts."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._changed = threading.Condition()
        self._events: list[tuple[float, int]] = []
        """Time by the engines' clock, and +1 or -1."""
        self._running = 0
        """Before the first of the events."""
        self._streams: list[Any] = []
        self._threads = [threading.Thread(target=self._read, args=(each,), daemon=True) for each in engines]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        with self._changed:
            self._changed.wait_for(lambda: len(self._streams) == len(self._threads), 10.0)

    def stop(self) -> None:
        for stream in self._streams:
            with suppress(*TROUBLE):
                stream.close()
        for thread in self._threads:
            thread.join(5.0)

    def _read(self, engine: Engine) -> None:
        with suppress(*TROUBLE), engine.client(_FOREVER) as client:
            filters = {"type": "container", "event": ["start", "die"]}
            stream = client.api.events(filters=filters, decode=True)
            with self._changed:
                self._streams.append(stream)
                self._changed.notify_all()
            for event in stream:
                self.take(event["timeNano"] / 1e9, 1 if event["Action"] == "start" else -1)

    def take(self, at: float, change: int) -> None:
        with self._changed:
            self._events.append((at, change))
            self._changed.notify_all()

    def begin(self) -> float:
        """From now on is counted; what runs already stays known."""
        with self._changed:
            self._running += sum(change for _at, change in self._events)
            self._events.clear()
        return time.time()

    def until(self, *, starts: int, within: float, ends: int = 0) -> float:
        """When the last of so many starts and ends was. Raises `RuntimeError` when they do not come in time."""

        def told() -> tuple[int, int]:
            began = sum(change > 0 for _at, change in self._events)
            return began, len(self._events) - began

        def reached() -> bool:
            began, ended = told()
            return began >= starts and ended >= ends

        with self._changed:
            if not self._changed.wait_for(reached, within):
                began, ended = told()
                raise RuntimeError(f"within {within:.2f} s there were only {began} starts and {ended} ends")
            return max(at for at, _change in self._events)

    def settle(self, running: int, within: float = 120.0) -> None:
        """Until so many run. Raises `RuntimeError` when it does not come to that."""

        def there() -> int:
            return self._running + sum(change for _at, change in self._events)

        with self._changed:
            if not self._changed.wait_for(lambda: there() == running, within):
                raise RuntimeError(f"{there()} containers run instead of {running}")

    def curve(self, begun: float) -> Curve:
        with self._changed:
            count, found = self._running, [(0.0, self._running)]
            for at, change in sorted(self._events):
                count += change
                found.append((max(0.0, at - begun), count))
            return found


def draw(sides: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """A PNG with one plot for each case but the smallest, and each side's curve in it."""
    from matplotlib.figure import Figure  # noqa: PLC0415  a development requirement, of this alone

    cases = list(next(iter(sides.values())))[1:]  # of the smallest there is no curve to speak of
    figure = Figure(figsize=(4.2 * len(cases), 3.4), layout="constrained")
    for number, case in enumerate(cases, 1):
        axes = figure.add_subplot(1, len(cases), number)
        for side, found in sides.items():
            times, counts = zip(*found[case], strict=True)
            axes.step(times, counts, where="post", label=side, color=COLOURS[side], linewidth=1.6)
        axes.set(title=f"{case} replicas", xlabel="seconds", ylim=(0, None), xlim=(0, None))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("running containers")
    figure.axes[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
