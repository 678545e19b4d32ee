"""Join tokens, and hosts that join with them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.accounts.secrets import digest, new_secret
from console.cluster import broker, credentials, trust
from console.cluster.access import require_administrator
from console.cluster.enums import CredentialEnd, JoinTokenState
from console.cluster.models import Node
from console.cluster.services import check_labels, check_name, settled
from console.cluster.tokens import JoinToken
from console.common import audit, events
from console.common.errors import BerthError, Conflict, NotFound
from nodeagent import protocol

USUAL_LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=7)
LISTED = timedelta(days=7)
"""How long a token that is over is still listed."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A new join token with its secret, which is shown once."""

    token: JoinToken
    secret: str

    def arguments(self) -> list[str]:
        """What follows `python -m nodeagent join` on the new host. Raises `CertificateError`."""
        found = ["--console", settings.BERTH_LINK_URL, "--token", self.secret]
        if authority := trust.authority():
            found += ["--ca-sha256", authority.pin]
        return found if trust.link_is_tls() else [*found, "--plain"]

    def command(self) -> str:
        return shlex.join(["python", "-m", "nodeagent", "join", *self.arguments()])


class JoinRefused(BerthError):
    """Says why, to somebody who holds the token; all others learn only that it is unknown."""

    status, code = 403, "join_refused"


@transaction.atomic
def create_join_token(
    *,
    actor: str,
    name: str = "",
    zone: str = "",
    labels: Mapping[str, str] | None = None,
    node: Node | None = None,
    lifetime: timedelta = USUAL_LIFETIME,
) -> Invitation:
    """A token with which one host may join within `lifetime`. With `node`, the host becomes that node, whose present
    credentials end when the token is used."""
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        days = {"days": LONGEST_LIFETIME.days}
        raise BerthError(_("A join token is valid for %(days)d days at most.") % days)
    check_labels(labels or {})
    if name and node is None:
        check_name(name)
        if Node.objects.filter(name=name).exists():
            raise _name_taken(name)
    secret, now = new_secret("join"), timezone.now()
    token = JoinToken.objects.create(
        digest=digest(secret),
        hint=secret[:10],
        node=node,
        name=node.name if node else name,
        zone=zone,
        labels=dict(labels or {}),
        created_by=actor,
        created_at=now,
        expires_at=now + lifetime,
    )
    whom = f"node {node.name} again" if node else f"node {name}" if name else "a host"
    text = f"Join token {token} made for {whom}, valid until {token.expires_at:%Y-%m-%d %H:%M} UTC"
    after = {
        "name": token.name,
        "zone": zone,
        "labels": token.labels,
        "expires_at": token.expires_at.isoformat(),
    }
    data = audit.change(None, after, join_token=token.id)
    events.record("join_token.created", text, actor=actor, node=node.id if node else "", data=data)
    return Invitation(token, secret)


def join_tokens() -> list[JoinToken]:
    """Those that can be used, and those that were over within the last days."""
    return list(JoinToken.objects.filter(expires_at__gt=timezone.now() - LISTED))


@transaction.atomic
def revoke_join_token(access: Access, token_id: str) -> None:
    require_administrator(access)
    token = JoinToken.objects.select_for_update().filter(pk=token_id).first()
    if token is None:
        raise NotFound(_("There is no such join token."))
    state = token.state(timezone.now())
    if state is JoinTokenState.USED:
        raise Conflict(_("This token was used for node %(name)s.") % {"name": token.used_for})
    if state is JoinTokenState.REVOKED:
        return
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])
    data = audit.change({"state": str(state)}, {"state": str(JoinTokenState.REVOKED)}, join_token=token.id)
    events.record("join_token.revoked", f"Join token {token} revoked", actor=access.actor, data=data)


def join(secret: str, asked: protocol.JoinRequest) -> protocol.Joined:
    """The node that the host has become. Its secrets are its own: only their digests came. The same host with the same
    secrets may ask again, should the answer have been lost. Raises `JoinRefused` and says why."""
    if not protocol.speaks(asked.version):
        raise JoinRefused(
            _("This agent speaks protocol %(theirs)d, this console %(ours)d: use a matching agent.")
            % {"theirs": asked.version, "ours": protocol.VERSION},
            code="unsupported_version",
        )
    try:
        with transaction.atomic():
            token = _usable(secret, asked)
            node = _welcome_back(token, asked) if token.used_at else _take_in(token, asked)
    except IntegrityError as error:
        raise _name_taken(asked.name) from error
    authority = trust.authority()
    return protocol.Joined(
        node=node.id,
        name=node.name,
        console=settings.BERTH_LINK_URL,
        broker=trust.broker_address(),
        broker_user=broker.user_name(node.id),
        ca=authority.pem if authority else "",
    )


def _usable(secret: str, asked: protocol.JoinRequest) -> JoinToken:
    """The locked token. Found by its digest: time tells nothing of the secret."""
    token = JoinToken.objects.select_for_update().filter(digest=digest(secret)).first()
    if token is None:
        raise JoinRefused(_("This join token is not known here."), code="token_unknown")
    match token.state(timezone.now()):
        case JoinTokenState.USED if token.used_by != asked.token_digest:
            raise JoinRefused(
                _("This join token was used already, for node %(name)s. Make a new one.")
                % {"name": token.used_for},
                code="token_used",
            )
        case JoinTokenState.EXPIRED:
            raise JoinRefused(_("This join token has expired. Make a new one."), code="token_expired")
        case JoinTokenState.REVOKED:
            raise JoinRefused(_("This join token was revoked. Make a new one."), code="token_revoked")
    return token


def _welcome_back(token: JoinToken, asked: protocol.JoinRequest) -> Node:
    node = Node.objects.filter(name=token.used_for, token_digest=asked.token_digest).first()
    if node is None:
        raise JoinRefused(
            _("This join token was used already, and its node was removed or has other credentials now."),
            code="token_used",
        )
    return node


def _take_in(token: JoinToken, asked: protocol.JoinRequest) -> Node:
    if token.node is not None:
        node = Node.objects.select_for_update().get(pk=token.node_id)
        credentials.end(node, CredentialEnd.RENEWED)
        credentials.replace(node, asked.token_digest, asked.broker_digest)
        data: dict[str, Any] = {"changed": True}
    else:
        node = _new_node(token, asked)
        data = audit.change(None, settled(node))
    token.used_at, token.used_for, token.used_by = timezone.now(), node.name, asked.token_digest
    token.save(update_fields=["used_at", "used_for", "used_by"])
    text = f"Node {node.name} joined with token {token} of {token.created_by}" + (
        f" from {asked.address[:200]}" if asked.address else ""
    )
    data |= {"join_token": token.id}
    events.record("node.joined", text, actor=f"node {node.name}", node=node.id, data=data)
    transaction.on_commit(events.poke)
    return node


def _new_node(token: JoinToken, asked: protocol.JoinRequest) -> Node:
    name = token.name or asked.name
    check_name(name)
    if Node.objects.filter(name=name).exists():
        raise _name_taken(name)
    node = Node.objects.create(
        name=name,
        zone=token.zone,
        labels=token.labels,
        token_digest=asked.token_digest,
        broker_digest=asked.broker_digest,
    )
    transaction.on_commit(lambda: broker.try_now(node.id, [node.broker_digest]))
    return node


def _name_taken(name: str) -> Conflict:
    message = _("A node named “%(name)s” exists already.") % {"name": name}
    return Conflict(message, code="name_taken", fields={"name": [message]})
