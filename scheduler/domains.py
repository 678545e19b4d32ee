"""What a key names on a node, as small numbers: equal where the value is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from scheduler.arrays import Floats, Ints, Mask
from scheduler.model import Node

NODE = "node.id"


def attribute(node: Node, key: str) -> str:
    """What a constraint, a spread or an affinity key names on this node; empty when it has no such thing."""
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


class Domains:
    """The values of one key. A node without it is in a domain of all such, whose value is empty."""

    def __init__(self, key: str, nodes: Sequence[Node]) -> None:
        self.key = key
        self.values: list[str] = []
        self._codes: dict[str, int] = {}
        self.codes: Ints = np.fromiter(
            (self._code(attribute(node, key)) for node in nodes), dtype=np.int64, count=len(nodes)
        )

    def update(self, row: int, node: Node) -> None:
        self.codes[row] = self._code(attribute(node, self.key))

    def of_rows(self, rows: Iterable[int]) -> Mask:
        column = np.zeros(len(self.codes), dtype=np.bool_)
        column[list(rows)] = True
        return column

    def among(self, codes: Iterable[int]) -> Mask:
        """Nodes whose value is one of these; a node without a value is among none."""
        wanted = self._named(codes)
        if len(wanted) == 1:
            return np.asarray(self.codes == wanted[0], dtype=np.bool_)
        table = np.zeros(len(self.values), dtype=np.bool_)
        table[wanted] = True
        return table[self.codes]

    def worth(self, codes: Iterable[int], weight: float) -> Floats:
        """`weight` on the nodes that are `among` them, 0 on the others."""
        table = np.zeros(len(self.values))
        table[self._named(codes)] = weight
        return table.take(self.codes)

    def _named(self, codes: Iterable[int]) -> list[int]:
        return [code for code in codes if self.values[code]]

    def equal(self, value: str) -> Mask:
        """Without regard to case, as Swarm compares."""
        folded = value.casefold()
        same = [each.casefold() == folded for each in self.values]
        return np.array(same, dtype=np.bool_)[self.codes]

    def copy(self) -> Domains:
        other = object.__new__(Domains)
        other.key, other.values, other._codes = self.key, list(self.values), dict(self._codes)
        other.codes = self.codes.copy()
        return other

    def _code(self, value: str) -> int:
        code = self._codes.setdefault(value, len(self._codes))
        if code == len(self.values):
            self.values.append(value)
        return code
