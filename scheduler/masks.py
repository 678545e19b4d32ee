"""What is asked of nodes whatever runs there: domains, constraints, images. Made when first asked for, then kept
up to date as nodes change."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scheduler.arrays import Ints, Mask
from scheduler.domains import Domains
from scheduler.model import Constraint, Node

MOST_KEPT = 1000
"""Of each sort."""


class Groups(NamedTuple):
    """Nodes that share the value of every one of some keys are a group."""

    rows: Ints
    """All rows, group by group."""
    starts: Ints
    """Where each group begins in `rows`."""
    codes: list[list[int]]
    """Of each group the domain by each key."""


class Masks:
    """Columns over the nodes of a list that belongs to somebody else, who tells of every change by `update`."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._domains: dict[str, Domains] = {}
        self._constraints: dict[Constraint, Mask] = {}
        self._images: dict[str, Mask] = {}
        self._groups: dict[tuple[str, ...], Groups] = {}

    def domains(self, key: str) -> Domains:
        if key not in self._domains:
            self._domains[key] = Domains(key, self._nodes)
        return self._domains[key]

    def groups(self, keys: tuple[str, ...]) -> Groups:
        """By the values of these keys; without any, all nodes are one group."""
        found = self._groups.get(keys)
        if found is None:
            found = self._groups[keys] = self._grouped(keys)
        return found

    def _grouped(self, keys: tuple[str, ...]) -> Groups:
        number = len(self._nodes)
        if not keys or not number:
            return Groups(np.arange(number), np.zeros(min(number, 1), dtype=np.int64), [[0] * len(keys)])
        codes = np.stack([self.domains(key).codes for key in keys])
        values, groups = np.unique(codes, axis=1, return_inverse=True)
        rows = np.argsort(groups.reshape(-1), kind="stable")
        starts = np.searchsorted(groups.reshape(-1)[rows], np.arange(values.shape[1]))
        return Groups(rows, starts, values.T.tolist())

    def breaks(self, constraint: Constraint) -> Mask:
        """Nodes that do not meet it; a label that is missing is the empty text."""
        found = self._constraints.get(constraint)
        if found is None:
            _make_room(self._constraints)
            equal = self.domains(constraint.key).equal(constraint.value)
            found = self._constraints[constraint] = ~equal if constraint.equal else equal
        return found

    def lacks_image(self, image: str) -> Mask:
        found = self._images.get(image)
        if found is None:
            _make_room(self._images)
            found = np.array([image not in node.images for node in self._nodes], dtype=np.bool_)
            self._images[image] = found
        return found

    def update(self, row: int, before: Node) -> bool:
        """The node of this row is another than before. Whether its domains may be others, too."""
        node = self._nodes[row]
        if node.images != before.images:
            self._images = {
                image: _with(mask, row, image not in node.images) for image, mask in self._images.items()
            }
        if (node.name, node.zone, node.labels) == (before.name, before.zone, before.labels):
            return False
        for domains in self._domains.values():
            domains.update(row, node)
        self._constraints.clear()
        self._groups.clear()
        return True

    def copy(self, nodes: list[Node]) -> Masks:
        """The same over a list that is equal, and independent of this one."""
        other = Masks(nodes)
        other._domains = {key: domains.copy() for key, domains in self._domains.items()}
        other._constraints, other._images = dict(self._constraints), dict(self._images)
        other._groups = dict(self._groups)
        return other


def _with(mask: Mask, row: int, value: bool) -> Mask:
    """Another mask: copies share the first."""
    changed = mask.copy()
    changed[row] = value
    return changed


def _make_room(kept: dict[Any, Mask]) -> None:
    if len(kept) >= MOST_KEPT:
        kept.clear()
