"""Where containers go: filter, score, choose, reserve. The one entry to placement is `Cluster`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from scheduler import explain
from scheduler.columns import Columns, Floats, Mask
from scheduler.filters import FILTERS
from scheduler.model import Allocation, Decision, Node, NodeVerdict, Refusal, Request
from scheduler.scores import SPREAD, Policy, score

_NO_VOLUMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Sifted:
    """Which nodes fit, and for the rest the row of the first filter that refuses."""

    fits: Mask
    refused_by: Mapping[int, int]


class Cluster:
    """Nodes and what is taken of them. `volumes` tells the node of each bound volume.

    Same nodes, allocations and requests, same decisions: the order of nodes does not matter, ties go to the
    lowest node id. Requests of one batch are decided in their order, each seeing the ones before.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        allocations: Iterable[Allocation] = (),
        volumes: Mapping[str, str] = _NO_VOLUMES,
    ) -> None:
        self.columns = Columns(nodes, volumes)
        self._unnamed = 0
        for allocation in allocations:
            self.reserve(allocation)

    def reserve(self, allocation: Allocation) -> None:
        """Count what a live container holds, also beyond capacity: it is there. Its volumes become bound."""
        self.columns.reserve(allocation)

    def free(self, container: str) -> None:
        """Give back what a container held. Freeing twice, or what was never there, changes nothing."""
        self.columns.free(container)

    def place(self, requests: Sequence[Request], policy: Policy = SPREAD) -> list[Decision]:
        """One decision per request, in their order. What is decided is reserved."""
        return [self._place(request, policy) for request in requests]

    def _place(self, request: Request, policy: Policy) -> Decision:
        sifted = self._sift(request)
        parts = score(self.columns, request, sifted.fits, policy)
        verdicts = self._verdicts(request, sifted, parts)
        if not sifted.fits.any():
            return Decision(request, None, verdicts=verdicts, summary=explain.refused(verdicts))
        row = _best(parts, sifted.fits)
        summary = explain.chosen(self.columns, request, row, verdicts)
        ports = self.columns.give_ports(row, request.ports, request.slot)
        decision = Decision(request, self.columns.nodes[row].id, ports, verdicts, summary)
        self.reserve(self._allocation(decision))
        return decision

    def _sift(self, request: Request) -> _Sifted:
        fits = np.ones(len(self.columns.nodes), dtype=np.bool_)
        refused_by: dict[int, int] = {}
        for number, each in enumerate(FILTERS):
            passes = each.passes(self.columns, request)
            refused_by.update((int(row), number) for row in np.flatnonzero(fits & ~passes))
            fits &= passes
        return _Sifted(fits, refused_by)

    def _verdicts(
        self, request: Request, sifted: _Sifted, parts: Mapping[str, Floats]
    ) -> tuple[NodeVerdict, ...]:
        verdicts = []
        for row, node in enumerate(self.columns.nodes):
            if sifted.fits[row]:
                scores = {part: float(column[row]) for part, column in parts.items()}
                verdicts.append(NodeVerdict(node.id, node.name, scores=scores))
            else:
                verdicts.append(NodeVerdict(node.id, node.name, self._refusal(request, row, sifted)))
        return tuple(verdicts)

    def _refusal(self, request: Request, row: int, sifted: _Sifted) -> Refusal:
        return FILTERS[sifted.refused_by[row]].refuse(self.columns, request, row)

    def _allocation(self, decision: Decision) -> Allocation:
        request = decision.request
        self._unnamed += not request.container
        return Allocation(
            container=request.container or f"unnamed {self._unnamed}",
            slot=request.slot,
            app=request.app,
            service=request.service,
            node=decision.node or "",
            cpu=request.cpu,
            memory=request.memory,
            pids=request.pids,
            ports=decision.ports,
            volumes=request.volumes,
        )


def _best(parts: Mapping[str, Floats], fits: Mask) -> int:
    """Row of the highest total among those that fit; the first of equals."""
    total = np.zeros(len(fits))
    for column in parts.values():
        total += column
    return int(np.argmax(np.where(fits, total, -np.inf)))
