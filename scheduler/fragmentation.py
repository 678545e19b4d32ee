"""How much of a generic resource a placement strands, for what the cluster usually runs.

Fragmentation gradient descent (Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
Fragmentation Gradient Descent", USENIX ATC 2023): the fragmentation of a node is what the tasks of a known
mix cannot use there, by their popularity, F = sum over tasks of popularity * free thousandths that the task
cannot use; a placement takes the node where F grows least.

Three things differ. The mix is learned from what runs, not given. Popularity is by thousandths asked for, not by
tasks, so that a rare task of eight units finds a node as likely as many small ones find eighths of it. And F
asks of one task at a time, so that a node whose every unit is usable may still lack the CPU for all of them:
`Mix.served` is what its CPU and memory can serve at the mix's mean need, and what is lost of that counts as
much. On openb (docs/benchmarks.md) plain FGD held 94.8 % of the GPUs here and `served` makes it 95.9 %; popularity
by amount moves the first refusal from 75-87 % held to 94-95 %.

All amounts of the resource are thousandths of a unit; `free` is nodes x units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scheduler.arrays import Floats, Ints
from scheduler.model import Request, Resource
from scheduler.resources import WHOLE


class Shape(NamedTuple):
    """What a task asks of a node. A share is of one unit, in thousandths; whole units leave it 0."""

    cpu: int
    memory: int
    units: int = 0
    share: int = 0

    @classmethod
    def of(cls, request: Request, kind: str) -> Shape:
        """Of this kind of resource."""
        asked = next((each for each in request.resources if each.kind == kind), Resource(kind))
        return cls(request.cpu, request.memory, asked.units, asked.share)

    @property
    def slice(self) -> int:
        """Thousandths of the one unit it asks; 0 when it asks for none or for several."""
        return WHOLE if self.units == 1 else self.share

    @property
    def asked(self) -> int:
        return self.units * WHOLE + self.share


class State(NamedTuple):
    """Some nodes: what is free of each. `cpu` and `memory` have one entry per node, `free` one row."""

    cpu: Ints
    memory: Ints
    free: Ints


@dataclass(frozen=True, slots=True)
class Mix:
    """The popularity of shapes, each by its part of all that is asked of the resource, as tables to look up.

    `shared[c, s]` is the popularity of tasks of at most one unit whose CPU is among the `c` smallest and whose
    slice is among the `s` smallest; `several[c, u]` that of tasks of 2 to `u` whole units. `level[x]` is the
    number of slices that fit into `x` thousandths.
    """

    cpus: Ints
    level: Ints
    shared: Floats
    several: Floats
    cpu_each: float
    memory_each: float
    """Mean need of CPU and memory for a thousandth of the resource."""

    @classmethod
    def of(cls, shapes: Mapping[Shape, int], most_units: int) -> Mix:
        """Of so many tasks of each shape, on nodes of at most so many units."""
        asking = {shape: number for shape, number in shapes.items() if shape.asked}
        amount = sum(shape.asked * number for shape, number in asking.items())
        cpus = np.unique([shape.cpu for shape in asking]).astype(np.int64)
        slices = np.unique([shape.slice for shape in asking if shape.slice]).astype(np.int64)
        shared = np.zeros((len(cpus) + 1, len(slices) + 1))
        several = np.zeros((len(cpus) + 1, most_units + 1))
        for shape, number in asking.items():
            row, popularity = int(np.searchsorted(cpus, shape.cpu)) + 1, shape.asked * number / amount
            if shape.slice:
                shared[row:, int(np.searchsorted(slices, shape.slice)) + 1 :] += popularity
            else:
                several[row:, shape.units :] += popularity
        return cls(
            cpus,
            np.searchsorted(slices, np.arange(WHOLE + 1), side="right"),
            shared,
            several,
            sum(shape.cpu * number for shape, number in asking.items()) / max(amount, 1),
            sum(shape.memory * number for shape, number in asking.items()) / max(amount, 1),
        )

    def usable(self, state: State) -> Floats:
        """Free thousandths of each node that a task of the mix could use, on average: the free amount less F."""
        row = self._row(state.cpu)
        whole = (state.free == WHOLE).sum(axis=1)
        one = (state.free * self.shared[row[:, None], self.level[state.free]]).sum(axis=1)
        return np.asarray(one + WHOLE * whole * self.several[row, whole], dtype=np.float64)

    def served(self, state: State) -> Floats:
        """Free thousandths of each node for which its CPU and memory last, at the mean need of the mix."""
        served = state.free.sum(axis=1).astype(np.float64)
        for amount, each in ((state.cpu, self.cpu_each), (state.memory, self.memory_each)):
            if each > 0:
                served = np.minimum(served, np.maximum(amount, 0) / each)
        return np.asarray(served, dtype=np.float64)

    def lost(self, state: State, shape: Shape) -> Floats:
        """Thousandths, of both of the above together, that each node would have less if it took the shape; of
        meaning only where it fits. Less is better."""
        left = self._left(state, shape)
        lost = self.usable(state) - self.usable(left) + self.served(state) - self.served(left)
        return np.asarray(lost, dtype=np.float64)

    def _left(self, state: State, shape: Shape) -> State:
        """The state once the shape is there; a slice is of the fullest unit that has it, as `resources.fullest`
        gives it."""
        free = state.free.copy()
        if shape.slice:
            unit = np.where(free >= shape.slice, free, WHOLE + 1).argmin(axis=1)
            free[np.arange(len(free)), unit] -= shape.slice
        elif shape.units:
            full = free == WHOLE
            free[full & (full.cumsum(axis=1) <= shape.units)] = 0
        return State(state.cpu - shape.cpu, state.memory - shape.memory, np.maximum(free, 0))

    def _row(self, cpu: Ints) -> Ints:
        return np.searchsorted(self.cpus, cpu, side="right")
