"""Generic resources: whole units, and shares of one unit, of each kind on each node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scheduler.arrays import Ints, Mask
from scheduler.model import Grant, Node, Resource

WHOLE = 1000
"""Thousandths of a unit."""

UnitChoice = Callable[[Ints, int], int]
"""Which unit of a node gives a share: from the free thousandths of each unit, and the share asked. It fits on
one of them."""


def fullest(free: Ints, share: int) -> int:
    """The fullest unit that still has the share, the first of equals: whole units stay whole."""
    return int(np.argmin(np.where(free >= share, free, WHOLE + 1)))


class Units:
    """One kind. `free` is nodes x units, in thousandths; a node with fewer units has 0 in the rest."""

    def __init__(self, kind: str, nodes: Sequence[Node]) -> None:
        self.kind = kind
        counts = [node.resources.get(kind, 0) for node in nodes]
        self.count: Ints = np.array(counts, dtype=np.int64)
        self.free: Ints = np.zeros((len(nodes), max(counts, default=0)), dtype=np.int64)
        for row, count in enumerate(counts):
            self.free[row, :count] = WHOLE
        self.whole: Ints = self.count.copy()
        """Units of each node that are wholly free."""
        self.largest: Ints = self.free.max(axis=1, initial=0)
        """Thousandths that are free on the freest unit of each node."""

    def lacks(self, resource: Resource) -> Mask:
        if resource.share:
            return self.largest < resource.share
        return self.whole < resource.units

    def has(self, row: int, resource: Resource) -> bool:
        if resource.share:
            return bool(self.largest[row] >= resource.share)
        return bool(self.whole[row] >= resource.units)

    def choose(self, row: int, resource: Resource, choice: UnitChoice) -> Grant:
        """Which units this node would give; it has them."""
        if resource.share:
            unit = choice(self.free[row, : self.count[row]], resource.share)
            return Grant(self.kind, (unit,), resource.share)
        whole = np.flatnonzero(self.free[row] == WHOLE)[: resource.units]
        return Grant(self.kind, tuple(int(unit) for unit in whole))

    def take(self, row: int, grant: Grant, sign: int) -> None:
        """Take (1) or give back (-1). What runs may hold units that the node has lost since: they are left out."""
        for unit in grant.units:
            if unit < self.free.shape[1]:
                self.free[row, unit] -= sign * (grant.share or WHOLE)
        self.whole[row] = np.count_nonzero(self.free[row] == WHOLE)
        self.largest[row] = self.free[row].max(initial=0)

    def copy(self) -> Units:
        other = object.__new__(Units)
        other.kind = self.kind
        other.count, other.free = self.count.copy(), self.free.copy()
        other.whole, other.largest = self.whole.copy(), self.largest.copy()
        return other
