"""Broker users of nodes, derived from the database: each opens its own node's keys and nothing else."""

from __future__ import annotations

import logging

import redis

from console.cluster.models import Node
from console.common.redis import client
from nodeagent import protocol

logger = logging.getLogger(__name__)

PREFIX = "node-"


def user_name(node: Node) -> str:
    return f"{PREFIX}{node.id}"


def rules(node: Node) -> list[str]:
    """ACL rules of one node's user (reliability.md 1.2, variant A): no Lua, no pub/sub, no foreign key."""
    return [
        "reset",
        "on",
        f"#{node.broker_digest}",
        f"~{protocol.key_prefix(node.id)}*",
        "resetchannels",
        *protocol.BROKER_ACL_COMMANDS,
    ]


class BrokerUsers:
    """Keeps Redis' users equal to the database's nodes: at a change, after a restart of Redis, and each minute."""

    def __init__(self) -> None:
        self._run = ""
        self._known: dict[str, str] = {}
        self._checked = 0.0

    def keep(self, nodes: list[Node], time: float) -> None:
        """Raises `RedisError` when Redis is away; the next call makes up for it."""
        wanted = {user_name(node): node.broker_digest for node in nodes}
        if wanted == self._known and time - self._checked < 60 and self._run == _run_id():
            return
        connection = client()
        present = {name for user in connection.acl_users() if (name := _text(user)).startswith(PREFIX)}
        for name in present - wanted.keys():
            connection.acl_deluser(name)
        for node in nodes:
            # redis-py's own acl_setuser() knows no literal rule list.
            connection.execute_command("ACL", "SETUSER", user_name(node), *rules(node))  # type: ignore[no-untyped-call]
        self._run, self._known, self._checked = _run_id(), wanted, time
        try:
            connection.acl_save()
        except redis.ResponseError as error:
            logger.debug("Redis keeps no ACL file (%s); users are made anew after its restart.", error)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _run_id() -> str:
    return str(client().info("server")["run_id"])
