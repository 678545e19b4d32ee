"""Who may come in at the agents' door, and what happens there to credentials. The rows are the services' matter."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from channels.db import database_sync_to_async

from console.cluster import credentials, trust
from console.cluster.credentials import LinkRefused
from console.cluster.models import Node
from console.common.errors import BerthError
from nodeagent import protocol

logger = logging.getLogger(__name__)


async def admit(scope: Mapping[str, Any]) -> Node:
    """The node whose link this is. Raises `LinkRefused`."""
    if not _safe(scope):
        raise LinkRefused(
            protocol.CLOSE_PLAIN, "This console takes links over TLS alone: dial its https address."
        )
    return await database_sync_to_async(credentials.node_for_link)(_bearer(scope["headers"]))


async def check(node: Node, scope: Mapping[str, Any]) -> None:
    """Once it can be told to go: its credentials may have ended meanwhile. Raises `LinkRefused`."""
    now = await database_sync_to_async(credentials.node_for_link)(_bearer(scope["headers"]))
    if now.pk != node.pk:
        raise LinkRefused(0, "Nobody has this token.")


async def greet(node: Node, hello: protocol.Hello) -> protocol.Down | None:
    """What to tell an agent after its hello. Raises `LinkRefused` when the console does not speak its version."""
    if not protocol.speaks(hello.version):
        refused = database_sync_to_async(credentials.refuse_version)
        raise await refused(node, hello.version, hello.agent)
    due = await database_sync_to_async(credentials.rotation_is_due)(node.id, hello.version)
    return protocol.Rotate() if due else None


async def renew(node: Node, offered: protocol.NewCredential) -> protocol.CredentialStored:
    """The answer to an agent that has made new credentials."""
    try:
        await database_sync_to_async(credentials.offer)(node.id, offered)
    except BerthError as error:
        logger.warning("Node %s offers credentials that cannot be taken: %s", node.name, error)
        return protocol.CredentialStored(token_digest=offered.token_digest, error=str(error))
    return protocol.CredentialStored(token_digest=offered.token_digest)


def _safe(scope: Mapping[str, Any]) -> bool:
    """Over TLS (ours, or a trusted proxy's), from this machine itself, or where the operator has no TLS."""
    if not trust.link_is_tls() or scope.get("scheme") == "wss":
        return True
    client, server = scope.get("client"), scope.get("server")
    if client is None or (server is not None and client[0] == server[0]):
        return True
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    value = dict(headers).get(b"authorization", b"").decode("latin-1")
    kind, _space, token = value.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
