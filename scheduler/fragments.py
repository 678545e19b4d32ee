"""The fragmentation score on a cluster: the mix that it learns, and what it keeps so that only rows that changed
are scored anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from scheduler.arrays import Floats, Ints
from scheduler.fragmentation import Mix, Shape, State
from scheduler.model import Request, Want
from scheduler.resources import WHOLE

if TYPE_CHECKING:
    from scheduler.columns import Columns

MOST_KEPT = 256
"""Shapes whose columns are kept at once: 16 bytes per node and shape."""


class Fragments:
    """Belongs to one `Columns`. Generic resources of several kinds are scored each by itself, and added up."""

    def __init__(self) -> None:
        self._mixes: dict[str, Mix] = {}
        self._seen = 0
        self._held = 0
        self._kept: dict[tuple[str, Shape], tuple[Floats, Ints]] = {}
        """What each row would lose, and the row's stamp when that was so."""

    def copy(self) -> Fragments:
        other = Fragments()
        other._mixes = dict(self._mixes)
        other._seen, other._held = self._seen, self._held
        return other

    def learn(self, columns: Columns, wants: Iterable[Want]) -> None:
        """Take as the mix what is held now and these wants. Until half as much has changed as was held, the
        mix before stays."""
        changes = int(columns.stamp.sum())
        if not columns.units or (self._mixes and changes - self._seen < max(self._held / 2, 1)):
            return
        self._seen, self._held = changes, len(columns.where)
        self._kept.clear()
        held = (allocation.request for there in columns.on for allocation in there.values())
        requests = _counted(chain(held, (want.request for want in wants)))
        for kind, units in columns.units.items():
            shapes: Counter[Shape] = Counter()
            for request, number in requests:
                shapes[Shape.of(request, kind)] += number
            self._mixes[kind] = Mix.of(shapes, units.free.shape[1])

    def lost(self, columns: Columns, request: Request) -> Floats | None:
        """Units that each row would lose by taking the request, in all kinds together; None: none anywhere."""
        total: Floats | None = None
        for kind, mix in self._mixes.items():
            lost = self._lost(columns, kind, mix, Shape.of(request, kind))
            total = lost if total is None else total + lost
        return None if total is None else total / WHOLE

    def _lost(self, columns: Columns, kind: str, mix: Mix, shape: Shape) -> Floats:
        lost, stamps = self._column(kind, shape, len(columns.nodes))
        rows = np.flatnonzero(stamps != columns.stamp)
        if len(rows):
            free = np.maximum(columns.units[kind].free[rows], 0)
            state = State(columns.cpu_free[rows], columns.memory_free[rows], free)
            lost[rows] = mix.lost(state, shape)
            stamps[rows] = columns.stamp[rows]
        return lost

    def _column(self, kind: str, shape: Shape, rows: int) -> tuple[Floats, Ints]:
        found = self._kept.get((kind, shape))
        if found is None:
            if len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            found = np.zeros(rows), np.full(rows, -1, dtype=np.int64)
            self._kept[kind, shape] = found
        return found


def _counted(requests: Iterable[Request]) -> Sequence[tuple[Request, int]]:
    """How often each request is there. By identity: a service's request is one object, and long to hash."""
    numbers: dict[int, int] = {}
    kept: dict[int, Request] = {}
    for request in requests:
        key = id(request)
        numbers[key] = numbers.get(key, 0) + 1
        kept[key] = request
    return [(kept[key], number) for key, number in numbers.items()]
