"""Where containers go: filter, score, choose, reserve. The one entry to placement is `Cluster`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from scheduler import batch, filters
from scheduler.arrays import Floats, Mask
from scheduler.columns import Columns
from scheduler.explain import explain
from scheduler.model import Allocation, Decision, Explanation, Node, Quota, Request, Want
from scheduler.scores import AVOIDED, PREFERRED, SPREAD, Policy, total

_NO_VOLUMES: Mapping[str, str] = MappingProxyType({})
_NO_QUOTAS: Mapping[str, Quota] = MappingProxyType({})


class Cluster:
    """Nodes and what is taken of them. `volumes` tells the node of each bound volume.

    Same nodes, allocations and wants, same decisions: the order of nodes does not matter, ties go to the
    lowest node id. Wants of one call are decided in their order, each seeing the ones before.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        allocations: Iterable[Allocation] = (),
        volumes: Mapping[str, str] = _NO_VOLUMES,
        quotas: Mapping[str, Quota] = _NO_QUOTAS,
        policy: Policy = SPREAD,
    ) -> None:
        self.policy = policy
        """Of what is placed where no other one is named."""
        self.columns = Columns(nodes, volumes, quotas)
        self._unnamed = 0
        self._made = batch.Made([], [])
        """By the latest call; empty once anything else has changed."""
        self._bound: dict[str, tuple[str, ...]] = {}
        """Volumes that the latest call bound, by container."""
        self._policy = policy
        for allocation in allocations:
            self.columns.reserve(allocation)

    # -- what is there

    @property
    def nodes(self) -> tuple[Node, ...]:
        """In the order of their ids."""
        return tuple(self.columns.nodes)

    @property
    def quotas(self) -> Mapping[str, Quota]:
        return self.columns.quotas

    def get(self, container: str) -> Allocation | None:
        row = self.columns.where.get(container)
        return None if row is None else self.columns.on[row][container]

    def on(self, node_id: str) -> tuple[Allocation, ...]:
        """What is on a node, in the order in which it came."""
        row = self.columns.index.get(node_id)
        return () if row is None else tuple(self.columns.on[row].values())

    def copy(self) -> Cluster:
        """The same, and independent of this one."""
        other = Cluster((), policy=self.policy)
        other.columns = self.columns.copy()
        other._unnamed = self._unnamed
        return other

    # -- what changes

    def reserve(self, allocation: Allocation) -> None:
        """Count what a live container holds, also beyond capacity: it is there. Its volumes become bound."""
        self._forget()
        self.columns.reserve(allocation)

    def free(self, container: str) -> None:
        """Give back what a container held. Freeing twice, or what was never there, changes nothing."""
        self._forget()
        self.columns.free(container)

    def free_many(self, containers: Iterable[str]) -> None:
        """As `free` of each: what a lost node held, say."""
        self._forget()
        self.columns.free_many(containers)

    def leave(self, container: str) -> None:
        """Mark it as leaving; one that holds nothing changes nothing."""
        held = self.get(container)
        if held is not None:
            self.columns.on[self.columns.where[container]][container] = held._replace(leaving=True)

    def update(self, node: Node) -> None:
        """A new node, or one that is other than before. What it holds stays."""
        self._forget()
        if not self.columns.update(node):
            self._rebuild([each for each in self.nodes if each.id != node.id] + [node])

    def drop(self, node_id: str) -> None:
        """The node is gone, and what it held with it."""
        self._rebuild([each for each in self.nodes if each.id != node_id])

    def bind(self, volume: str, node_id: str) -> None:
        self._forget()
        self.columns.volumes[volume] = node_id

    def unbind(self, volume: str) -> None:
        self._forget()
        self.columns.volumes.pop(volume, None)

    def _rebuild(self, nodes: list[Node]) -> None:
        before = self.columns
        self._forget()
        self.columns = Columns(nodes, before.volumes, before.quotas)
        for there in before.on:
            for allocation in there.values():
                self.columns.reserve(allocation)

    # -- placing

    def place(self, wants: Sequence[Want], policy: Policy | None = None) -> list[Decision]:
        """One decision per want, in their order. What is decided is reserved; ValueError if a want names a
        container that holds something already, or two name the same."""
        columns = self.columns
        named = [want.container for want in wants if want.container]
        if placed := next((name for name in named if name in columns.where), None):
            raise ValueError(f"Container {placed} is placed already")
        if len(set(named)) < len(named):
            raise ValueError("Two wants name the same container")
        self._forget()
        self._policy = policy = policy or self.policy
        if "fragmentation" in policy.weights:
            columns.fragments.learn(columns, wants)
        for run in batch.runs(wants):
            self._place(run)
        return list(self._made.decisions)

    def explain(self, decision: Decision) -> Explanation:
        """As `explain_all`, of one."""
        return self.explain_all([decision])[0]

    def explain_all(self, decided: Sequence[Decision]) -> list[Explanation]:
        """Why decisions of the latest `place` are as they are, each from the cluster as it was at its turn. ValueError
        for another decision, and once anything else changed. However many are asked for, everything after the
        first of them is undone and done again once."""
        decisions, allocations = self._made
        turns = {id(made): turn for turn, made in enumerate(decisions)}
        if any(id(decision) not in turns for decision in decided):
            raise ValueError("Not a decision of the latest call, or the cluster has changed since")
        volumes = dict(self.columns.volumes)
        found: dict[int, Explanation] = {}
        first = len(allocations)
        try:
            for turn in sorted({turns[id(decision)] for decision in decided}, reverse=True):
                later = [allocation for allocation in allocations[turn:first] if allocation]
                self.columns.free_many(allocation.container for allocation in later)
                self._unbind(later)
                first = turn
                found[turn] = explain(self.columns, decisions[turn], self._policy)
        finally:
            self.columns.reserve_many(allocation for allocation in allocations[first:] if allocation)
            self.columns.volumes = volumes
        return [found[turns[id(decision)]] for decision in decided]

    def _forget(self) -> None:
        if self._made.decisions:
            self._made, self._bound = batch.Made([], []), {}

    def _unbind(self, later: Iterable[Allocation]) -> None:
        """Volumes that these bound: those which nobody held before."""
        for allocation in later:
            for volume in self._bound.get(allocation.container, ()):
                self.columns.volumes.pop(volume, None)

    def eligible(self, request: Request) -> tuple[str, ...]:
        """Nodes that are ready and meet what does not depend on what is taken."""
        refused = filters.refused(self.columns, request, filters.LASTING)
        return tuple(self.columns.nodes[row].id for row in np.flatnonzero(~refused))

    def _place(self, run: Sequence[Want]) -> None:
        """Together as soon as that gives the same: the first one may bind the volumes of all."""
        for turn, want in enumerate(run[:2]):
            if batch.possible(self.columns, run[turn:], self._policy):
                return self._together(run[turn:])
            self._alone(want)
        for want in run[2:]:
            self._alone(want)
        return None

    def _alone(self, want: Want) -> None:
        columns, request = self.columns, want.request
        row = self._row(want)
        if row < 0:
            self._made.decisions.append(Decision(want, None))
            self._made.allocations.append(None)
            return
        node = columns.nodes[row]
        ports = columns.ports.give(row, node, request.ports, want.slot) if request.ports else ()
        grants = tuple(
            columns.units[each.kind].choose(row, each, self._policy.unit) for each in request.resources
        )
        name = want.container or next(self._names())
        allocation = Allocation(name, want.slot, node.id, request, ports, grants)
        bound = columns.reserve(allocation)
        if bound:
            self._bound[name] = bound
        self._made.decisions.append(Decision(want, node.id, ports, grants))
        self._made.allocations.append(allocation)

    def _row(self, want: Want) -> int:
        """Row of the best node for it; -1: none fits. Nearly always the best has room, so that no other is
        asked for its amounts."""
        columns, request = self.columns, want.request
        refused = filters.refused(columns, request, filters.BUT_AMOUNTS)
        scores = total(columns, request, self._policy)
        if want.node or want.prefer or want.avoid:
            self._bend(want, refused, scores)
        row = _best(scores, refused)
        if row >= 0 and not filters.has_amounts(columns, request, row):
            refused |= filters.refused(columns, request, filters.AMOUNTS)
            row = _best(scores, refused)
        return row

    def _together(self, run: Sequence[Want]) -> None:
        columns, request = self.columns, run[0].request
        base = total(columns, request, self._policy, without="labels")
        made = batch.Batch(columns, request, self._policy, ~filters.refused(columns, request), base)
        decisions, allocations = made.place(run, self._names())
        self._made.decisions.extend(decisions)
        self._made.allocations.extend(allocations)

    def _bend(self, want: Want, refused: Mask, scores: Floats) -> None:
        """What the want says of nodes by name."""
        index = self.columns.index
        if want.node:
            only = index.get(want.node)
            kept = True if only is None else bool(refused[only])
            refused[:] = True
            if only is not None:
                refused[only] = kept
        for name in want.avoid:
            if name in index:
                scores[index[name]] += AVOIDED
        if want.prefer in index:
            scores[index[want.prefer]] += PREFERRED

    def _names(self) -> Iterator[str]:
        """For those that have no container's id."""
        while True:
            self._unnamed += 1
            yield f"unnamed {self._unnamed}"


def _best(scores: Floats, refused: Mask) -> int:
    """Row of the highest score among those that are not refused, the first of equals; -1 if all are."""
    if not len(scores):
        return -1
    np.putmask(scores, refused, -np.inf)
    row = int(scores.argmax())
    return -1 if refused[row] else row
