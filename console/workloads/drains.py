"""How far the draining of a node is."""

from __future__ import annotations

from dataclasses import dataclass

from console.cluster.models import Node
from console.cluster.services import DRAIN
from console.common.models import Event
from console.workloads.enums import ENDED
from console.workloads.models import Container
from console.workloads.moves import Tie, ties


@dataclass(frozen=True, slots=True)
class Drain:
    """Containers of all teams: how many there were when it began, and are left. `bound` of them stay, for their
    volumes or because there may never be two of them; `ending` run to their end."""

    total: int
    left: int
    bound: int
    ending: int

    @property
    def gone(self) -> int:
        return self.total - self.left


def drain_of(node: Node) -> Drain | None:
    """None for a node that is not being drained."""
    if not node.draining:
        return None
    left = Container.objects.filter(node=node, removed_at=None).exclude(state__in=ENDED).count()
    why = list(ties(node).values())
    began = Event.objects.filter(node_id=node.id, kind=DRAIN).order_by("-id").first()
    total = began.data["containers"] if began else left
    bound = why.count(Tie.VOLUME) + why.count(Tie.EXCLUSIVE)
    return Drain(max(total, left), left, bound, why.count(Tie.ONCE))
