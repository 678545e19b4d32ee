"""What an administrator may say of a node that no observation can tell."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.cluster.access import require_administrator
from console.cluster.enums import HoldState, NodeState
from console.cluster.lost import Death, Hold
from console.cluster.models import Node
from console.common import audit, events
from console.common.errors import Conflict


@transaction.atomic
def declare_dead(access: Access, node: Node, *, volumes: bool = False) -> Death:
    """This node will not come back with what it ran. What is never replaced for lack of contact is replaced now: what
    is exclusive, and with `volumes` also what had its data there, which starts elsewhere with empty volumes.

    Raises `Conflict` unless the node is down: of one that is in contact, or may be, nobody knows better than itself.
    """
    require_administrator(access)
    node = Node.objects.select_for_update(no_key=True).get(pk=node.pk)
    if node.state != NodeState.DOWN:
        raise Conflict(
            _("Only a node that is down can be declared dead; %(name)s is %(state)s. Drain it instead.")
            % {"name": node.name, "state": node.node_state.label},
            code="node_not_down",
        )
    before = Death.objects.filter(node=node).first()
    if before and before.volumes >= volumes:
        return before
    values = {"volumes": volumes, "actor": access.actor, "at": timezone.now()}
    death, _made = Death.objects.update_or_create(node=node, defaults=values)
    what = "with its volumes, whose data is given up" if volumes else "its volumes wait for it"
    text = f"Node {node.name} is declared dead, {what}"
    data = audit.change(
        {"dead": before is not None, "volumes": before is not None and before.volumes},
        {"dead": True, "volumes": volumes},
    )
    events.record("node.dead", text, actor=access.actor, node=node.id, warning=True, data=data)
    transaction.on_commit(events.poke)
    return death


@transaction.atomic
def confirm_assignment(access: Access, node: Node) -> None:
    """The database is right: the node gets its assignment, and what the database does not know is stopped there.

    Raises `Conflict` when the node is not held.
    """
    require_administrator(access)
    hold = Hold.objects.select_for_update().filter(node=node, state=HoldState.HELD).first()
    if hold is None:
        raise Conflict(
            _("Node %(name)s waits for no confirmation.") % {"name": node.name}, code="node_not_held"
        )
    before, hold.state = hold.state, HoldState.CONFIRMED
    hold.save(update_fields=["state"])
    text = f"Node {node.name}: the database is confirmed, what it does not know is stopped there"
    data = audit.change({"hold": str(before)}, {"hold": str(hold.state)})
    events.record("node.confirmed", text, actor=access.actor, node=node.id, data=data)
    transaction.on_commit(events.poke)


def check_all() -> None:
    """The database was restored just now: each node is looked at before it gets its assignment."""
    now = timezone.now()
    rows = [Hold(node=node, state=HoldState.CHECK, at=now) for node in Node.objects.exclude(session=0)]
    Hold.objects.all().delete()
    Death.objects.all().delete()
    Hold.objects.bulk_create(rows)
