"""From the engines' moments to who ran when, and to what ran twice. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from lab.eventlog import Moment
from lab.look import Seen
from nodeagent import protocol

FOREVER = float("inf")


@dataclass(frozen=True)
class Run:
    """A container's processes, from start to end. `name` is the slot's: `app/service.n`."""

    name: str
    slot: str
    generation: int
    container: str
    node: str
    began: float
    ended: float = FOREVER

    def __str__(self) -> str:
        end = "now" if self.ended == FOREVER else f"{self.ended:.3f}"
        return f"{self.name} g{self.generation} on {self.node} from {self.began:.3f} to {end}"


def runs_of(moments: Iterable[Moment]) -> list[Run]:
    """Every run, in the order of their beginnings. `moments` are in the order of their times."""
    reader = _Runs()
    for moment in moments:
        reader.take(moment)
    return sorted([*reader.over, *reader.open.values()], key=lambda run: run.began)


def doubled(runs: Iterable[Run]) -> list[tuple[Run, Run]]:
    """Pairs of one slot's runs that were under way at the same time."""
    by_slot: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_slot[run.slot].append(run)
    found = []
    for same in by_slot.values():
        longest = same[0]
        for _before, run in pairwise(same):
            if run.began < longest.ended:
                found.append((longest, run))
            longest = max(longest, run, key=lambda one: one.ended)
    return found


class _Runs:
    def __init__(self) -> None:
        self.open: dict[str, Run] = {}
        """By container."""
        self.over: list[Run] = []
        self._began: dict[str, float] = {}
        """When a container began last."""

    def take(self, moment: Moment) -> None:
        match moment.action:
            case "start":
                self._begin(moment.id, moment.labels, moment.node, moment.at)
            case "die" | "destroy":
                self._end(moment.id, moment.at)
            case "dark":
                for run in [run for run in self.open.values() if run.node == moment.node]:
                    self._end(run.container, moment.at)
            case _:
                self._look(moment)

    def _begin(self, container: str, labels: Mapping[str, str], node: str, at: float) -> None:
        # What runs again has ended before: its end was not heard of.
        self._end(container, at)
        self._began[container] = at
        self.open[container] = Run(
            name=labels[protocol.LABEL_NAME],
            slot=labels[protocol.LABEL_SLOT],
            generation=int(labels[protocol.LABEL_GENERATION]),
            container=container,
            node=node,
            began=at,
        )

    def _end(self, container: str, at: float) -> None:
        run = self.open.pop(container, None)
        if run is not None:
            self.over.append(replace(run, ended=max(run.began, at)))

    def _look(self, moment: Moment) -> None:
        """What began or ended while nobody listened."""
        seen = {one.id: one for one in moment.seen}
        for run in [run for run in self.open.values() if run.node == moment.node]:
            self._compare(run, seen.get(run.container), moment.at)
        for one in moment.seen:
            if one.id not in self.open and one.started > self._began.get(one.id, 0.0):
                self._begin(one.id, one.labels, moment.node, one.started)
                if not one.running:
                    self._end(one.id, one.finished)

    def _compare(self, run: Run, seen: Seen | None, at: float) -> None:
        if seen is None:
            self._end(run.container, at)
        elif not seen.running or seen.started > run.began:
            # One that runs again is taken up anew by the caller.
            self._end(run.container, seen.finished if seen.finished >= run.began else at)
