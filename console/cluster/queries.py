from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Max

from console.cluster.models import Cluster, Node
from console.common.prepared import Prepared

_CLUSTER = Prepared(lambda: Cluster.objects.order_by("created_at")[:1])


@dataclass(frozen=True, slots=True)
class Largest:
    """The most that any one node offers: thousandths of a core, bytes."""

    nodes: int
    cpu: int
    memory: int


def cluster() -> Cluster:
    """The installation's one row, made on first use."""
    return _CLUSTER.first() or Cluster.objects.create()


def all_nodes() -> list[Node]:
    return list(Node.objects.select_related("rotation", "departure").order_by("name"))


def largest() -> Largest:
    """Over the nodes that have reported a capacity."""
    known = Node.objects.filter(cpu__gt=0)
    top = known.aggregate(cpu=Max("cpu"), memory=Max("memory"))
    return Largest(known.count(), top["cpu"] or 0, top["memory"] or 0)
