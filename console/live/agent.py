"""The agents' door: authenticate, check, forward. It decides nothing and writes no database row."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import msgspec
import redis.asyncio
import redis.exceptions
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from console.cluster.access import node_of_token
from console.cluster.models import Node
from console.cluster.queries import cluster
from console.common import redis as keys
from nodeagent import protocol

logger = logging.getLogger(__name__)

REPORTS_KEPT = 100_000
SAMPLES_KEPT = 360
"""One hour at one sample in ten seconds."""
SAMPLES_LIFETIME = 2 * 3600

UNAUTHORIZED, REPLACED, UNREADABLE, BROKEN = 4401, 4409, 4400, 4503


class AgentConsumer(AsyncWebsocketConsumer):
    """One agent's link. Of a node's links the newest holds; the console tells the others to go."""

    node: Node
    session: int
    store: redis.asyncio.Redis | None = None

    async def connect(self) -> None:
        node = await database_sync_to_async(node_of_token)(_bearer(self.scope["headers"]))
        if node is None:
            await self.close(UNAUTHORIZED)
            return
        self.node, self.store = node, keys.async_client()
        try:
            seconds, micros = await self.store.time()
            # Never below the last session known: another Redis' clock may be behind.
            self.session = max(int(seconds) * 1000 + int(micros) // 1000, node.session + 1)
            await self.channel_layer.group_add(self._group, self.channel_name)
            await self._claim()
        except (redis.exceptions.RedisError, OSError) as error:
            logger.warning("Node %s cannot be served, Redis is away: %s", node.name, error)
            # Accepted first: a refusal would tell the agent that its token is wrong.
            await self.accept()
            await self.close(BROKEN)
            return
        await self.accept()
        id_ = (await database_sync_to_async(cluster)()).id
        await self._tell(protocol.Welcome(node=node.id, cluster=id_, session=self.session))

    async def _claim(self) -> None:
        await self.channel_layer.group_send(self._group, {"type": "replaced", "session": self.session})

    @property
    def _group(self) -> str:
        return f"node.{self.node.id}"

    async def disconnect(self, code: int) -> None:
        if self.store is None:
            return
        try:
            await self.channel_layer.group_discard(self._group, self.channel_name)
        except (redis.exceptions.RedisError, OSError) as error:
            logger.info("Node %s: its group could not be left: %s", self.node.name, error)
        finally:
            await self.store.aclose()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if bytes_data is None or len(bytes_data) > protocol.MAX_MESSAGE_BYTES:
            await self.close(UNREADABLE)
            return
        try:
            message = protocol.decode_up(bytes_data)
        except msgspec.MsgspecError as error:
            logger.warning("Node %s sent an unreadable message: %s", self.node.name, error)
            await self.close(UNREADABLE)
            return
        try:
            await self._forward(message, bytes_data)
        except (redis.exceptions.RedisError, OSError) as error:
            # The agent dials again and says hello: nothing it said meanwhile is lost.
            logger.warning("Node %s: its report cannot be stored: %s", self.node.name, error)
            await self.close(BROKEN)

    async def _forward(self, message: protocol.Up, raw: bytes) -> None:
        match message:
            case protocol.Heartbeat():
                await self._heartbeat(message)
            case protocol.Samples():
                await self._samples(message)
            case protocol.LogFrame():
                await self._client.publish(keys.stream_channel(message.stream), raw)
            case _:
                entry: dict[Any, Any] = {"n": self.node.id, "s": str(self.session), "m": raw}
                await self._client.xadd(keys.REPORTS, entry, maxlen=REPORTS_KEPT, approximate=True)

    @property
    def _client(self) -> redis.asyncio.Redis:
        if self.store is None:
            raise redis.exceptions.ConnectionError("no connection")
        return self.store

    async def _heartbeat(self, beat: protocol.Heartbeat) -> None:
        """Stored first, acknowledged then; the time is Redis' own."""
        stored = {
            "session": self.session,
            "digest": beat.digest,
            "engine_ok": beat.engine_ok,
            "engine_error": beat.engine_error[:300],
            "waiting": beat.waiting,
        }
        seconds, micros = await self._client.time()
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zadd(keys.CONTACT, {self.node.id: int(seconds) + int(micros) / 1e6})
            pipe.hset(keys.BEATS, self.node.id, msgspec.msgpack.encode(stored))
            await pipe.execute()
        await self._tell(protocol.Ack(sent=beat.sent))

    async def _samples(self, message: protocol.Samples) -> None:
        seconds, _micros = await self._client.time()
        async with self._client.pipeline(transaction=False) as pipe:
            for sample in message.samples:
                key = keys.samples_key(self.node.id, sample.slot, sample.generation)
                pipe.rpush(key, msgspec.msgpack.encode((int(seconds), sample)))
                pipe.ltrim(key, -SAMPLES_KEPT, -1)
                pipe.expire(key, SAMPLES_LIFETIME)
            key = keys.node_samples_key(self.node.id)
            pipe.rpush(key, msgspec.msgpack.encode((int(seconds), message.node_cpu, message.node_memory)))
            pipe.ltrim(key, -SAMPLES_KEPT, -1)
            pipe.expire(key, SAMPLES_LIFETIME)
            await pipe.execute()

    async def _tell(self, message: protocol.Down) -> None:
        await self.send(bytes_data=protocol.encode(message))

    async def down(self, event: dict[str, Any]) -> None:
        """From the console's processes: a message for this agent."""
        await self.send(bytes_data=event["message"])

    async def replaced(self, event: dict[str, Any]) -> None:
        """Another link of this node speaks up. An older one that came in late has not heard of this one."""
        if event["session"] > self.session:
            await self.close(REPLACED)
        elif event["session"] < self.session:
            await self._claim()

    async def revoked(self, event: dict[str, Any]) -> None:
        """The node was removed, or got a new token."""
        await self.close(UNAUTHORIZED)


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    value = dict(headers).get(b"authorization", b"").decode("latin-1")
    kind, _space, token = value.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
