"""Log streams of containers, merged: opened on each container's node, read from its own Redis channel."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
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
LOOK_AGAIN = 1.0
"""Seconds after which containers that are new are looked for."""
FROM_THE_START = 1000
"""Lines of its past that a container which joins later brings along."""
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


Find = Callable[[], Awaitable[Sequence[Container]]]
"""The containers to read, as they are when it is called."""


async def follow(find: Find, *, follow: bool, tail: int, since: float = 0.0) -> AsyncIterator[LogEvent]:
    """Lines of all these containers. `since` is an age in seconds, 0 for all.

    Without `follow` it ends once each stream has. With it, containers that come later (a new replica, a
    replacement) join, and it goes on until the reader leaves.
    """
    queue: asyncio.Queue[LogEvent] = asyncio.Queue(_BUFFER)
    readers: dict[str, asyncio.Task[None]] = {}
    look_at, ended, first = monotonic(), 0, True
    try:
        while follow or first or ended < len(readers):
            if first or (follow and monotonic() >= look_at):
                for container in await find():
                    if container.engine_id and container.id not in readers:
                        lines = tail if first else FROM_THE_START
                        readers[container.id] = asyncio.create_task(
                            _read(container, queue, follow, lines, since)
                        )
                look_at, first = monotonic() + LOOK_AGAIN, False
                continue
            for event in await _batch(queue, merge=len(readers) > 1, wait=LOOK_AGAIN if follow else None):
                ended += event.kind in ("end", "error")
                yield event
    finally:
        for task in readers.values():
            task.cancel()
        await asyncio.gather(*readers.values(), return_exceptions=True)


async def _batch(queue: asyncio.Queue[LogEvent], *, merge: bool, wait: float | None) -> list[LogEvent]:
    """What arrives within `wait` seconds, by time where several containers speak; ends keep their place at the end."""
    try:
        events = [await asyncio.wait_for(queue.get(), wait)]
    except TimeoutError:
        return []
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
    except (redis.exceptions.RedisError, OSError, msgspec.MsgspecError) as error:
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
