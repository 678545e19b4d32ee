"""One trace against one policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from scheduler.model import Decision
from scheduler.placement import Cluster
from scheduler.scores import POLICIES, SPREAD
from scheduler.simulation.measures import Ledger, skew
from scheduler.simulation.moving import Moves, moves
from scheduler.simulation.policies import placer
from scheduler.simulation.traces import Trace

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Result:
    """What one policy did with a trace. Shares are of the scarce resource: GPUs if any is asked for, else CPU.
    All but the times depends on trace and policy alone."""

    policy: str
    placed: int
    refused: int
    per_second: float
    p50_us: float
    """Of one decision; a batch's time is divided among its wants."""
    p99_us: float
    allocated: float
    """Share that is held at the end."""
    first_refusal: float | None
    """Share that was held when something was first refused; None: nothing was."""
    fragmented: float
    """Share of what is free at the end that the average request could not use where it is."""
    skew: float | None
    """Most less fewest replicas of a service by zone, mean over the services; None with a single zone."""
    curve: tuple[tuple[float, float], ...]
    """Share asked for so far and share held, want by want."""
    moves: Moves | None = None
    """Of a rebalance of the outcome; None: none was asked for."""


def play(trace: Trace, policy: str, seed: int, clock: Clock = perf_counter, *, budget: int = 0) -> Result:
    """The seed is that of a policy that draws, `budget` the moves of the rebalance that follows (0: none does)."""
    cluster = Cluster(trace.nodes)
    place = placer(policy, cluster, seed)
    decisions: list[Decision] = []
    times: list[float] = []
    for batch in trace.batches:
        before = clock()
        decisions += place(batch)
        times += [(clock() - before) / len(batch)] * len(batch)
    result = _result(trace, policy, decisions, times)
    if not budget:
        return result
    aim = POLICIES.get(policy, SPREAD)
    return replace(result, moves=moves(trace.nodes, decisions, aim, budget))


def fits(trace: Trace, policy: str, seed: int) -> bool:
    """Whether all of it is placed; stops at the first refusal."""
    place = placer(policy, Cluster(trace.nodes), seed)
    return all(each.node is not None for batch in trace.batches for each in place(batch))


def _result(trace: Trace, policy: str, decisions: list[Decision], times: list[float]) -> Result:
    ledger = Ledger(trace.nodes, decisions)
    refusals = [place for place, each in enumerate(decisions) if each.node is None]
    held = ledger.held
    return Result(
        policy=policy,
        placed=len(decisions) - len(refusals),
        refused=len(refusals),
        per_second=len(times) / max(sum(times), 1e-9),
        p50_us=1e6 * float(np.percentile(times, 50)) if times else 0.0,
        p99_us=1e6 * float(np.percentile(times, 99)) if times else 0.0,
        allocated=float(held[-1]) if len(held) else 0.0,
        first_refusal=float(held[refusals[0]]) if refusals else None,
        fragmented=ledger.fragmented(),
        skew=skew(trace.nodes, decisions),
        curve=tuple(zip(ledger.asked.tolist(), held.tolist(), strict=True)),
    )
