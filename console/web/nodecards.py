"""A node with what is reserved on it, as pages show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from console.cluster.models import Node
from console.workloads.queries import node_load


@dataclass(frozen=True, slots=True)
class NodeCard:
    """CPU in thousandths of a core, memory in bytes; of all teams."""

    node: Node
    containers: int
    cpu: int
    memory: int


def node_cards(nodes: Iterable[Node]) -> list[NodeCard]:
    load = node_load()
    return [NodeCard(node, *load.get(node.id, (0, 0, 0))) for node in nodes]
