"""Log streams of containers, merged: opened on each container's node, read from its own Redis channel."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Literal

import msgspec
import redis.asyncio
import redis.exceptions
from channels.layers import get_channel_layer

from console.common import redis as keys
from console.workloads.models import Container
from nodeagent import protocol

CREDIT = 16
"""Frames that may be under way from each container."""
FIRST_FRAME = 10.0
"""Seconds after which a silent node is said to be so; followed streams go on waiting."""
MERGE_WAIT = 0.02
"""Seconds for which lines of several containers are held, to be given in the order of their time."""
_BUFFER = 200
"""Events held for a slow reader before frames are no longer acknowledged."""


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line, a gap (`dropped` lines are missing), a stream's end, or an error."""

    kind: Literal["line", "gap", "end", "error"]
    container: str
    name: str
    at: str = ""
    source: str = ""
    text: str = ""
    dropped: int = 0


async def follow(
    containers: Sequence[Container], *, follow: bool, tail: int, since: float = 0.0
) -> AsyncIterator[LogEvent]:
    """Lines of all these containers; ends when each stream has ended. `since` is an age in seconds, 0 for all."""
    if not containers:
        return
    queue: asyncio.Queue[LogEvent] = asyncio.Queue(_BUFFER)
    tasks = [asyncio.create_task(_read(container, queue, follow, tail, since)) for container in containers]
    try:
        open_streams = len(tasks)
        while open_streams:
            for event in await _batch(queue, merge=len(tasks) > 1):
                open_streams -= event.kind in ("end", "error")
                yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _batch(queue: asyncio.Queue[LogEvent], *, merge: bool) -> list[LogEvent]:
    """What has arrived, by time where several containers speak; ends keep their place at the end."""
    events = [await queue.get()]
    if merge:
        await asyncio.sleep(MERGE_WAIT)
    while not queue.empty():
        events.append(queue.get_nowait())
    return sorted(events, key=lambda event: (event.kind in ("end", "error"), event.at)) if merge else events


async def _read(
    container: Container, queue: asyncio.Queue[LogEvent], follow: bool, tail: int, since: float
) -> None:
    """One container's stream into the queue. A full queue holds back credits, and so the agent."""
    stream = secrets.token_hex(16)
    client = keys.async_client()
    try:
        async with client.pubsub() as channel:
            await channel.subscribe(keys.stream_channel(stream))
            opening = protocol.OpenLogs(
                stream=stream,
                slot=container.slot_id,
                generation=container.generation,
                follow=follow,
                tail=tail,
                since=since,
                credit=CREDIT,
            )
            await _tell(container, opening)
            try:
                async with aclosing(_frames(channel, container, stream)) as frames:
                    async for event in frames:
                        await queue.put(event)
            finally:
                await _tell(container, protocol.Close(stream=stream))
    except (redis.exceptions.RedisError, OSError) as error:
        await queue.put(_event(container, "error", text=f"The log stream broke off: {error}"))
    finally:
        await client.aclose()


async def _frames(
    channel: redis.asyncio.client.PubSub, container: Container, stream: str
) -> AsyncGenerator[LogEvent, None]:
    silent_since: float | None = monotonic()
    while True:
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
        if message is None:
            if silent_since is not None and monotonic() - silent_since > FIRST_FRAME:
                text = f"Node {container.node.name} does not answer; its agent may be away."
                yield _event(container, "error", text=text)
                return
            continue
        silent_since = None
        frame = protocol.decode_up(message["data"])
        if not isinstance(frame, protocol.LogFrame):
            continue
        if frame.dropped:
            yield _event(container, "gap", dropped=frame.dropped)
        for line in frame.lines:
            yield _event(container, "line", at=line.at, source=line.source, text=line.text)
        if frame.end:
            yield _event(container, "error" if frame.error else "end", text=frame.error)
            return
        await _tell(container, protocol.Credit(stream=stream, frames=1))


def _event(
    container: Container,
    kind: Literal["line", "gap", "end", "error"],
    *,
    at: str = "",
    source: str = "",
    text: str = "",
    dropped: int = 0,
) -> LogEvent:
    return LogEvent(
        kind=kind,
        container=container.id,
        name=container.name,
        at=at,
        source=source,
        text=text,
        dropped=dropped,
    )


async def _tell(container: Container, message: protocol.Down) -> None:
    layer = get_channel_layer()
    assert layer is not None  # noqa: S101  (settings name one)
    await layer.group_send(f"node.{container.node_id}", {"type": "down", "message": protocol.encode(message)})
