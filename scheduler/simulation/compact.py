"""The smallest cluster that still takes a workload.

After Borg's cell compaction (A. Verma et al., "Large-scale cluster management at Google with Borg", EuroSys
2015, section 5.1): nodes are taken away, in an order drawn by seed, until the workload no longer fits when it
is placed from scratch; where the cluster is too small its nodes are cloned first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scheduler.model import Node
from scheduler.simulation import linear
from scheduler.simulation.play import fits
from scheduler.simulation.traces import Trace
from scheduler.simulation.workload import multiplied

MOST_COPIES = 4
STEPS = 400


@dataclass(frozen=True, slots=True)
class Compaction:
    nodes: int
    """Fewest found, but for the step of the search; the workload was seen to fit on them."""
    bound: int
    """No policy fits it on fewer of this order, by the linear relaxation."""

    @property
    def ratio(self) -> float:
        return self.nodes / max(self.bound, 1)


def compact(trace: Trace, policy: str, seed: int) -> Compaction | None:
    """None when not even four clusters of this kind take the workload. Needs SciPy for the bound.

    What fits on k nodes may by chance not fit on a few more, so that halving would not do: the search goes up
    from the bound in steps of 1/400, and then through the last step one by one.
    """
    order = multiplied(trace.nodes, seed, MOST_COPIES * len(trace.nodes))
    bound = linear.smallest(trace, order)
    if bound is None:
        return None
    found = _search(trace, order, policy, seed, bound)
    return None if found is None else Compaction(found, bound)


def _search(trace: Trace, order: Sequence[Node], policy: str, seed: int, bound: int) -> int | None:
    def fit(number: int) -> bool:
        return fits(replace(trace, nodes=tuple(order[:number])), policy, seed)

    tried = bound - 1
    for number in _steps(bound, len(order)):
        if fit(number):
            return next((each for each in range(tried + 1, number) if fit(each)), number)
        tried = number
    return None


def _steps(first: int, last: int) -> Iterator[int]:
    number = first
    while number < last:
        yield number
        number += max(number // STEPS, 1)
    yield last
