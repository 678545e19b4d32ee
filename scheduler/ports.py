"""Host ports: who has which on which node, and how many of each node's own range are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np

from scheduler.arrays import Ints
from scheduler.model import Node, Port

PROTOCOLS = ("tcp", "udp")


def size(node: Node) -> int:
    return max(node.port_last - node.port_first + 1, 0)


class Ports:
    """Counts, since what runs may clash: two containers that have the same port need two ends of it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        room = np.array([size(node) for node in nodes], dtype=np.int64)
        self.room: dict[str, Ints] = {protocol: room.copy() for protocol in PROTOCOLS}
        """Ports of each node's own range that are not taken."""
        self._users: dict[tuple[str, int], Counter[int]] = {}

    def take(self, row: int, node: Node, port: Port, sign: int) -> None:
        """Take (1) or give back (-1)."""
        users = self._users.setdefault((port.protocol, port.host), Counter())
        before = users[row]
        users[row] += sign
        if node.port_first <= port.host <= node.port_last:
            self.room[port.protocol][row] += (before > 0) - (users[row] > 0)
        if not users[row]:
            del users[row]
        if not users:
            del self._users[port.protocol, port.host]

    def users(self, protocol: str, host: int) -> list[int]:
        """Rows of the nodes on which this host port is taken."""
        found = self._users.get((protocol, host))
        return [row for row, number in found.items() if number > 0] if found else []

    def taken(self, row: int, protocol: str, host: int) -> bool:
        found = self._users.get((protocol, host))
        return found is not None and found[row] > 0

    def give(self, row: int, node: Node, asked: Sequence[Port], slot: str) -> tuple[Port, ...]:
        """`asked` with a host port for each: its own, or a free one of the node's range. The caller has seen
        that they fit.

        The search starts at a place of the slot's own: a slot keeps its port over its generations where it
        can, and two installations on one host seldom meet.
        """
        length = size(node)
        start = crc32(slot.encode()) % max(length, 1)
        mine = {(port.protocol, port.host) for port in asked if port.host}
        given = []
        for port in asked:
            host = port.host or next(
                host
                for host in (node.port_first + (start + step) % length for step in range(length))
                if (port.protocol, host) not in mine and not self.taken(row, port.protocol, host)
            )
            mine.add((port.protocol, host))
            given.append(Port(port.container, host, port.protocol))
        return tuple(given)

    def copy(self) -> Ports:
        other = object.__new__(Ports)
        other.room = {protocol: column.copy() for protocol, column in self.room.items()}
        other._users = {key: Counter(users) for key, users in self._users.items()}
        return other


def own_in_range(asked: Sequence[Port], protocol: str, node: Node) -> int:
    """How many of the named host ports this node would take from its own range."""
    return sum(
        port.protocol == protocol and bool(port.host) and node.port_first <= port.host <= node.port_last
        for port in asked
    )


def open_ports(asked: Sequence[Port]) -> Counter[str]:
    """How many ports are left to the scheduler, by protocol."""
    return Counter(port.protocol for port in asked if not port.host)
