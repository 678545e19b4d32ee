"""Keeps Redis' users equal to the database's nodes: each opens its own node's keys and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import redis

from console.cluster import broker
from console.cluster.credentials import broker_digests
from console.cluster.models import Node
from console.common.redis import client

logger = logging.getLogger(__name__)


class BrokerUsers:
    """Looks at a change, after a restart of Redis, and each minute."""

    def __init__(self) -> None:
        self._run = ""
        self._known: dict[str, tuple[str, ...]] = {}
        self._checked = 0.0

    def keep(self, nodes: Iterable[Node], time: float) -> None:
        """Raises `RedisError` when Redis is away; the next call makes up for it."""
        wanted = broker_digests(nodes)
        if wanted == self._known and time - self._checked < 60 and self._run == _run_id():
            return
        connection = client()
        for id_ in broker.present_users(connection) - wanted.keys():
            broker.expel(id_)
        for id_, digests in wanted.items():
            broker.admit(id_, digests)
        self._run, self._known, self._checked = _run_id(), wanted, time
        try:
            connection.acl_save()
        except redis.ResponseError as error:
            logger.debug("Redis keeps no ACL file (%s); users are made anew after its restart.", error)


def _run_id() -> str:
    return str(client().info("server")["run_id"])
