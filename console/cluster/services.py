"""Joining, cordoning, draining and leaving of nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.accounts.secrets import digest, new_secret
from console.cluster.access import require_administrator
from console.cluster.enums import NodeState
from console.cluster.models import Node
from console.common import events
from console.common.errors import BerthError, Conflict
from scheduler.lifecycle import State

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class NodeCredential:
    """What a new node's agent needs. Shown once; only digests are kept."""

    node: Node
    token: str
    broker_password: str

    def config(self) -> dict[str, str]:
        """The agent's configuration, as `python -m nodeagent --config FILE` reads it."""
        return {
            "node": self.node.id,
            "console": settings.BERTH_URL,
            "token": self.token,
            "broker": _broker_url(f"node-{self.node.id}", self.broker_password),
        }


def _broker_url(user: str, password: str) -> str:
    """The brokers' address with this login in the place of the console's own."""
    url = urlsplit(settings.BERTH_BROKER_URL)
    place = url.netloc.rpartition("@")[2]
    return urlunsplit((url.scheme, f"{user}:{password}@{place}", url.path, "", ""))


def add_node(
    *, name: str, actor: str, zone: str = "", labels: dict[str, str] | None = None
) -> NodeCredential:
    """A node that may join, with fresh credentials."""
    if not _NAME.fullmatch(name):
        message = _("Use up to 40 lower-case letters, digits and inner hyphens.")
        raise BerthError(
            _("“%(name)s” cannot be a node's name.") % {"name": name}, fields={"name": [message]}
        )
    token, password = new_secret("node"), new_secret("broker")
    try:
        with transaction.atomic():
            node = Node.objects.create(
                name=name,
                zone=zone,
                labels=labels or {},
                token_digest=digest(token),
                broker_digest=digest(password),
            )
            events.record(
                "node.added", f"Node {name} added, waiting for its agent", actor=actor, node=node.id
            )
            transaction.on_commit(events.poke)
    except IntegrityError as error:
        message = _("A node named “%(name)s” exists already.") % {"name": name}
        raise Conflict(message, code="name_taken", fields={"name": [message]}) from error
    return NodeCredential(node, token, password)


def renew_credential(node: Node, *, actor: str) -> NodeCredential:
    """New credentials for a node; the old ones, and the link that they opened, end at once."""
    token, password = new_secret("node"), new_secret("broker")
    with transaction.atomic():
        Node.objects.filter(pk=node.pk).update(token_digest=digest(token), broker_digest=digest(password))
        events.record("node.renewed", f"Node {node.name} got new credentials", actor=actor, node=node.id)
        _cut_off(node)
        transaction.on_commit(events.poke)
    return NodeCredential(node, token, password)


@transaction.atomic
def set_cordoned(access: Access, node: Node, *, cordoned: bool) -> Node:
    """Whether new containers may be placed on the node; what runs there stays."""
    require_administrator(access)
    if node.cordoned == cordoned:
        return node
    node.cordoned = cordoned
    node.save(update_fields=["cordoned"])
    word = "cordoned: nothing new is placed on it" if cordoned else "uncordoned"
    events.record("node.cordoned", f"Node {node.name} {word}", actor=access.actor, node=node.id)
    transaction.on_commit(events.poke)
    return node


DRAIN = "node.draining"
"""Kind of the event with which a drain begins; its `containers` is how many there were."""


@transaction.atomic
def set_draining(access: Access, node: Node, *, draining: bool) -> Node:
    """Whether the node is to be empty: nothing new is placed on it, and what can go elsewhere goes, one by one,
    each well in its new place before it stops in the old one. What is bound to the node stays."""
    require_administrator(access)
    node = Node.objects.select_for_update(no_key=True).get(pk=node.pk)
    if node.draining == draining:
        return node
    node.draining = draining
    node.save(update_fields=["draining"])
    there = node.containers.filter(removed_at=None).exclude(state__in=[one for one in State if one.ended])
    count = there.count()
    if draining:
        text = f"Node {node.name} is being drained of its {count} container{'s' * (count != 1)}"
        events.record(DRAIN, text, actor=access.actor, node=node.id, data={"containers": count})
    else:
        text = f"Node {node.name} is drained no more and takes containers again"
        events.record("node.undrained", text, actor=access.actor, node=node.id)
    for app in set(there.values_list("app_id", flat=True)):
        events.mark_dirty(app)
    transaction.on_commit(events.poke)
    return node


@transaction.atomic
def remove_node(access: Access, node: Node) -> None:
    """Forget a node that holds nothing, or nothing that was not replaced. Its credentials end at once."""
    require_administrator(access)
    node = Node.objects.select_for_update().get(pk=node.pk)
    held = node.containers.filter(removed_at=None)
    if node.node_state == NodeState.DOWN:
        # One that is for each node is replaced nowhere else.
        held = held.exclude(state=State.LOST).exclude(slot__node=node)
    if held.exists() or node.volumes.exists():
        raise Conflict(
            _(
                "Node %(name)s still has containers or volumes. Drain it, and move or delete what is bound to it."
            )
            % {"name": node.name},
            code="node_in_use",
        )
    closed = node.cordoned or node.draining
    if node.node_state in {NodeState.READY, NodeState.SUSPECT} and not closed:
        raise Conflict(
            _("Drain or cordon the node first: nothing may be placed on it now."), code="node_in_use"
        )
    events.record("node.removed", f"Node {node.name} removed", actor=access.actor, node=node.id)
    for app in set(node.containers.values_list("app_id", flat=True)):
        events.mark_dirty(app)
    node.containers.all().delete()
    node.slots.update(node=None)
    _cut_off(node)
    node.delete()


def _cut_off(node: Node) -> None:
    """Close the node's link, once this is committed: what it was opened with holds no more."""
    group = f"node.{node.id}"
    transaction.on_commit(lambda: events.group_send(group, {"type": "revoked"}))
