"""Leaving as one flow: a node is drained, and removed once nothing is on it."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from console.accounts.access import Access
from console.cluster.access import require_administrator
from console.cluster.models import Departure, Node
from console.cluster.services import forget_node, set_draining
from console.common import audit, events
from console.common.errors import Conflict

logger = logging.getLogger(__name__)


def drain_and_remove(access: Access, node: Node) -> bool:
    """Remove the node as soon as it is empty; until then it is drained. True when it is gone already."""
    require_administrator(access)
    with transaction.atomic():
        set_draining(access, node, draining=True)
        values = {"actor": access.actor, "asked_at": timezone.now()}
        _departure, made = Departure.objects.get_or_create(node=node, defaults=values)
        if made:
            text = f"Node {node.name} leaves: it is removed once nothing is on it"
            data = audit.change({"leaving": False}, {"leaving": True})
            events.record("node.leaving", text, actor=access.actor, node=node.id, data=data)
    return finish(node)


def finish(node: Node) -> bool:
    """Remove a leaving node if nothing holds it any more."""
    departure = Departure.objects.filter(node=node).first()
    if departure is None:
        return False
    try:
        forget_node(node, actor=departure.actor)
    except Conflict as held:
        logger.debug("Node %s cannot leave yet: %s", node.name, held)
        return False
    return True


def finish_all() -> int:
    """How many leaving nodes were removed now."""
    return sum(finish(departure.node) for departure in Departure.objects.select_related("node"))
