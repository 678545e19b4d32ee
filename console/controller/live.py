"""The scheduler's `Cluster`, kept between steps: changed by what this process writes, read anew when in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from console.cluster.models import Node
from console.controller import load
from console.controller.requests import Releases
from console.workloads.models import Container
from scheduler.model import Allocation, Decision, Request, Want
from scheduler.placement import Cluster

_Facts = tuple[object, ...]
CLAIM = "claim "
"""Begins the id of what is held for a slot that waits until others have left."""


class Live:
    """Everything that takes or frees passes through here. While nothing is loaded, changes are only in the
    database, where the next `load` finds them.

    Changes since `begin` can be undone: they belong to a savepoint of the database.
    """

    def __init__(self, releases: Releases) -> None:
        self.releases = releases
        self._cluster: Cluster | None = None
        self._facts: dict[str, _Facts] = {}
        """What each node was when it was given to the cluster."""
        self._volumes: dict[str, str] = {}
        self._ports: dict[str, tuple[datetime, str]] = {}
        """Until when a container that has ended holds its ports (somebody whom Berth does not know has them),
        and whose it was."""
        self._priorities: Counter[int] = Counter()
        self._claims: dict[str, list[str]] = {}
        self._before: dict[str, Allocation | None] = {}
        self._volumes_before: dict[str, str | None] = {}
        self._ports_before: dict[str, tuple[datetime, str]] = {}

    @property
    def cluster(self) -> Cluster:
        """Raises `RuntimeError` before `load`."""
        if self._cluster is None:
            raise RuntimeError("the cluster is not loaded")
        return self._cluster

    def discard(self) -> None:
        """It may be wrong: the next step reads it from the database."""
        self._cluster = None
        self._facts, self._claims, self._ports = {}, {}, {}
        self.begin()

    def load(self, now: datetime, nodes: Mapping[str, Node]) -> None:
        """Read it, if it is not there."""
        if self._cluster is not None:
            return
        rows = load.held(now, nodes, self.releases)
        self._volumes = rows.volumes
        self._ports = rows.ports
        self._priorities = Counter(each.request.priority for each in rows.allocations)
        self._facts = {node.id: load.node_facts(node) for node in nodes.values()}
        self._cluster = load.cluster_of(nodes.values(), rows)

    # -- nodes

    def follow(self, now: datetime, nodes: Mapping[str, Node]) -> set[str]:
        """Take over what changed of the nodes, and of time. Ids of nodes that are new, gone or others than they
        were; all of them while nothing is loaded."""
        if self.releases.see_zones(nodes.values()):
            self.discard()
        if self._cluster is None:
            return set(nodes)
        for container in [id_ for id_, (until, _app) in self._ports.items() if until <= now]:
            del self._ports[container]
            self.free(container)
        changed = self._facts.keys() - nodes.keys()
        for id_ in sorted(changed):
            self._drop(id_)
        for id_, node in nodes.items():
            facts = load.node_facts(node)
            if self._facts.get(id_) != facts:
                self._facts[id_] = facts
                self._cluster.update(load.scheduler_node(node))
                changed.add(id_)
        return changed

    def _drop(self, node_id: str) -> None:
        for each in self.cluster.on(node_id):
            self.free(each.container)
            self._ports.pop(each.container, None)
        self.cluster.drop(node_id)
        del self._facts[node_id]

    # -- containers

    def place(self, wants: Sequence[Want]) -> list[Decision]:
        """As `Cluster.place`; `Cluster.explain` answers right afterwards."""
        decisions = self.cluster.place(wants)
        for want, node, *_given in decisions:
            if node is not None:
                self._before.setdefault(want.container, None)
                self._priorities[want.request.priority] += 1
                self._see_bound(want.request.volumes, node)
        return decisions

    def free(self, container: str) -> None:
        """It has ended."""
        self._set(container, None)

    def _free_many(self, containers: Sequence[str]) -> None:
        if self._cluster is None:
            return
        for container in containers:
            held = self._cluster.get(container)
            if held is not None:
                self._before.setdefault(container, held)
                self._priorities[held.request.priority] -= 1
        self._cluster.free_many(containers)

    def leave(self, container: str) -> None:
        """It was told to stop."""
        held = self._cluster.get(container) if self._cluster else None
        if held is not None and not held.leaving:
            self._before.setdefault(container, held)
            self.cluster.leave(container)

    def hold_ports(self, allocation: Allocation, until: datetime, app: str) -> None:
        """It ended; its ports, which it found taken, are not given out for a while."""
        if self._cluster is not None:
            self._set(allocation.container, allocation)
            self._ports[allocation.container] = until, app

    def lose(self, containers: Iterable[Container]) -> None:
        """They were given up with their node, where they may run on: their ports are taken until they are removed
        there."""
        freed = []
        for container in containers:
            if container.ports:
                self.hold_ports(load.only_ports(container), load.UNTIL_GONE, container.app_id)
            else:
                freed.append(container.id)
        self._free_many(freed)

    def gone(self, container: Container) -> None:
        """It ended before, and is removed now."""
        if self._ports.get(container.id, (None,))[0] == load.UNTIL_GONE:
            del self._ports[container.id]
            self.free(container.id)

    def claim(self, app: str, want: Want, node: str) -> None:
        """Hold room for a want that waits until others have left the node, until the app is looked at again."""
        id_ = f"{CLAIM}{want.slot}"
        self._claims.setdefault(app, []).append(id_)
        self._set(id_, Allocation(id_, want.slot, node, replace(want.request, volumes=())))

    def drop_claims(self, app: str) -> None:
        for id_ in self._claims.pop(app, ()):
            self.free(id_)

    def may_evict(self, request: Request) -> bool:
        """Whether anything of lower priority is there, or on its way out."""
        return any(count > 0 and priority < request.priority for priority, count in self._priorities.items())

    def _set(self, container: str, allocation: Allocation | None) -> None:
        if self._cluster is None:
            return
        held = self._cluster.get(container)
        if held is None and allocation is None:
            return
        self._before.setdefault(container, held)
        self._swap(container, held, allocation)

    def _swap(self, container: str, held: Allocation | None, allocation: Allocation | None) -> None:
        if held is not None:
            self._priorities[held.request.priority] -= 1
        if allocation is None:
            self.cluster.free(container)
        else:
            self.cluster.reserve(allocation)
            self._priorities[allocation.request.priority] += 1

    # -- volumes

    def unbind(self, volumes: Iterable[str]) -> None:
        """These are gone."""
        for volume in volumes:
            if self._cluster is not None and volume in self._volumes:
                self._volumes_before.setdefault(volume, self._volumes.pop(volume))
                self._cluster.unbind(volume)

    def _see_bound(self, volumes: Sequence[str], node: str) -> None:
        for volume in volumes:
            if volume not in self._volumes:
                self._volumes_before.setdefault(volume, None)
                self._volumes[volume] = node

    def forget_app(self, app: str) -> None:
        """Its rows are gone: its volumes are bound no more, and nothing holds ports for it."""
        self.drop_claims(app)
        self.unbind([volume for volume in self._volumes if volume.startswith(f"{app}/")])
        for container in [id_ for id_, (_until, owner) in self._ports.items() if owner == app]:
            del self._ports[container]
            self.free(container)

    # -- savepoints

    def begin(self) -> None:
        """What was changed until now stays."""
        self._before, self._volumes_before, self._ports_before = {}, {}, dict(self._ports)

    def undo(self) -> None:
        """As at the last `begin`."""
        if self._cluster is None:
            return
        for container, before in self._before.items():
            # A claim is made anew when its app is looked at again.
            back = None if container.startswith(CLAIM) else before
            self._swap(container, self._cluster.get(container), back)
        self._ports = self._ports_before
        for volume, node in self._volumes_before.items():
            if node is None:
                self._volumes.pop(volume, None)
                self._cluster.unbind(volume)
            else:
                self._volumes[volume] = node
                self._cluster.bind(volume, node)
        self.begin()
