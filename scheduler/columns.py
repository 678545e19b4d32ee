"""The cluster as columns: one row per node, in the order of their ids.

Filters and scores read whole columns; a reservation changes one row. Counts and ports are sparse, so
that the cost of a million containers is theirs and not nodes times services.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from scheduler.model import Allocation, Node, NodeState, Port

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PROTOCOLS = ("tcp", "udp")


def attribute(node: Node, key: str) -> str:
    """What a constraint or a spread key names on this node; empty when it has no such thing."""
    match key.split(".", 2):
        case ["node", "id"]:
            return node.id
        case ["node", "hostname"]:
            return node.name
        case ["node", "zone"]:
            return node.zone
        case ["node", "platform", part]:
            return node.labels.get(f"platform.{part}", "")
        case ["node", "labels", label]:
            return node.labels.get(label, node.zone if label == "zone" else "")
    return ""


class Columns:
    """Nodes, and what is taken of each. Free amounts may be negative: what runs, runs."""

    def __init__(self, nodes: Iterable[Node], volumes: Mapping[str, str]) -> None:
        self.nodes: tuple[Node, ...] = tuple(sorted(nodes, key=lambda node: node.id))
        self.index = {node.id: i for i, node in enumerate(self.nodes)}
        self.ready: Mask = np.array(
            [node.state is NodeState.READY and not node.cordoned for node in self.nodes], dtype=np.bool_
        )
        self.cpu: Ints = self.column(node.cpu for node in self.nodes)
        self.memory: Ints = self.column(node.memory for node in self.nodes)
        self.cpu_free: Ints = self.cpu.copy()
        self.memory_free: Ints = self.memory.copy()
        self.pids_free: Ints = self.column(node.pids for node in self.nodes)
        room = self.column(node.port_last - node.port_first + 1 for node in self.nodes)
        self.port_room: dict[str, Ints] = {protocol: room.copy() for protocol in PROTOCOLS}
        """Ports of each node's own range that are not taken."""
        self.volumes: dict[str, str] = dict(volumes)
        """Node of each volume that is bound."""
        self.held: dict[str, Allocation] = {}
        """What is reserved under an id."""
        self._services: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        self._apps: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._ports: defaultdict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        self._domains: dict[str, Ints] = {}

    def column(self, values: Iterable[int]) -> Ints:
        return np.fromiter(values, dtype=np.int64, count=len(self.nodes))

    def mask(self, rows: Iterable[int], inside: bool) -> Mask:
        """True for these rows and false elsewhere, or (`inside` false) the other way round."""
        column = np.full(len(self.nodes), not inside, dtype=np.bool_)
        column[list(rows)] = inside
        return column

    # -- what changes

    def reserve(self, allocation: Allocation) -> None:
        """Take what this container holds; again under the same id replaces the first. A node that is not
        here has nothing to take."""
        self.free(allocation.container)
        if allocation.node in self.index:
            self.held[allocation.container] = allocation
            self._count(allocation, 1)
            for volume in allocation.volumes:
                self.volumes.setdefault(volume, allocation.node)

    def free(self, container: str) -> None:
        """Give back what this container held; one that holds nothing changes nothing. Its volumes stay
        where they are."""
        allocation = self.held.pop(container, None)
        if allocation is not None:
            self._count(allocation, -1)

    def _count(self, allocation: Allocation, sign: int) -> None:
        row = self.index[allocation.node]
        self.cpu_free[row] -= sign * allocation.cpu
        self.memory_free[row] -= sign * allocation.memory
        self.pids_free[row] -= sign * allocation.pids
        self._services[allocation.app, allocation.service][row] += sign
        self._apps[allocation.app][row] += sign
        for port in allocation.ports:
            self._count_port(row, port, sign)

    def _count_port(self, row: int, port: Port, sign: int) -> None:
        users = self._ports[port.protocol, port.host]
        before = users[row]
        users[row] += sign
        node = self.nodes[row]
        if node.port_first <= port.host <= node.port_last:
            self.port_room[port.protocol][row] += (before > 0) - (users[row] > 0)

    # -- what is asked

    def of_service(self, app: str, service: str) -> Ints:
        """Containers of this service on each node."""
        return self._dense(self._services.get((app, service), Counter()))

    def of_app(self, app: str) -> Ints:
        """Containers of this app on each node."""
        return self._dense(self._apps.get(app, Counter()))

    def _dense(self, counts: Mapping[int, int]) -> Ints:
        column = np.zeros(len(self.nodes), dtype=np.int64)
        column[list(counts)] = list(counts.values())
        return column

    def port_users(self, protocol: str, host: int) -> list[int]:
        """Rows of the nodes on which this host port is taken."""
        return [row for row, users in self._users_of(protocol, host).items() if users > 0]

    def domains(self, key: str) -> Ints:
        """A small number for each node: equal where the label's value is. A node without it is in a domain
        of all such."""
        if key not in self._domains:
            values = [attribute(node, key) for node in self.nodes]
            codes = {value: code for code, value in enumerate(sorted(set(values)))}
            self._domains[key] = self.column(codes[value] for value in values)
        return self._domains[key]

    def give_ports(self, row: int, asked: Sequence[Port], slot: str) -> tuple[Port, ...]:
        """`asked` with a host port for each: its own, or a free one of the node's range. The caller has seen
        that they fit.

        The search starts at a place of the slot's own: a slot keeps its port over its generations where it
        can, and two installations on one host seldom meet.
        """
        node = self.nodes[row]
        size = node.port_last - node.port_first + 1
        start = crc32(slot.encode()) % max(size, 1)
        mine = {(port.protocol, port.host) for port in asked if port.host}
        given = []
        for port in asked:
            host = port.host or next(
                host
                for host in (node.port_first + (start + step) % size for step in range(size))
                if (port.protocol, host) not in mine and self._users_of(port.protocol, host)[row] == 0
            )
            mine.add((port.protocol, host))
            given.append(Port(port.container, host, port.protocol))
        return tuple(given)

    def _users_of(self, protocol: str, host: int) -> Counter[int]:
        return self._ports.get((protocol, host), Counter())
