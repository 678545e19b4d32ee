"""The policies that can be simulated: the scheduler's own, and two to compare them with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scheduler.arrays import Ints, Mask
from scheduler.model import Decision, Request, Want
from scheduler.placement import Cluster
from scheduler.scores import POLICIES
from scheduler.simulation.measures import Room, shape_of
from scheduler.simulation.traces import Batch

Placer = Callable[[Batch], list[Decision]]
Choice = Callable[[Room, Ints, Request], int]
"""One of these rows, all of which have room for the request."""


def placer(policy: str, cluster: Cluster, seed: int) -> Placer:
    """How a batch is placed on this cluster, which is still empty. `seed` is for the policy that draws."""
    if policy == "random":
        return _Baseline(cluster, _draw(seed)).place
    if policy == "bestfit":
        return _Baseline(cluster, _least_left).place
    return lambda batch: cluster.place(batch, POLICIES[policy])


NAMES = (*POLICIES, "bestfit", "random")


def _draw(seed: int) -> Choice:
    """Any of them, each as likely."""
    generator = np.random.default_rng(seed)
    return lambda _room, rows, _request: int(generator.choice(rows))


def _least_left(room: Room, rows: Ints, request: Request) -> int:
    """Where least is left of CPU and GPUs together, each against the most that a node has: the BestFit that
    FGD's authors compare with."""
    shape, state = shape_of(request), room.state
    cpu = (state.cpu[rows] - shape.cpu) / max(room.most_cpu, 1)
    gpus = (state.free[rows].sum(axis=1) - shape.asked) / max(room.most_gpus, 1)
    return int(rows[np.argmin(cpu + gpus)])


class _Baseline:
    """Chooses by itself among the nodes with room, and lets the cluster only confirm it."""

    def __init__(self, cluster: Cluster, choice: Choice) -> None:
        self._cluster, self._choice, self._room = cluster, choice, Room(cluster.nodes)
        self._eligible: dict[Request, Mask] = {}

    def place(self, batch: Batch) -> list[Decision]:
        return [self._place(want) for want in batch]

    def _place(self, want: Want) -> Decision:
        """Where the chosen node refuses after all (it has its most of this service), whatever node is left."""
        request = want.request
        rows = np.flatnonzero(self._room.fits(shape_of(request)) & self._allowed(request))
        decision = Decision(want, None)
        if len(rows):
            node = self._cluster.nodes[self._choice(self._room, rows, request)].id
            (decision,) = self._cluster.place([want._replace(node=node)])
        if len(rows) and decision.node is None:
            (decision,) = self._cluster.place([want])
        self._room.take(decision)
        return decision._replace(want=want)

    def _allowed(self, request: Request) -> Mask:
        if request not in self._eligible:
            ids = set(self._cluster.eligible(request))
            self._eligible[request] = np.array(
                [node.id in ids for node in self._cluster.nodes], dtype=np.bool_
            )
        return self._eligible[request]
