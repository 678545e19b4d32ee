"""Nodes' credentials: how an agent comes in with them, how they are rotated, how they end."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.accounts.secrets import digest, new_secret
from console.cluster import broker
from console.cluster.access import require_administrator
from console.cluster.enums import CredentialEnd
from console.cluster.models import Node
from console.cluster.tokens import FormerCredential, Rotation
from console.common import audit, events
from console.common.errors import Conflict
from console.common.models import Event
from console.common.prepared import Prepared
from nodeagent import protocol

REMEMBERED = timedelta(days=400)
"""How long an agent that comes back with old credentials is still told why they end."""
_TOLD_AGAIN = timedelta(hours=1)


class LinkRefused(Exception):
    """An agent is not let in. `code` closes its link; the reason (up to 120 bytes) is for its log. Code 0: nobody
    knows its token."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason[:120]


def node_for_link(token: str) -> Node:
    """The node whose agent holds this link token. One that comes with its next token has it as its only one from then
    on. The secret is compared by its digest, so time tells nothing of it. Raises `LinkRefused`."""
    shown = digest(token)
    node = Node.objects.filter(token_digest=shown).first()
    if node is not None:
        return node
    with transaction.atomic():
        offered = Rotation.objects.filter(token_digest=shown).first()
        if offered is not None:
            return _promote(offered.node_id, shown)
    raise _refusal(shown)


def _refusal(shown: str) -> LinkRefused:
    former = FormerCredential.objects.filter(pk=shown).first()
    match former and former.why:
        case CredentialEnd.REMOVED:
            return LinkRefused(protocol.CLOSE_REMOVED, "This node was removed from the console.")
        case CredentialEnd.REVOKED:
            return LinkRefused(protocol.CLOSE_REVOKED, "This node's credentials were revoked.")
        case CredentialEnd.RENEWED:
            return LinkRefused(protocol.CLOSE_REVOKED, "This node has newer credentials; these hold no more.")
    return LinkRefused(0, "Nobody has this token.")


def _promote(node_id: str, shown: str) -> Node:
    """In a transaction: the next credentials were used, so the present ones end."""
    node = Node.objects.select_for_update().get(pk=node_id)
    rotation = Rotation.objects.filter(node=node, token_digest=shown).first()
    if rotation is None:
        # Between the look and the lock another link of this agent, or an operator, was quicker.
        if node.token_digest == shown:
            return node
        raise _refusal(shown)
    _bury(node.name, CredentialEnd.RENEWED, node.token_digest)
    node.token_digest, node.broker_digest = rotation.token_digest or "", rotation.broker_digest
    node.save(update_fields=["token_digest", "broker_digest"])
    rotation.token_digest, rotation.broker_digest, rotation.offered_at = None, "", None
    rotation.asked_at, rotation.renewed_at = None, timezone.now()
    rotation.save()
    text = f"Node {node.name} uses new credentials; its old ones hold no more"
    events.record("node.rotated", text, actor=f"node {node.name}", node=node.id, data={"changed": True})
    transaction.on_commit(lambda: broker.try_now(node.id, [node.broker_digest]))
    return node


def offer(node_id: str, offered: protocol.NewCredential) -> None:
    """Both the present and the offered credentials are valid once this returns. Raises `Conflict`."""
    with transaction.atomic():
        node = Node.objects.select_for_update().get(pk=node_id)
        rotation, _made = Rotation.objects.get_or_create(node=node)
        if _known(node, offered.token_digest):
            raise Conflict(_("These credentials are in use or were used before; make new ones."))
        rotation.token_digest, rotation.broker_digest = offered.token_digest, offered.broker_digest
        rotation.offered_at = timezone.now()
        rotation.save()
        valid = [node.broker_digest, offered.broker_digest]
    broker.try_now(node_id, valid)


def _known(node: Node, shown: str) -> bool:
    return (
        Node.objects.filter(token_digest=shown).exists()
        or Rotation.objects.filter(token_digest=shown).exclude(pk=node.pk).exists()
        or FormerCredential.objects.filter(pk=shown).exists()
    )


_PRESENT: Prepared[tuple[str, str]] = Prepared(
    lambda: Node.objects.order_by().values_list("id", "broker_digest")
)
_OFFERED: Prepared[tuple[str, str]] = Prepared(
    lambda: Rotation.objects.exclude(broker_digest="").values_list("node_id", "broker_digest")
)


def broker_digests() -> dict[str, tuple[str, ...]]:
    """Which passwords open each node's broker user, by node id: the present one and, while it is offered, the next."""
    following = dict(_OFFERED())
    return {id_: tuple(sorted({present, following.get(id_, present)})) for id_, present in _PRESENT()}


@transaction.atomic
def ask_rotation(access: Access, node: Node) -> Rotation:
    """Have the agent make new credentials: now, or at its next hello."""
    require_administrator(access)
    rotation, _made = Rotation.objects.select_for_update().get_or_create(node=node)
    before, rotation.asked_at = rotation.asked_at, timezone.now()
    rotation.save(update_fields=["asked_at"])
    text = f"Node {node.name} is asked to make new credentials"
    data = audit.change(
        {"asked_at": before.isoformat() if before else None}, {"asked_at": rotation.asked_at.isoformat()}
    )
    events.record("node.rotation_asked", text, actor=access.actor, node=node.id, data=data)
    if node.protocol >= protocol.ROTATES_SINCE:
        message = protocol.encode(protocol.Rotate())
        transaction.on_commit(
            lambda: events.group_send(f"node.{node.id}", {"type": "down", "message": message})
        )
    return rotation


def rotation_is_due(node_id: str, version: int) -> bool:
    """Whether an agent of this protocol version is to be told at its hello."""
    if version < protocol.ROTATES_SINCE:
        return False
    return Rotation.objects.filter(node=node_id).exclude(asked_at=None).exists()


@transaction.atomic
def revoke_credential(access: Access, node: Node) -> None:
    """Nobody comes in with the node's credentials any more, and who is in is put out. What runs there runs on; a
    join token made for the node gives its host new ones."""
    require_administrator(access)
    node = Node.objects.select_for_update().get(pk=node.pk)
    end(node, CredentialEnd.REVOKED)
    replace(node, digest(new_secret("node")), digest(new_secret("broker")))
    Rotation.objects.create(node=node, revoked_at=timezone.now())
    text = f"The credentials of node {node.name} were revoked; its containers run on without a link"
    data = {"changed": True}
    events.record("node.revoked", text, actor=access.actor, node=node.id, data=data, warning=True)
    transaction.on_commit(events.poke)


def replace(node: Node, token_digest: str, broker_digest: str) -> None:
    """In a transaction, after `end`: these are the node's only credentials."""
    node.token_digest, node.broker_digest = token_digest, broker_digest
    node.save(update_fields=["token_digest", "broker_digest"])
    transaction.on_commit(lambda: broker.try_now(node.id, [broker_digest]))


def end(node: Node, why: CredentialEnd) -> None:
    """In a transaction: the node's credentials, present and next, hold no more; its link closes and its broker
    connections are cut once that is committed."""
    rotation = Rotation.objects.filter(node=node).first()
    _bury(node.name, why, node.token_digest, rotation.token_digest if rotation else None)
    Rotation.objects.filter(node=node).delete()
    refused, id_ = _refusal(node.token_digest), node.id
    message = {"type": "revoked", "code": refused.code, "reason": refused.reason}
    transaction.on_commit(lambda: events.group_send(f"node.{id_}", message))
    transaction.on_commit(lambda: broker.try_now(id_, []))


def _bury(name: str, why: CredentialEnd, *digests: str | None) -> None:
    now = timezone.now()
    FormerCredential.objects.filter(ended_at__lt=now - REMEMBERED).delete()
    rows = [
        FormerCredential(token_digest=one, node_name=name, why=why, ended_at=now) for one in digests if one
    ]
    FormerCredential.objects.bulk_create(rows, ignore_conflicts=True)


def refuse_version(node: Node, version: int, agent: str) -> LinkRefused:
    """Why an agent of this protocol version cannot work with this console; said in the node's history too."""
    spoken = f"{protocol.VERSION - 1} or {protocol.VERSION}"
    which = "update the agent" if version < protocol.VERSION else "update the console first"
    said = Event.objects.filter(node_id=node.id, kind="node.unsupported", at__gt=timezone.now() - _TOLD_AGAIN)
    if not any(one.data.get("protocol") == version for one in said):
        text = (
            f"Node {node.name} is not let in: its agent {agent[:40]} speaks protocol {version}, "
            f"this console {spoken}: {which}"
        )
        data = {"protocol": version}
        events.record("node.unsupported", text, actor="console", node=node.id, data=data, warning=True)
    return LinkRefused(protocol.CLOSE_VERSION, f"Agent speaks protocol {version}, console {spoken}: {which}.")
