"""The nodes, kept from step to step: of those that are known only the columns are read that may have changed."""

from __future__ import annotations

from collections.abc import Iterable

from console.cluster.models import Node
from console.common.prepared import Prepared
from console.controller.rows import chunks

_BY_HELLO = {
    *("address", "agent_version", "protocol", "engine", "observed_labels", "cpu", "memory", "pids", "disk"),
    *("resources", "port_first", "port_last", "public_key", "images", "foreign_containers", "digest"),
    *("overlay", "disk_total", "disk_free", "disk_low"),
    *("engine_failed_at", "contact_at"),
}
"""What the agents told. The loop alone writes it, as it stands in memory; some of it is large."""
_READ = tuple(
    each.attname for each in Node._meta.concrete_fields if not each.primary_key and each.name not in _BY_HELLO
)
_NODES = Prepared(lambda: Node.objects.select_for_update().order_by("name").values_list("id", *_READ))
_WHOLE = Prepared(lambda ids: Node.objects.filter(pk__in=ids))


class Roster:
    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def discard(self) -> None:
        """It may be wrong: the next `read` takes everything from the database."""
        self._nodes = {}

    def read(self) -> dict[str, Node]:
        """All nodes by id, in the order of their names; locked. In a transaction."""
        found = {id_: values for id_, *values in _NODES()}
        if new := found.keys() - self._nodes.keys():
            self._nodes |= {node.id: node for ids in chunks(new) for node in _WHOLE(ids)}
        self._nodes = {id_: self._known(id_, values) for id_, values in found.items() if id_ in self._nodes}
        return dict(self._nodes)

    def _known(self, id_: str, values: Iterable[object]) -> Node:
        node = self._nodes[id_]
        for name, value in zip(_READ, values, strict=True):
            setattr(node, name, value)
        return node
