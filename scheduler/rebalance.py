"""Moves that make a running cluster more even, or tighter, within a budget. A plan only: it works on a copy.

Each step takes the move that lowers the measure (`scheduler.evenness`) most, asks `Cluster.place` whether
it holds, and goes on until the budget is used up or no move is worth its disturbance. The measure falls with
each, so nothing is moved to and fro, and a run on the result finds nothing that this one could have done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scheduler.evenness import Service
from scheduler.moves import Move, Search
from scheduler.placement import Cluster
from scheduler.scores import Policy

__all__ = ["LEAST_GAIN", "Move", "Rebalance", "rebalance"]

LEAST_GAIN = 1e-6
"""Below this a gain may be no more than rounding."""


@dataclass(frozen=True, slots=True)
class Rebalance:
    """The moves in the order in which they were chosen, and the measure without and with all of them."""

    moves: tuple[Move, ...]
    before: float
    after: float
    stopped: str
    """Why there are no more: a sentence."""


def rebalance(
    cluster: Cluster,
    movable: Collection[str],
    *,
    budget: int,
    gain: float,
    policy: Policy | None = None,
    healthy: Mapping[Service, int],
) -> Rebalance:
    """At most `budget` moves, each of which lowers the measure by at least `gain` (ValueError: below
    `LEAST_GAIN`).

    `movable`: containers that may move: not bound, not exclusive, not themselves starting.
    `healthy`: by (app, service) how many of it may be on their way at once: 1, or its update parallelism, of a
    service whose slots are all well. One that is not named moves nothing.
    What holds a volume, is leaving, or is where it is for a preferred affinity stays. Targets are nodes that
    take new containers; sources are nodes in contact that are not being drained.
    """
    if gain < LEAST_GAIN:
        raise ValueError(f"The least gain is {LEAST_GAIN:g}")
    search = Search(cluster.copy(), movable, healthy, gain, policy or cluster.policy)
    before = search.evenness.measure()
    moves: list[Move] = []
    stopped = ""
    while not stopped:
        if len(moves) >= budget:
            stopped = f"The budget of {budget} move{'s' * (budget != 1)} is used up"
        elif search.refused > 10 * budget + 100:
            stopped = f"{search.refused} moves that looked worthwhile were refused; it gave up"
        elif (best := search.best()) is None:
            stopped = search.nothing_left()
        elif (move := search.tried(best)) is not None:
            moves.append(move)
    return Rebalance(tuple(moves), before, search.evenness.measure(), stopped)
