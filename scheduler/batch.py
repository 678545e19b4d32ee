"""Many slots of one service at once: nodes are filtered and scored together, then taken one by one, and only
what was taken is scored again. The result is that of placing one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, repeat
from typing import NamedTuple

from scheduler import filters, quotas, scores
from scheduler.affinity import of_itself
from scheduler.arrays import Floats, Mask
from scheduler.columns import Columns
from scheduler.model import Allocation, Decision, Grant, Port, Request, Want
from scheduler.queues import BITS, TICKS, Penalties, Turns, best_of, key_of
from scheduler.scores import Policy

LOCAL = frozenset({"labels", "affinity", "service", "app", "image", "load", "bestfit"})
"""Parts whose score a placement changes on its own node (`labels`: in its domain) alone, `affinity` if no rule is
of the service itself."""

_decision: Callable[[tuple[object, ...]], Decision] = partial(tuple.__new__, Decision)
_allocation: Callable[[tuple[object, ...]], Allocation] = partial(tuple.__new__, Allocation)
"""Without the check of their length: a third of the time, for a million of them."""


def runs(wants: Sequence[Want]) -> Iterator[Sequence[Want]]:
    """Neighbours that ask for the very same."""
    start = 0
    while start < len(wants):
        request, wishes, end = wants[start].request, wants[start][3:], start + 1
        while end < len(wants) and wants[end].request is request and wants[end][3:] == wishes:
            end += 1
        yield wants[start:end]
        start = end


def possible(columns: Columns, run: Sequence[Want], policy: Policy) -> bool:
    """Whether the short way gives the same as one by one."""
    first = run[0]
    return (
        len(run) > 1
        and not (first.node or first.prefer or first.avoid)
        and all(volume in columns.volumes for volume in first.request.volumes)
        and not any(of_itself(first.request, each) for each in first.request.affinity)
        and policy.weights.keys() <= LOCAL
    )


class Made(NamedTuple):
    """What became of some wants, in their order. An allocation is None where nothing fitted."""

    decisions: list[Decision]
    allocations: list[Allocation | None]


class Batch:
    """One run under way. `fits` and `base` are of the cluster as it was before: which nodes fit, and their score
    without `labels`."""

    def __init__(self, columns: Columns, request: Request, policy: Policy, fits: Mask, base: Floats) -> None:
        self._columns, self._request, self._policy = columns, request, policy
        self._fits, self._base = fits, base
        self._given: list[tuple[tuple[Port, ...], tuple[Grant, ...]]] = []

    def place(self, run: Sequence[Want], names: Iterator[str]) -> Made:
        """One decision per want; `names` are for those without a container's id. What is decided is reserved."""
        columns, request = self._columns, self._request
        taken = self._take(run[: quotas.most(columns, request, len(run))])
        wants = run[: len(taken)]
        nodes = [columns.nodes[row].id for row in taken]
        containers = [want.container or next(names) for want in wants]
        slots = (want.slot for want in wants)
        ports, grants = zip(*self._given, strict=True) if self._given else (repeat(()), repeat(()))
        decisions = list(map(_decision, zip(wants, nodes, ports, grants, strict=False)))
        held = list(
            map(
                _allocation,
                zip(containers, slots, nodes, repeat(request), ports, grants, repeat(False), strict=False),
            )
        )
        columns.where.update(zip(containers, taken, strict=True))
        for row, allocation in zip(taken, held, strict=True):
            columns.on[row][allocation.container] = allocation
        columns.take_many(request, taken)
        refused = [Decision(want, None) for want in run[len(taken) :]]
        return Made(decisions + refused, [*held, *repeat(None, len(refused))])

    def _take(self, wants: Sequence[Want]) -> list[int]:
        """The row of each want, until nothing fits any more; ports and units are given at once."""
        if not wants:
            return []
        rows = _Rows(self._columns, self._request, self._policy, self._base)
        penalties = Penalties(self._columns, self._request, self._policy.weights.get("labels", 0.0))
        queues = best_of(penalties.groups, self._fits, self._base, len(wants))
        turns = Turns(queues, penalties, rows.bound, rows.again)
        taken = iter(turns.take, None)
        if not (self._request.ports or self._request.resources):
            return list(islice(taken, len(wants)))
        found = []
        for want, row in zip(wants, taken, strict=False):
            self._given.append(self._give(want, row))
            found.append(row)
        return found

    def _give(self, want: Want, row: int) -> tuple[tuple[Port, ...], tuple[Grant, ...]]:
        columns, request, unit = self._columns, self._request, self._policy.unit
        node = columns.nodes[row]
        ports = columns.ports.give(row, node, request.ports, want.slot)
        grants = tuple(columns.units[each.kind].choose(row, each, unit) for each in request.resources)
        columns.hold(row, Allocation("", want.slot, node.id, request, ports, grants), 1)
        return ports, grants


class _Rows:
    """Rows that were taken, scored again."""

    def __init__(self, columns: Columns, request: Request, policy: Policy, base: Floats) -> None:
        self._columns, self._request, self._base = columns, request, base
        self._weights = policy.weights
        self._service = columns.service(request.app, request.service).rows
        self._app = columns.app(request.app).rows
        self._times: dict[int, int] = {}
        bound = self._weights.get("service", 0.0) - self._weights.get("bestfit", 0.0)
        self.bound = (int(bound * TICKS) - 2) << BITS
        """The least by which a row's key grows when it is taken: every part falls or stays, `service` by one
        container, and `bestfit` rises by 1 at most; 2 for rounding."""

    def again(self, row: int) -> int | None:
        """The row's key, without `labels`, now that one more is there; None: no further one fits."""
        times = self._times[row] = self._times.get(row, 0) + 1
        columns, request = self._columns, self._request
        there = self._service.get(row, 0) + times
        if (
            not filters.has_amounts(columns, request, row, times + 1)
            or (request.max_per_node and there >= request.max_per_node)
            or not filters.has_given(columns, request, row)
        ):
            return None
        return key_of(self._score(row, times), row)

    def _score(self, row: int, times: int) -> float:
        """The base, and what became of the parts that change with `times` more containers."""
        weights, columns, request = self._weights, self._columns, self._request
        cpu = columns.cpu_free.item(row) - times * request.cpu
        memory = columns.memory_free.item(row) - times * request.memory
        score = self._base.item(row)
        if "service" in weights:
            there = self._service.get(row, 0)
            score -= _change(weights["service"], there, there + times)
        if "app" in weights:
            there, most = self._app.get(row, 0), scores.MOST_COUNTED
            score -= _change(weights["app"], min(there, most), min(there + times, most))
        if "load" in weights:
            score += _change(weights["load"], columns.load.item(row), columns.load_of(row, cpu, memory))
        if "bestfit" in weights:
            first = columns.cpu_free.item(row), columns.memory_free.item(row)
            then, now = (scores.bestfit_of(columns, request, row, *free) for free in (first, (cpu, memory)))
            score += _change(weights["bestfit"], then, now)
        return score


def _change(weight: float, before: float, after: float) -> float:
    """Of a weighted part, each rounded as `scores.total` does."""
    return (round(weight * after * TICKS) - round(weight * before * TICKS)) / TICKS
