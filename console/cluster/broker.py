"""A node's user at the broker: which passwords open it, what it may do, and how it is put out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import redis

from console.common.redis import client
from nodeagent import protocol

logger = logging.getLogger(__name__)

PREFIX = "node-"


def user_name(node_id: str) -> str:
    return f"{PREFIX}{node_id}"


def rules(node_id: str, digests: Iterable[str]) -> list[str]:
    """ACL rules of one node's user (reliability.md 1.2, variant A): no Lua, no pub/sub, no foreign key.

    `digests`: SHA-256 of each password that opens it."""
    return [
        "reset",
        "on",
        *(f"#{one}" for one in digests),
        f"~{protocol.key_prefix(node_id)}*",
        "resetchannels",
        *protocol.BROKER_ACL_COMMANDS,
    ]


def admit(node_id: str, digests: Iterable[str]) -> None:
    """Let exactly these passwords open the node's user. Whoever came in with another one is cut off.

    Raises `RedisError`."""
    connection, name, wanted = client(), user_name(node_id), set(digests)
    present = _passwords(connection, name)
    # redis-py's own acl_setuser() knows no literal rule list.
    connection.execute_command("ACL", "SETUSER", name, *rules(node_id, sorted(wanted)))  # type: ignore[no-untyped-call]
    if present - wanted:
        connection.execute_command("CLIENT", "KILL", "USER", name)  # type: ignore[no-untyped-call]


def expel(node_id: str) -> None:
    """Remove the node's user; Redis ends its connections with it. Raises `RedisError`."""
    client().acl_deluser(user_name(node_id))


def try_now(node_id: str, digests: Iterable[str]) -> None:
    """`admit`, or `expel` when there are no digests. The controller makes up for a Redis that is away."""
    wanted = list(digests)
    try:
        if wanted:
            admit(node_id, wanted)
        else:
            expel(node_id)
    except redis.RedisError as error:
        logger.warning("Node %s: its broker user is changed by the controller later (%s)", node_id, error)


def present_users(connection: redis.Redis) -> set[str]:
    """Ids of the nodes that have a user."""
    names = (_text(name) for name in connection.acl_users())
    return {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}


def _passwords(connection: redis.Redis, name: str) -> set[str]:
    found: Any = connection.acl_getuser(name)
    return {_text(one).lstrip("#") for one in found["passwords"]} if found else set()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
