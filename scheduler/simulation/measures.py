"""What a list of decisions amounts to. Counted anew from the decisions, so that it also checks the scheduler."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from scheduler.arrays import Floats, Ints, Mask
from scheduler.fragmentation import Mix, Shape, State
from scheduler.model import Decision, Node, Request
from scheduler.resources import WHOLE
from scheduler.simulation.traces import GPU


def shape_of(request: Request) -> Shape:
    return Shape.of(request, GPU)


class Room:
    """What is free of each node. Kept apart from the scheduler's own columns, so that it also checks them."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.index = {node.id: row for row, node in enumerate(nodes)}
        units = np.array([node.resources.get(GPU, 0) for node in nodes], dtype=np.int64)
        unit = np.arange(max(int(units.max(initial=0)), 1))
        self.state = State(
            np.array([node.cpu for node in nodes], dtype=np.int64),
            np.array([node.memory for node in nodes], dtype=np.int64),
            np.where(unit < units[:, None], WHOLE, 0).astype(np.int64),
        )
        self.most_cpu = int(self.state.cpu.max(initial=0))
        self.most_gpus = int(units.max(initial=0)) * WHOLE

    def take(self, decision: Decision) -> None:
        """Raises `ValueError` when it takes what is not there."""
        if decision.node is None:
            return
        row, request = self.index[decision.node], decision.want.request
        self.state.cpu[row] -= request.cpu
        self.state.memory[row] -= request.memory
        for grant in decision.grants:
            if grant.kind == GPU:
                self.state.free[row, list(grant.units)] -= grant.share or WHOLE
        if min(self.state.cpu[row], self.state.memory[row], self.state.free[row].min()) < 0:
            raise ValueError(f"{decision.want.slot} takes of {decision.node} what is not there")

    def fits(self, shape: Shape) -> Mask:
        fits = (self.state.cpu >= shape.cpu) & (self.state.memory >= shape.memory)
        if shape.share:
            fits &= self.state.free.max(axis=1) >= shape.share
        elif shape.units:
            fits &= (self.state.free == WHOLE).sum(axis=1) >= shape.units
        return np.asarray(fits, dtype=np.bool_)


class Ledger:
    """How the scarce resource (GPUs if any is asked for, else CPU) filled up, and what is left of it."""

    def __init__(self, nodes: Sequence[Node], decisions: Sequence[Decision]) -> None:
        shapes = [shape_of(each.want.request) for each in decisions]
        self._shapes = Counter(shapes)
        self._gpus = any(shape.asked for shape in self._shapes)
        self._room = Room(nodes)
        capacity = max(int(self._free().sum()), 1)
        amounts = [shape.asked if self._gpus else shape.cpu for shape in shapes]
        placed = [each.node is not None for each in decisions]
        self.asked: Floats = np.cumsum(amounts) / capacity
        """Share of the capacity that was asked for so far, after each decision …"""
        self.held: Floats = np.cumsum(np.multiply(amounts, placed)) / capacity
        """… and that is held."""
        for each in decisions:
            self._room.take(each)

    def fragmented(self) -> float:
        """Share of the free scarce resource that the average shape cannot use: FGD's F over what is free. GPUs are
        averaged by what each shape asks of them, CPU by the number of requests."""
        free = self._free()
        if not free.sum():
            return 0.0
        if self._gpus:
            usable = Mix.of(self._shapes, self._room.state.free.shape[1]).usable(self._room.state)
        else:
            usable = sum(
                (free * self._room.fits(shape) * number for shape, number in self._shapes.items()),
                start=np.zeros(len(free)),
            ) / max(self._shapes.total(), 1)
        return 1.0 - float(usable.sum() / free.sum())

    def _free(self) -> Ints:
        state = self._room.state
        return np.asarray(state.free.sum(axis=1) if self._gpus else state.cpu, dtype=np.int64)


def skew(nodes: Iterable[Node], decisions: Iterable[Decision]) -> float | None:
    """Most less fewest replicas by zone, mean over services of several replicas; None with a single zone."""
    zone = {node.id: node.zone for node in nodes}
    zones = set(zone.values())
    services: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for each in decisions:
        if each.node is not None:
            services[each.want.request.app, each.want.request.service][zone[each.node]] += 1
    several = [counts for counts in services.values() if counts.total() > 1]
    if len(zones) < 2 or not several:
        return None
    return float(np.mean([max(counts.values()) - min(counts[each] for each in zones) for counts in several]))
