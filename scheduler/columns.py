"""The cluster as columns: one row per node, in the order of their ids.

Filters and scores read whole columns; a reservation changes one row. What is counted per service, app, port
or team is sparse, so that the cost of a million containers is theirs and not nodes times services.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from scheduler.arrays import Floats, Ints, Mask
from scheduler.counts import EMPTY, Tally, rows_of
from scheduler.fragments import Fragments
from scheduler.masks import Masks
from scheduler.model import Allocation, Node, NodeState, Quota, Request
from scheduler.ports import Ports
from scheduler.resources import Units

UNKNOWN = 1 << 62
"""Free disk of a node that does not tell its own."""


class Columns:
    """Nodes, and what is taken of each. Free amounts may be negative: what runs, runs."""

    def __init__(
        self, nodes: Iterable[Node], volumes: Mapping[str, str], quotas: Mapping[str, Quota] | None = None
    ) -> None:
        self.nodes: list[Node] = sorted(nodes, key=lambda node: node.id)
        self.index = {node.id: row for row, node in enumerate(self.nodes)}
        self.unready: Mask = np.array([not _ready(node) for node in self.nodes], dtype=np.bool_)
        self.off_overlay: Mask = np.array([bool(node.off_overlay) for node in self.nodes], dtype=np.bool_)
        self.off_secrets: Mask = np.array([bool(node.off_secrets) for node in self.nodes], dtype=np.bool_)
        self.low_on_disk: Mask = np.array([node.low_on_disk for node in self.nodes], dtype=np.bool_)
        self.cpu: Ints = self._column(node.cpu for node in self.nodes)
        self.memory: Ints = self._column(node.memory for node in self.nodes)
        self.cpu_free: Ints = self.cpu.copy()
        self.memory_free: Ints = self.memory.copy()
        self.pids_free: Ints = self._column(node.pids for node in self.nodes)
        self.disk_free: Ints = self._column(node.disk or UNKNOWN for node in self.nodes)
        self.load: Floats = free_share(self.cpu_free, self.cpu, self.memory_free, self.memory)
        self.stamp: Ints = np.zeros(len(self.nodes), dtype=np.int64)
        """Grows with every change of a row, so that whoever keeps something per row knows when it is old."""
        self.ports = Ports(self.nodes)
        self.units: dict[str, Units] = {
            kind: Units(kind, self.nodes)
            for kind in sorted({k for node in self.nodes for k, number in node.resources.items() if number})
        }
        self.fragments = Fragments()
        self.volumes: dict[str, str] = dict(volumes)
        """Node of each volume that is bound."""
        self.quotas: dict[str, Quota] = dict(quotas or {})
        self.teams: dict[str, list[int]] = {}
        """What each team holds: containers, CPU, memory."""
        self.where: dict[str, int] = {}
        """Row of each container."""
        self.on: list[dict[str, Allocation]] = [{} for _ in self.nodes]
        """Containers of each row."""
        self._services: dict[tuple[str, str], Tally] = {}
        self._apps: dict[str, Tally] = {}
        self.repels: dict[str, dict[tuple[str, str], Tally]] = {}
        """Of each app: those whose required anti-affinity names (service, key)."""
        self.masks = Masks(self.nodes)

    def _column(self, values: Iterable[int]) -> Ints:
        return np.fromiter(values, dtype=np.int64, count=len(self.nodes))

    # -- containers

    def reserve(self, allocation: Allocation) -> tuple[str, ...]:
        """Take what this container holds; again under the same id replaces the first. A node that is not
        here has nothing to take. The volumes that became bound by it."""
        self.free(allocation.container)
        row = self.index.get(allocation.node)
        if row is None:
            return ()
        self._take_amounts(row, allocation.request, 1)
        self.count(row, allocation, 1)
        bound = tuple(each for each in allocation.request.volumes if each not in self.volumes)
        self.volumes.update(dict.fromkeys(bound, allocation.node))
        return bound

    def free(self, container: str) -> None:
        """Give back what this container held; one that holds nothing changes nothing. Its volumes stay
        where they are."""
        row = self.where.get(container)
        if row is not None:
            allocation = self.on[row][container]
            self._take_amounts(row, allocation.request, -1)
            self.count(row, allocation, -1)

    def free_many(self, containers: Iterable[str]) -> None:
        """As `free` of each; of those that have the very same request, together."""
        gone: dict[int, tuple[Request, list[int]]] = {}
        for container in containers:
            row = self.where.pop(container, None)
            if row is not None:
                allocation = self.on[row].pop(container)
                if allocation.ports or allocation.grants:
                    self.hold(row, allocation, -1)
                gone.setdefault(id(allocation.request), (allocation.request, []))[1].append(row)
        for request, rows in gone.values():
            self.take_many(request, rows, -1)
            self._drop_empty(request)

    def reserve_many(self, allocations: Iterable[Allocation]) -> None:
        """Take what these hold; of those that have the very same request, together. None of them is here yet, all
        their nodes are, and no volume is bound by it."""
        come: dict[int, tuple[Request, list[int]]] = {}
        for allocation in allocations:
            row = self.index[allocation.node]
            self.where[allocation.container] = row
            self.on[row][allocation.container] = allocation
            if allocation.ports or allocation.grants:
                self.hold(row, allocation, 1)
            come.setdefault(id(allocation.request), (allocation.request, []))[1].append(row)
        for request, rows in come.values():
            self.take_many(request, rows)

    def _take_amounts(self, row: int, request: Request, sign: int) -> None:
        self.cpu_free[row] = cpu = self.cpu_free.item(row) - sign * request.cpu
        self.memory_free[row] = memory = self.memory_free.item(row) - sign * request.memory
        self.pids_free[row] -= sign * request.pids
        if request.disk:
            self.disk_free[row] -= sign * request.disk
        self.load[row] = self.load_of(row, cpu, memory)

    def take_many(self, request: Request, taken: Sequence[int], sign: int = 1) -> None:
        """One container of this request comes (1) or goes (-1) for each mention of a row, but for what `hold`
        takes and for where they are, which the caller has noted."""
        rows, times = rows_of(Counter(taken))
        times *= sign
        self.cpu_free[rows] -= times * request.cpu
        self.memory_free[rows] -= times * request.memory
        self.pids_free[rows] -= times * request.pids
        if request.disk:
            self.disk_free[rows] -= times * request.disk
        self.stamp[rows] += 1
        self.load[rows] = free_share(
            self.cpu_free[rows], self.cpu[rows], self.memory_free[rows], self.memory[rows]
        )
        for tally in self._tallies(request):
            tally.add_many(rows, times)
        self._use(request, sign * len(taken))

    def load_of(self, row: int, cpu_free: int, memory_free: int) -> float:
        """`load` of one row, were so much free."""
        share = min(cpu_free / max(self.cpu.item(row), 1), memory_free / max(self.memory.item(row), 1), 1.0)
        return int(max(share, 0.0) * 1024.0) / 1024.0

    def count(self, row: int, allocation: Allocation, sign: int) -> None:
        """Everything about a container but its amounts: it comes (1) or goes (-1)."""
        request = allocation.request
        self.stamp[row] += 1
        for tally in self._tallies(request):
            tally.add(row, sign)
        if sign > 0:
            self.where[allocation.container] = row
            self.on[row][allocation.container] = allocation
        else:
            del self.where[allocation.container], self.on[row][allocation.container]
            self._drop_empty(request)
        if allocation.ports or allocation.grants:
            self.hold(row, allocation, sign)
        self._use(request, sign)

    def _drop_empty(self, request: Request) -> None:
        """A service, or an app, that has nothing left leaves nothing behind."""
        if not self._services[request.app, request.service].rows:
            del self._services[request.app, request.service]
            if not self._apps[request.app].rows:
                del self._apps[request.app]
                self.repels.pop(request.app, None)

    def hold(self, row: int, allocation: Allocation, sign: int) -> None:
        """Ports and units that were given to a container."""
        for port in allocation.ports:
            self.ports.take(row, self.nodes[row], port, sign)
        for grant in allocation.grants:
            if grant.kind in self.units:
                self.units[grant.kind].take(row, grant, sign)

    def _use(self, request: Request, number: int) -> None:
        """So many more of the request's team."""
        if request.team:
            used = self.teams.setdefault(request.team, [0, 0, 0])
            used[0] += number
            used[1] += number * request.cpu
            used[2] += number * request.memory

    def _tallies(self, request: Request) -> list[Tally]:
        """All in which a container of this request counts."""
        found = [self.service(request.app, request.service, make=True), self.app(request.app, make=True)]
        for each in request.affinity:
            if each.anti and each.required:
                targets = self.repels.setdefault(request.app, {})
                found.append(targets.setdefault((each.service, each.over), Tally()))
        return found

    # -- nodes

    def update(self, node: Node) -> bool:
        """A node that is here already is as it is told now. False, and nothing is changed: it is not here, or
        its ports or units are others, for which the columns must be made anew."""
        row = self.index.get(node.id)
        if row is None:
            return False
        before = self.nodes[row]
        if (before.port_first, before.port_last, before.resources) != (
            node.port_first,
            node.port_last,
            node.resources,
        ):
            return False
        self.nodes[row] = node
        self.unready[row] = not _ready(node)
        self.off_overlay[row] = bool(node.off_overlay)
        self.off_secrets[row] = bool(node.off_secrets)
        self.low_on_disk[row] = node.low_on_disk
        self.cpu_free[row] += node.cpu - before.cpu
        self.memory_free[row] += node.memory - before.memory
        self.pids_free[row] += node.pids - before.pids
        self.disk_free[row] += (node.disk or UNKNOWN) - (before.disk or UNKNOWN)
        self.cpu[row], self.memory[row] = node.cpu, node.memory
        self.load[row] = self.load_of(row, self.cpu_free.item(row), self.memory_free.item(row))
        self.stamp[row] += 1
        if self.masks.update(row, before):
            for tally in self._all_tallies():
                tally.forget_domains()
        return True

    def _all_tallies(self) -> Iterator[Tally]:
        yield from self._services.values()
        yield from self._apps.values()
        for targets in self.repels.values():
            yield from targets.values()

    # -- what is asked

    def service(self, app: str, name: str, *, make: bool = False) -> Tally:
        """Containers of this service."""
        found = self._services.get((app, name))
        if found is None:
            found = Tally() if make else EMPTY
            if make:
                self._services[app, name] = found
        return found

    def app(self, app: str, *, make: bool = False) -> Tally:
        """Containers of this app."""
        found = self._apps.get(app)
        if found is None:
            found = Tally() if make else EMPTY
            if make:
                self._apps[app] = found
        return found

    def copy(self) -> Columns:
        """The same, and independent of this one."""
        other = Columns((), self.volumes, self.quotas)
        other.nodes, other.index = list(self.nodes), dict(self.index)
        for name in (
            "unready",
            "off_overlay",
            "off_secrets",
            "low_on_disk",
            "cpu",
            "memory",
            "cpu_free",
            "memory_free",
            "pids_free",
            "disk_free",
            "load",
            "stamp",
        ):
            setattr(other, name, getattr(self, name).copy())
        other.ports = self.ports.copy()
        other.fragments = self.fragments.copy()
        other.units = {kind: units.copy() for kind, units in self.units.items()}
        other.teams = {team: list(used) for team, used in self.teams.items()}
        other.where, other.on = dict(self.where), [dict(there) for there in self.on]
        other._services = {key: tally.copy() for key, tally in self._services.items()}
        other._apps = {key: tally.copy() for key, tally in self._apps.items()}
        other.repels = {
            app: {key: tally.copy() for key, tally in targets.items()} for app, targets in self.repels.items()
        }
        other.masks = self.masks.copy(other.nodes)
        return other


def free_share(cpu_free: Ints, cpu: Ints, memory_free: Ints, memory: Ints) -> Floats:
    """Share that is free of whichever is scarcer, CPU or memory: 0 to 1, in steps of 1/1024.

    In steps, so that sums of scores are exact in every order.
    """
    share = np.minimum(cpu_free / np.maximum(cpu, 1), memory_free / np.maximum(memory, 1))
    return np.asarray(np.floor(np.clip(share, 0.0, 1.0) * 1024.0) / 1024.0, dtype=np.float64)


def _ready(node: Node) -> bool:
    return node.state is NodeState.READY and not node.cordoned
