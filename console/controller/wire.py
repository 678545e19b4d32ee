"""The controller's one port to the outside: reports in, jobs out. Redis is behind it; simulations pass another."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import redis
from celery import Celery
from django.conf import settings
from kombu import Connection
from kombu.pools import producers

from console.common import redis as keys
from console.common.events import group_send
from console.common.redis_url import celery_options, celery_url
from nodeagent import protocol

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One report as it stands in the stream. `message` None is a poke."""

    position: str
    node: str = ""
    session: int = 0
    message: protocol.Up | None = None


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """A node's last stored heartbeat and its age in seconds by Redis' clock."""

    session: int
    digest: str
    engine_ok: bool
    engine_error: str
    waiting: bool
    disk: protocol.Disk | None = None
    age: float = 0.0


class Wire(Protocol):
    def epoch(self) -> str:
        """A word that changes when what was in the stream is gone."""

    def read(self, position: str, limit: int) -> list[Entry]:
        """Entries after `position`, oldest first."""

    def wait(self, position: str, seconds: float) -> None:
        """Return once there is an entry after `position`, at the latest after `seconds`."""

    def contacts(self) -> Mapping[str, Beat] | None:
        """Last heartbeat by node; None when that cannot be known now (the console is blind)."""

    def send(self, node: str, jobs: Sequence[protocol.Job]) -> None:
        """Ring a node's bell with these jobs. A lost ring is made up for by the next."""

    def ask(self, node: str) -> None:
        """Ask a node for its full set."""


class RedisWire:
    """The real one. Each call ends within seconds; `RedisError`s of reads and sends reach the caller."""

    def __init__(self) -> None:
        self._redis = keys.client()
        self._celery = Celery("berth-doorbell", broker=celery_url(settings.REDIS_URL), set_as_current=False)
        self._celery.conf.update(task_ignore_result=True, task_serializer="json", accept_content=["json"])

    def epoch(self) -> str:
        fresh = secrets.token_hex(8)
        known = self._redis.set(keys.EPOCH, fresh, nx=True, get=True)
        return known.decode() if isinstance(known, bytes) else fresh

    def read(self, position: str, limit: int) -> list[Entry]:
        found: Any = self._redis.xread({keys.REPORTS: position}, count=limit)
        return [_entry(at, fields) for _stream, entries in found or [] for at, fields in entries]

    def wait(self, position: str, seconds: float) -> None:
        self._redis.xread({keys.REPORTS: position}, count=1, block=max(1, int(seconds * 1000)))

    def contacts(self) -> Mapping[str, Beat] | None:
        try:
            pipe = self._redis.pipeline(transaction=True)
            pipe.time()
            pipe.zrange(keys.CONTACT, 0, -1, withscores=True)
            pipe.hgetall(keys.BEATS)
            (seconds, micros), scores, beats = pipe.execute()
        except redis.RedisError as error:
            logger.warning("Cannot read heartbeats: %s", error)
            return None
        if not scores:
            return None
        now = seconds + micros / 1e6
        found = {}
        for node, score in scores:
            if (raw := beats.get(node)) is not None:
                beat = msgspec.msgpack.decode(raw, type=Beat)
                found[node.decode()] = msgspec.structs.replace(beat, age=max(0.0, now - score))
        return found

    def send(self, node: str, jobs: Sequence[protocol.Job]) -> None:
        version = max(protocol.VERSION - 1, *map(protocol.needs, jobs))
        batch = protocol.batch_to_builtins(protocol.Batch(version=version, node=node, jobs=tuple(jobs)))
        with (
            _node_connection(node) as connection,
            producers[connection].acquire(block=True, timeout=5) as producer,
        ):
            self._celery.send_task(
                protocol.TASK, args=[batch], queue=protocol.QUEUE, producer=producer, retry=False
            )

    def ask(self, node: str) -> None:
        group_send(f"node.{node}", {"type": "down", "message": protocol.encode(protocol.Resend())})


def _node_connection(node: str) -> Connection:
    options = {
        "global_keyprefix": protocol.key_prefix(node),
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "ack_emulation": False,
        **celery_options(settings.REDIS_URL),
    }
    return Connection(celery_url(settings.REDIS_URL), transport_options=options)


def _entry(position: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    raw = fields.get(b"m")
    if raw is None:
        return Entry(position.decode())
    try:
        message = protocol.decode_up(raw)
    except msgspec.MsgspecError as error:
        logger.error("Unreadable report of node %s skipped: %s", fields.get(b"n"), error)
        return Entry(position.decode())
    return Entry(position.decode(), fields[b"n"].decode(), int(fields[b"s"]), message)
