"""The agents' door: authenticate, check, forward. It decides nothing."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import redis.asyncio
import redis.exceptions
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import connection

from console.cluster import looks
from console.cluster.credentials import LinkRefused
from console.cluster.models import Node
from console.cluster.queries import cluster
from console.common import redis as keys
from console.live import admission
from console.workloads import archive
from nodeagent import protocol

logger = logging.getLogger(__name__)

REPORTS_KEPT = 100_000

MOST_STORING = 16
"""Log segments of one node that are being stored; each has at most half a MiB."""
_disk = ThreadPoolExecutor(4, thread_name_prefix="store-log")

UNAUTHORIZED, REPLACED, UNREADABLE, BROKEN = 4401, 4409, 4400, 4503


class AgentConsumer(AsyncWebsocketConsumer):
    """One agent's link. Of a node's links the newest holds; the console tells the others to go."""

    node: Node
    session: int
    store: redis.asyncio.Redis | None = None
    engine_ok = True

    def __init__(self) -> None:
        super().__init__()
        self.storing: set[asyncio.Task[None]] = set()

    async def dispatch(self, message: Any) -> None:
        """What a frame needs of the database closes connections that are too old by itself. The library's own look,
        in a thread before each frame, takes longer than to hand on a report."""
        if message["type"] == "websocket.receive":
            await self.websocket_receive(message)
        else:
            await super().dispatch(message)

    async def connect(self) -> None:
        try:
            node = await admission.admit(self.scope)
        except LinkRefused as refused:
            await self._turn_away(refused)
            return
        self.node, self.store = node, keys.async_client()
        try:
            seconds, micros = await self.store.time()
            # Never below the last session known: another Redis' clock may be behind.
            self.session = max(int(seconds) * 1000 + int(micros) // 1000, node.session + 1)
            await self.channel_layer.group_add(self._group, self.channel_name)
            await admission.check(node, self.scope)
            await self._claim()
        except LinkRefused as refused:
            await self._turn_away(refused)
            return
        except (redis.exceptions.RedisError, OSError) as error:
            logger.warning("Node %s cannot be served, Redis is away: %s", node.name, error)
            # Accepted first: a refusal would tell the agent that its token is wrong.
            await self.accept()
            await self.close(BROKEN)
            return
        await self.accept()
        id_ = (await database_sync_to_async(cluster)()).id
        await self._tell(
            protocol.Welcome(
                node=node.id, cluster=id_, session=self.session, heartbeat=float(settings.NODE_HEARTBEAT)
            )
        )

    async def _turn_away(self, refused: LinkRefused) -> None:
        """With words where the agent has some claim to them, which needs an open link."""
        if refused.code == 0:
            await self.close(UNAUTHORIZED)
            return
        await self.accept()
        await self.close(refused.code, refused.reason)

    async def _claim(self) -> None:
        await self.channel_layer.group_send(self._group, {"type": "replaced", "session": self.session})

    @property
    def _group(self) -> str:
        return f"node.{self.node.id}"

    async def disconnect(self, code: int) -> None:
        for task in self.storing:
            task.cancel()
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
                await looks.store(self._client, self.node.id, message)
            case protocol.LogFrame() | protocol.ExecFrame() | protocol.Credit():
                await self._client.publish(keys.stream_channel(message.stream), raw)
            case protocol.LogSegment():
                await self._keep(message)
            case protocol.NewCredential():
                await self._tell(await admission.renew(self.node, message))
            case protocol.Hello():
                await self._hello(message, raw)
            case _:
                await self._report(raw)

    async def _report(self, raw: bytes) -> None:
        entry: dict[Any, Any] = {"n": self.node.id, "s": str(self.session), "m": raw}
        await self._client.xadd(keys.REPORTS, entry, maxlen=REPORTS_KEPT, approximate=True)

    async def _hello(self, hello: protocol.Hello, raw: bytes) -> None:
        try:
            answer = await admission.greet(self.node, hello)
        except LinkRefused as refused:
            logger.warning("Node %s: %s", self.node.name, refused.reason)
            await self.close(refused.code, refused.reason)
            return
        await self._report(raw)
        if answer is not None:
            await self._tell(answer)

    async def _keep(self, segment: protocol.LogSegment) -> None:
        """Stored beside the link, so that a slow disk holds up no heartbeat; refused when too many wait."""
        if len(self.storing) >= MOST_STORING:
            await self._tell(archive.answer(segment, "failed", "the console has too much to store at once"))
            return
        task = asyncio.create_task(self._store(segment))
        self.storing.add(task)
        task.add_done_callback(self.storing.discard)

    async def _store(self, segment: protocol.LogSegment) -> None:
        loop = asyncio.get_running_loop()
        await self._tell(await loop.run_in_executor(_disk, _stored, self.node.id, segment))

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
            "disk": beat.disk,
        }
        seconds, micros = await self._client.time()
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zadd(keys.CONTACT, {self.node.id: int(seconds) + int(micros) / 1e6})
            pipe.hset(keys.BEATS, self.node.id, msgspec.msgpack.encode(stored))
            await pipe.execute()
        if beat.engine_ok != self.engine_ok:
            # An engine's death is said at once, and heard at once.
            self.engine_ok = beat.engine_ok
            await self._client.xadd(keys.REPORTS, {"poke": "1"}, maxlen=REPORTS_KEPT, approximate=True)
        await self._tell(protocol.Ack(sent=beat.sent))

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
        """The node was removed, or its credentials have ended."""
        await self.close(event["code"], event["reason"])


def _stored(node_id: str, segment: protocol.LogSegment) -> protocol.LogStored:
    """In a thread: its database connection is given back, and whatever happens is an answer."""
    try:
        return archive.store(node_id, segment)
    except Exception:
        logger.exception("A log segment of node %s cannot be stored", node_id)
        return archive.answer(segment, "failed", "the console cannot store it now; its own log says why")
    finally:
        connection.close()
