"""Whose turn it is in a batch: rows by score, in groups that pay for what is there already.

A row's place is one number, its key: the score, made negative, in ticks of 1/1024 above the row's own number.
The least key is the best row, and of equals the lowest; whole numbers compare, sort and add up exactly and fast.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heapreplace
from itertools import pairwise

import numpy as np

from scheduler.arrays import Floats, Ints, Mask
from scheduler.columns import Columns
from scheduler.masks import Groups
from scheduler.model import Request
from scheduler.scores import cost_of

TICKS = 1024
"""Scores are multiples of one over this."""
BITS = 24
"""For the row: 16 million nodes, and scores up to 5e8."""
ROW = (1 << BITS) - 1


def key_of(score: float, row: int) -> int:
    return (-int(score * TICKS) << BITS) + row


class Penalties:
    """What `labels` takes from the rows of each group, in the measure of keys. A group are the nodes that share
    the value of every key of `spread`."""

    def __init__(self, columns: Columns, request: Request, weight: float) -> None:
        """`weight`: of `labels` in the policy; 0 for one group that pays nothing."""
        spread = request.spread if weight else ()
        self.groups = columns.masks.groups(tuple(each.key for each in spread))
        self._codes = self.groups.codes
        tally = columns.service(request.app, request.service)
        self._each = [round(weight * cost_of(each) * TICKS) << BITS for each in spread]
        self._paid: list[list[int]] = []
        """By key, by domain."""
        for spreading, cost in zip(spread, self._each, strict=True):
            domains = columns.masks.domains(spreading.key)
            counts = tally.of(domains)
            self._paid.append([counts.get(code, 0) * cost for code in range(len(domains.values))])

    def add(self, group: int) -> None:
        """One more container there."""
        for paid, each, code in zip(self._paid, self._each, self._codes[group], strict=True):
            paid[code] += each

    def of(self, group: int) -> int:
        codes = self._codes[group]
        if len(codes) == 1:
            return self._paid[0][codes[0]]
        return sum([paid[code] for paid, code in zip(self._paid, codes, strict=True)])


def best_of(groups: Groups, fits: Mask, scores: Floats, most: int) -> dict[int, list[int]]:
    """Of each group the keys of its best rows that fit, best first: `most` of them at most."""
    fitting = fits[groups.rows]
    rows = groups.rows[fitting]
    keys = ((scores[rows] * -TICKS).astype(np.int64) << BITS) + rows
    ends = np.add.reduceat(fitting, groups.starts, dtype=np.int64).cumsum().tolist()
    slices = (keys[start:end] for start, end in pairwise([0, *ends]))
    return {group: _least(part, most) for group, part in enumerate(slices) if len(part)}


def _least(keys: Ints, most: int) -> list[int]:
    some = keys if len(keys) <= most else np.partition(keys, most - 1)[:most]
    some.sort()
    found: list[int] = some.tolist()
    return found


class Turns:
    """A queue of rows for each group, which is a heap. What is noted of a group, or of a row that was taken, may be
    old and then too good, as more containers make no place better: it is made true when it comes first."""

    def __init__(
        self,
        queues: dict[int, list[int]],
        penalties: Penalties,
        bound: int,
        again: Callable[[int], int | None],
    ) -> None:
        """`queues`: of each group the keys of as many rows, best first, as will be taken. `again` gives the new
        key of a row that was taken, or None when no further one fits, and `bound` is the least by which keys grow
        when they are taken."""
        self._queues, self._penalties, self._bound, self._again = queues, penalties, bound, again
        self._stale: set[int] = set()
        self._heap = sorted((queue[0] + penalties.of(group), group) for group, queue in queues.items())

    def take(self) -> int | None:
        """The best row; None: nothing fits any more."""
        heap, stale = self._heap, self._stale
        while heap:
            noted, group = heap[0]
            queue = self._queues[group]
            row = queue[0] & ROW
            if row in stale:
                stale.remove(row)
                key = self._again(row)
                if key is not None:
                    heapreplace(queue, key)
                else:
                    heappop(queue)
            elif queue[0] + self._penalties.of(group) == noted:
                heapreplace(queue, queue[0] + self._bound)
                stale.add(row)
                self._penalties.add(group)
                self._note(group, queue)
                return row
            self._note(group, queue)
        return None

    def _note(self, group: int, queue: list[int]) -> None:
        """The group that is first has changed."""
        if queue:
            heapreplace(self._heap, (queue[0] + self._penalties.of(group), group))
        else:
            heappop(self._heap)
