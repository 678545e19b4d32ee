"""Keeps Redis' users equal to the database's nodes: each opens its own node's keys and nothing else."""

from __future__ import annotations

import logging

import redis

from console.cluster import broker
from console.cluster.credentials import broker_digests
from console.common.redis import client

logger = logging.getLogger(__name__)


LOOK_AGAIN = 1.0
"""Seconds between two looks at the database and at Redis. Who revokes a credential changes the user at once, from
where that was asked for; this makes up for what went wrong there."""
ALL_AGAIN = 60.0


class BrokerUsers:
    """Makes the users anew at a change, after a restart of Redis, and each minute."""

    def __init__(self) -> None:
        self._looked = float("-inf")
        self._run = ""
        self._known: dict[str, tuple[str, ...]] = {}
        self._checked = 0.0

    def keep(self, time: float) -> None:
        """`time` in seconds, from any start. Within `LOOK_AGAIN` of the last look it does nothing. Raises `RedisError`
        when Redis is away; a later call makes up for it."""
        if time - self._looked < LOOK_AGAIN:
            return
        self._looked = time
        wanted = broker_digests()
        if wanted == self._known and time - self._checked < ALL_AGAIN and self._run == _run_id():
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
