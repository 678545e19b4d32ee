"""Nodes that are in use, with everything a request can ask for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import assume, settings
from hypothesis import strategies as st

from scheduler.model import Affinity, Allocation, Node, Quota, Request, Resource, Spread, Want
from scheduler.moves import Move
from scheduler.placement import Cluster
from tests.scheduler.strategies import REQUESTS, nodes

FEW = settings(max_examples=25, deadline=None)
"""Of what is dear to make and seldom wrong."""

AFFINITY = st.builds(
    Affinity,
    service=st.sampled_from(["web", "db", "*"]),
    over=st.sampled_from(["node.id", "node.zone"]),
    anti=st.booleans(),
    required=st.sampled_from([True, True, False]),
)

RESOURCES = st.sampled_from(
    [(), (), (), (Resource("gpu", units=1),), (Resource("gpu", units=2),), (Resource("gpu", share=400),)]
)

SPREADS = st.sets(st.sampled_from(["node.zone", "node.labels.disk"])).map(
    lambda keys: tuple(Spread(key) for key in sorted(keys))
)


@dataclass(frozen=True)
class Crowd:
    nodes: list[Node]
    allocations: list[Allocation]
    quotas: dict[str, Quota]

    @property
    def volumes(self) -> dict[str, str]:
        """Where each is: it stays there when its containers go."""
        return {volume: each.node for each in self.allocations for volume in each.request.volumes}

    def cluster(self) -> Cluster:
        return Cluster(self.nodes, self.allocations, self.volumes, self.quotas)

    def without(self, gone: Collection[str], **changed: Node) -> Cluster:
        """These containers gone, and these nodes (by id) changed."""
        nodes = [changed.get(each.id, each) for each in self.nodes]
        left = [each for each in self.allocations if each.container not in gone]
        return Cluster(nodes, left, self.volumes, self.quotas)

    def shuffled(self, shuffle: Random) -> Cluster:
        """The same in another order."""
        nodes = shuffle.sample(self.nodes, len(self.nodes))
        there = shuffle.sample(self.allocations, len(self.allocations))
        return Cluster(nodes, there, self.volumes, self.quotas)


def held(cluster: Cluster) -> dict[str, Allocation]:
    return {each.container: each for node in cluster.nodes for each in cluster.on(node.id)}


def really(cluster: Cluster, moves: Sequence[Move]) -> Cluster:
    """The moves done one by one, each of which has to be possible."""
    for move in moves:
        there = cluster.get(move.container)
        assert there is not None
        assert there.node == move.source
        cluster.free(move.container)
        want = Want(there.request, there.slot, there.container, node=move.target)
        assert cluster.place([want])[0].node == move.target
    return cluster


@st.composite
def requests(draw: st.DrawFn) -> Request:
    return replace(
        draw(REQUESTS),
        team=draw(st.sampled_from(["", "red"])),
        resources=draw(RESOURCES),
        affinity=tuple(draw(st.lists(AFFINITY, max_size=1))),
        spread=draw(SPREADS),
        priority=draw(st.integers(0, 3)),
        disk=draw(st.integers(0, 60)),
    )


@st.composite
def crowds(draw: st.DrawFn, kinds: int = 4, most: int = 10) -> Crowd:
    """What is there was placed by the rules, or (one in four) got there somehow, as after a change of them."""
    machines = [
        replace(each, resources={"gpu": draw(st.integers(0, 3))}, disk=draw(st.sampled_from([0, 100, 300])))
        for each in draw(nodes())
    ]
    assume(machines)
    quotas = {"red": Quota(draw(st.sampled_from([None, 2, 4])), draw(st.sampled_from([None, 800])), None)}
    asked = draw(st.lists(requests(), min_size=1, max_size=kinds))
    cluster = Cluster(machines, quotas=quotas)
    for number in range(draw(st.integers(0, most))):
        request, on = draw(st.sampled_from(asked)), draw(st.sampled_from(machines)).id
        name, slot = f"c{number:02}", f"s{number:02}"
        [decision] = cluster.place([Want(request, slot, name, node=on)])
        if decision.node is None and draw(st.sampled_from([True, False, False, False])):
            cluster.reserve(Allocation(name, slot, on, request, request.ports))
        if draw(st.sampled_from([True] + [False] * 5)):
            cluster.leave(name)
    return Crowd(machines, sorted(held(cluster).values(), key=lambda each: each.container), quotas)
