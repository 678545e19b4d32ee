"""The search for the move that gains most: every movable container against every node, with bounds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scheduler.arrays import Floats, Ints, Mask
from scheduler.evenness import NODE, Evenness, Service, amounts_of
from scheduler.model import Allocation, NodeState, Request, Want
from scheduler.placement import Cluster
from scheduler.scores import Policy

BLOCK = 64
"""Rows that are scored at once."""


@dataclass(frozen=True, slots=True)
class Move:
    """A container whose slot had better be elsewhere."""

    container: str
    slot: str
    source: str
    target: str
    gain: float
    """By which it lowers the measure."""
    reason: str
    """A sentence: 'worker-1 is 82 % full, worker-4 8 %'."""


class _Row(NamedTuple):
    """Containers of one service that are alike, on one node."""

    service: Service
    source: int
    request: Request
    containers: list[Allocation]


class _Candidate(NamedTuple):
    row: int
    target: int
    gain: float


class Search:
    """The copy, its measure, and what may move. Bounds spare most rows a look at all nodes."""

    def __init__(
        self,
        copy: Cluster,
        movable: Collection[str],
        healthy: Mapping[Service, int],
        gain: float,
        policy: Policy,
    ) -> None:
        self.copy, self.gain, self.policy = copy, gain, policy
        self.evenness = Evenness(copy, policy)
        self.index = {node.id: row for row, node in enumerate(copy.nodes)}
        leaving = Counter(
            (each.request.app, each.request.service)
            for node in copy.nodes
            for each in copy.on(node.id)
            if each.leaving
        )
        self.left = {service: number - leaving[service] for service, number in healthy.items()}
        self.rows = _rows(copy, set(movable))
        self.refused = 0
        self._blocked: dict[int, set[int]] = {}
        self._moved_since = False
        self._of_service: defaultdict[Service, list[int]] = defaultdict(list)
        for number, row in enumerate(self.rows):
            self._of_service[row.service].append(number)
        self._sources: Ints = np.array([row.source for row in self.rows], dtype=np.int64)
        self._asked: Ints = np.array([amounts_of(row.request) for row in self.rows], dtype=np.int64)
        self._asked = self._asked.reshape(-1, 4)
        self._shapes, self._shape = np.unique(self._asked, axis=0, return_inverse=True)
        self._shape = self._shape.reshape(-1)
        self._skew = np.zeros(len(self.rows))
        self._open = np.zeros(len(self.rows), dtype=np.bool_)
        for service in self._of_service:
            self._look_at_rows(service)
        self._eligible: dict[object, Mask] = {}
        self._everywhere = np.arange(len(copy.nodes))
        self._best_target = np.zeros(len(self._shapes), dtype=np.int64)
        self._best_value = np.full(len(self._shapes), -np.inf)
        self._look_at_shapes(np.arange(len(self._shapes)))

    # -- choosing

    def best(self) -> _Candidate | None:
        """The move with the most gain that is not known to be refused; the first of equals. What was refused
        is tried again, once, when later moves may have changed that."""
        found = self._best()
        if found is None and self._blocked and self._moved_since:
            self._blocked, self._moved_since = {}, False
            found = self._best()
        return found

    def _best(self) -> _Candidate | None:
        bound = (
            self.evenness.given_up(self._sources, self._asked) + self._best_value[self._shape] + self._skew
        )
        bound += 1e-9
        bound[~self._open] = -np.inf
        order = np.argsort(-bound, kind="stable")
        order = order[: int((bound >= self.gain).sum())]
        best: _Candidate | None = None
        for start in range(0, len(order), BLOCK):
            if best is not None and bound[order[start]] <= best.gain:
                break
            rows = order[start : start + BLOCK]
            gains = self._gains(rows)
            place = int(gains.argmax())
            row, target = divmod(place, gains.shape[1])
            value = float(gains[row, target])
            if value >= self.gain and (best is None or value > best.gain):
                best = _Candidate(int(rows[row]), target, value)
        return best

    def _gains(self, rows: Ints) -> Floats:
        """Rows against all nodes; -inf where one cannot go."""
        asked, sources = self._asked[rows], self._sources[rows]
        gains = self.evenness.given_up(sources, asked)[:, None] + self.evenness.taken_on(
            asked, self._everywhere
        )
        for place, number in enumerate(rows):
            row = self.rows[number]
            gains[place] += self.evenness.spread(row.service, row.source)
            gains[place, ~self._eligible_for(row.request)] = -np.inf
            gains[place, [row.source, *self._blocked.get(int(number), ())]] = -np.inf
        return gains

    def _eligible_for(self, request: Request) -> Mask:
        """One mask for all requests that differ in nothing that it depends on (volumes do not move)."""
        key = (request.constraints, request.image if request.image_local_only else "")
        if key not in self._eligible:
            mask = np.zeros(len(self.copy.nodes), dtype=np.bool_)
            mask[[self.index[node] for node in self.copy.eligible(request)]] = True
            self._eligible[key] = mask
        return self._eligible[key]

    # -- bounds

    def _look_at_rows(self, service: Service) -> None:
        """Which of its rows may move, and what they can gain by skew at most."""
        for number in self._of_service[service]:
            row = self.rows[number]
            self._skew[number] = self.evenness.services[service].most(row.source)
            self._open[number] = bool(row.containers) and self.left.get(service, 0) > 0

    def _look_at_shapes(self, shapes: Ints) -> None:
        """The best target of each of these amounts, by load and room alone."""
        if len(shapes) and len(self._everywhere):
            values = self.evenness.taken_on(self._shapes[shapes], self._everywhere)
            self._best_target[shapes] = values.argmax(axis=1)
            self._best_value[shapes] = values.max(axis=1)

    def _follow(self, service: Service, changed: Ints) -> None:
        """Bring the bounds up to date when these nodes have changed."""
        self._look_at_rows(service)
        values = self.evenness.taken_on(self._shapes, changed)
        better = values.max(axis=1) > self._best_value
        self._best_value[better] = values[better].max(axis=1)
        self._best_target[better] = changed[values[better].argmax(axis=1)]
        self._look_at_shapes(np.flatnonzero(np.isin(self._best_target, changed)))

    # -- trying

    def tried(self, candidate: _Candidate) -> Move | None:
        """The move, done on the copy; None if placement refuses it."""
        row = self.rows[candidate.row]
        held = row.containers[0]
        target = self.copy.nodes[candidate.target].id
        self.copy.free(held.container)
        want = Want(row.request, held.slot, held.container, prefer=target)
        [decision] = self.copy.place([want], self.policy)
        if decision.node != target:
            verdicts = self.copy.explain(decision).verdicts
            refused = {self.index[each.node] for each in verdicts if each.refusal is not None}
            self._blocked.setdefault(candidate.row, set()).update(refused, [candidate.target])
            self.copy.free(held.container)
            self.copy.reserve(held)
            self.refused += 1
            return None
        move = Move(
            held.container, held.slot, held.node, target, candidate.gain, self._reason(row, candidate)
        )
        row.containers.pop(0)
        self.left[row.service] -= 1
        self.evenness.move(row.request, row.source, candidate.target)
        self._follow(row.service, np.array([row.source, candidate.target]))
        self._moved_since = True
        return move

    # -- sentences

    def nothing_left(self) -> str:
        if not self.rows:
            return "There is no container that may move"
        held_back = {
            row.service for row in self.rows if row.containers and self.left.get(row.service, 0) <= 0
        }
        more = f"No other move gains {self.gain:g}"
        if not held_back:
            return more
        are = "service is" if len(held_back) == 1 else "services are"
        return f"{more}; {len(held_back)} {are} not well or on the move already"

    def _reason(self, row: _Row, candidate: _Candidate) -> str:
        """What speaks for it most, as things are before it."""
        skew, source, target = self.evenness.services[row.service], row.source, candidate.target
        by_key = [(float(skew.gains(key, source)[target]), key) for key in skew.keys]
        most, key = max(by_key, key=lambda each: each[0], default=(0.0, None))
        here, there = (self.copy.nodes[each].name for each in (source, target))
        if key is not None and most > candidate.gain / 2:
            many, few = int(key.counts[key.codes[source]]), int(key.counts[key.codes[target]])
            where = "" if key.name == NODE else f" by {key.name}"
            return f"{here} has {many} of {row.request.service}{where}, {there} {few or 'none'}"
        if self.evenness.packing and self.evenness.there[source] == 1:
            return f"It empties {here}"
        return f"{here} is {self.evenness.fill(source):.0%} full, {there} {self.evenness.fill(target):.0%}"


def _rows(copy: Cluster, movable: Collection[str]) -> list[_Row]:
    """What may move, in the order of app, service, node and container."""
    rows: dict[tuple[Service, int, int], _Row] = {}
    for source, node in enumerate(copy.nodes):
        held = copy.on(node.id) if node.state is NodeState.READY else ()
        for each in sorted(held, key=lambda each: each.container):
            request = each.request
            service = (request.app, request.service)
            if each.container in movable and not each.leaving and not _settled(request):
                row = rows.setdefault((service, source, id(request)), _Row(service, source, request, []))
                row.containers.append(each)
    return sorted(rows.values(), key=lambda row: (row.service, row.source, row.containers[0].container))


def _settled(request: Request) -> bool:
    return bool(request.volumes) or any(not each.required for each in request.affinity)
