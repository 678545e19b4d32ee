"""Joining, cordoning, draining and leaving of nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.accounts.secrets import digest, new_secret
from console.cluster import broker, credentials, trust
from console.cluster.access import require_administrator
from console.cluster.enums import CredentialEnd, NodeState
from console.cluster.models import Departure, Node
from console.common import audit, events
from console.common.errors import BerthError, Conflict
from scheduler.lifecycle import Actor, State, move

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}")
_PLATFORM = ("platform.os", "platform.arch")
"""What the engine says goes by these names."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")
MOST_LABELS = 64
MOST_VALUE = 200
"""Characters of a label's value."""


@dataclass(frozen=True, slots=True)
class NodeCredential:
    """What a new node's agent needs. Shown once; only digests are kept."""

    node: Node
    token: str
    broker_password: str

    def config(self, *, local: bool = False) -> dict[str, str]:
        """The agent's configuration, as `python -m nodeagent --config FILE` reads it. Raises `CertificateError`."""
        user = broker.user_name(self.node.id)
        return {
            "node": self.node.id,
            "token": self.token,
            **addresses(user, self.broker_password, local=local),
        }


def addresses(user: str, password: str, *, local: bool = False) -> dict[str, str]:
    """Where an agent with this login at the broker finds the console and the broker, and whom it trusts there.

    `local`: an agent on the console's own machine, whose links are plain and never leave it. Raises
    `CertificateError`.
    """
    found = {
        "console": settings.BERTH_URL if local else settings.BERTH_LINK_URL,
        "broker": trust.with_login(trust.broker_address(local=local), user, password),
    }
    authority = None if local else trust.authority()
    return {**found, "ca": authority.pem} if authority else found


def check_name(name: str) -> None:
    """Raises `BerthError` unless a node may be called so."""
    if not _NAME.fullmatch(name):
        message = _("Use up to 40 lower-case letters, digits and inner hyphens.")
        raise BerthError(
            _("“%(name)s” cannot be a node's name.") % {"name": name}, fields={"name": [message]}
        )


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises `BerthError` unless a node may have these."""
    bad = [key for key in labels if not _KEY.fullmatch(key) or key in _PLATFORM]
    long = [key for key, value in labels.items() if len(value) > MOST_VALUE or _UNSEEN.search(value)]
    if bad:
        message = _("“%(name)s” cannot be a label: letters, digits and inner _ . / - make one.") % {
            "name": bad[0][:50]
        }
    elif long:
        message = _(
            "The value of %(name)s is longer than %(most)d characters, or has some that are not shown."
        )
        message = message % {"name": long[0], "most": MOST_VALUE}
    elif len(labels) > MOST_LABELS:
        message = _("A node has up to %(most)d labels.") % {"most": MOST_LABELS}
    else:
        return
    raise BerthError(message, fields={"labels": [message]})


def add_node(
    *, name: str, actor: str, zone: str = "", labels: dict[str, str] | None = None
) -> NodeCredential:
    """A node that may join, with fresh credentials."""
    check_name(name)
    check_labels(labels or {})
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
            text = f"Node {name} added, waiting for its agent"
            data = audit.change(None, settled(node))
            events.record("node.added", text, actor=actor, node=node.id, data=data)
            transaction.on_commit(events.poke)
    except IntegrityError as error:
        message = _("A node named “%(name)s” exists already.") % {"name": name}
        raise Conflict(message, code="name_taken", fields={"name": [message]}) from error
    return NodeCredential(node, token, password)


def renew_credential(node: Node, *, actor: str) -> NodeCredential:
    """New credentials for a node; the old ones, and the link that they opened, end at once."""
    token, password = new_secret("node"), new_secret("broker")
    with transaction.atomic():
        node = Node.objects.select_for_update().get(pk=node.pk)
        credentials.end(node, CredentialEnd.RENEWED)
        credentials.replace(node, digest(token), digest(password))
        text = f"Node {node.name} got new credentials"
        events.record("node.renewed", text, actor=actor, node=node.id, data={"changed": True})
        transaction.on_commit(events.poke)
    return NodeCredential(node, token, password)


@transaction.atomic
def change_node(
    access: Access, node: Node, *, zone: str | None = None, labels: Mapping[str, str] | None = None
) -> Node:
    """Where the node stands, and the labels that it has whatever its agent says; what is None stays. The next
    placement goes by them; what runs there stays."""
    require_administrator(access)
    check_labels(labels or {})
    node = Node.objects.select_for_update(no_key=True).get(pk=node.pk)
    before = settled(node)
    node.zone = node.zone if zone is None else zone.strip()
    node.labels = node.labels if labels is None else dict(sorted(labels.items()))
    if settled(node) == before:
        return node
    node.save(update_fields=["zone", "labels"])
    data = audit.change(before, settled(node))
    text = f"Zone and labels of node {node.name} set"
    events.record("node.changed", text, actor=access.actor, node=node.id, data=data)
    transaction.on_commit(events.poke)
    return node


def settled(node: Node) -> dict[str, Any]:
    """What people settle of a node, as the audit tells it."""
    return {"name": node.name, "zone": node.zone, "labels": node.labels}


@transaction.atomic
def set_cordoned(access: Access, node: Node, *, cordoned: bool) -> Node:
    """Whether new containers may be placed on the node; what runs there stays."""
    require_administrator(access)
    if node.cordoned == cordoned:
        return node
    node.cordoned = cordoned
    node.save(update_fields=["cordoned"])
    word = "cordoned: nothing new is placed on it" if cordoned else "uncordoned"
    data = audit.change({"cordoned": not cordoned}, {"cordoned": cordoned})
    events.record("node.cordoned", f"Node {node.name} {word}", actor=access.actor, node=node.id, data=data)
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
        data = audit.change({"draining": False}, {"draining": True}, containers=count)
        events.record(DRAIN, text, actor=access.actor, node=node.id, data=data)
    else:
        left = bool(Departure.objects.filter(node=node).delete()[0])
        text = f"Node {node.name} is drained no more and takes containers again"
        data = audit.change({"draining": True, "leaving": left}, {"draining": False, "leaving": False})
        events.record("node.undrained", text, actor=access.actor, node=node.id, data=data)
    for app in set(there.values_list("app_id", flat=True)):
        events.mark_dirty(app)
    transaction.on_commit(events.poke)
    return node


@transaction.atomic
def remove_node(access: Access, node: Node) -> None:
    """Forget a node that holds nothing, or nothing that was not replaced. Its credentials end at once."""
    require_administrator(access)
    forget_node(node, actor=access.actor)


@transaction.atomic
def forget_node(node: Node, *, actor: str) -> None:
    """As `remove_node`, for what an administrator asked for earlier. Raises `Conflict` with what is in the way."""
    node = Node.objects.select_for_update().get(pk=node.pk)
    held = node.containers.filter(removed_at=None)
    if node.node_state == NodeState.DOWN:
        # One that is for each node is replaced nowhere else.
        held = held.exclude(state=State.LOST).exclude(slot__node=node)
    containers, volumes = held.count(), node.volumes.count()
    if containers or volumes:
        raise Conflict(
            _(
                "Node %(name)s still holds %(containers)d containers and %(volumes)d volumes. Drain it: what can run "
                "elsewhere goes there. What has a volume here stays until its app or its volume is deleted."
            )
            % {"name": node.name, "containers": containers, "volumes": volumes},
            code="node_in_use",
            data={"containers": containers, "volumes": volumes},
        )
    closed = node.cordoned or node.draining
    if node.node_state in {NodeState.READY, NodeState.SUSPECT} and not closed:
        raise Conflict(
            _("Drain or cordon the node first: nothing may be placed on it now."), code="node_in_use"
        )
    data = audit.change(settled(node), None)
    events.record("node.removed", f"Node {node.name} removed", actor=actor, node=node.id, data=data)
    for app in set(node.containers.values_list("app_id", flat=True)):
        events.mark_dirty(app)
    _part_from_containers(node)
    node.slots.update(node=None)
    credentials.end(node, CredentialEnd.REMOVED)
    node.delete()


def _part_from_containers(node: Node) -> None:
    """Their records outlive the node: they tell that a task is done, and what a container's last words and log were.
    What was not seen to end is lost with it."""
    now = timezone.now()
    there = node.containers.filter(removed_at=None)
    for container in there.exclude(state__in=[one for one in State if one.ended]):
        container.state = move(State(container.state), State.LOST, Actor.OPERATOR)
        container.ended_at = now
        container.save(update_fields=["state", "ended_at"])
    there.update(removed_at=now)
    node.containers.update(node=None, former_node=node.name)
