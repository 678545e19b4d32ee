"""The log of a container that its node still has: opened on the node, read from a Redis channel of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from time import monotonic, time

import msgspec
import redis.asyncio
import redis.exceptions
from channels.layers import get_channel_layer
from django.utils.translation import gettext as _

from console.common import redis as keys
from console.workloads.logevents import Asked, LogEvent, event
from console.workloads.models import Container
from nodeagent import protocol

CREDIT = 16
"""Frames that may be under way from each container."""
CREDIT_EVERY = 4
"""Frames after which as many more are asked for."""
PROBE = 5.0
"""Seconds of silence after which the agent is asked whether the stream is still open."""
GIVE_UP = 10.0
"""Seconds of silence after which it is not."""
AGAIN = 2.0
"""Seconds before a followed stream that broke is opened anew."""
MOST_HELD = 1024 * 1024
"""Bytes of past lines that are held to find the last ones."""

Frames = AsyncGenerator[tuple[protocol.LogFrame, bool], None]
Batches = AsyncGenerator[list[LogEvent], None]


class Broken(Exception):
    """The stream is over before its end; the text says why."""


async def past(container: Container, asked: Asked) -> Batches:
    """What there is, in order, up to an end or an error."""
    if asked.picks and asked.tail is not None:
        held = _Held(container, asked.tail)
        async with aclosing(_past(container, replace(asked, tail=None))) as batches:
            async for batch in batches:
                for each in batch:
                    held.add(each)
        yield held.events()
        return
    async with aclosing(_past(container, asked)) as batches:
        async for batch in batches:
            yield batch


class _Held:
    """The last lines of many. The end, and what is missing, is kept beside them."""

    def __init__(self, container: Container, most: int) -> None:
        self._container = container
        self._most = most
        self._lines: deque[LogEvent] = deque()
        self._bytes = 0
        self._dropped = 0
        self._others: list[LogEvent] = []

    def add(self, each: LogEvent) -> None:
        if each.kind == "gap":
            self._others.insert(0, each)
            return
        if each.kind != "line":
            self._others.append(each)
            return
        self._lines.append(each)
        self._bytes += len(each.text) + 200
        while len(self._lines) > self._most:
            self._bytes -= len(self._lines.popleft().text) + 200
        while self._bytes > MOST_HELD:
            self._bytes -= len(self._lines.popleft().text) + 200
            self._dropped += 1

    def events(self) -> list[LogEvent]:
        gaps = [each for each in self._others if each.kind == "gap"]
        if self._dropped:
            text = _(
                "More lines fit than can be shown from their end: choose a time, or ask for fewer lines."
            )
            gaps.append(event(self._container, "gap", text=text))
        return [*gaps, *self._lines, *(each for each in self._others if each.kind != "gap")]


async def _past(container: Container, asked: Asked) -> Batches:
    tail = -1 if asked.tail is None else asked.tail
    try:
        async with aclosing(_frames(container, follow=False, tail=tail, after=asked.since)) as frames:
            async for frame, lost in frames:
                yield _events(container, frame, lost, asked)
                if frame.end:
                    return
    except Broken as error:
        yield [event(container, "error", text=str(error))]


async def follow(container: Container, asked: Asked) -> Batches:
    """Old lines, then new ones as they come. A stream that breaks is opened anew after the line that was seen last;
    in between a gap says so once. Ends with the container, or with the reader."""
    last, tail, told = asked.since, asked.tail, False
    if asked.picks:
        async with aclosing(past(container, asked)) as batches:
            async for batch in batches:
                yield [_goes_on(each) for each in batch if each.kind != "end"]
                last = max([last, *(each.at for each in batch)])
        tail = None
    while True:
        asking = replace(asked, tail=tail, since=last)
        lines = -1 if tail is None else tail
        try:
            async with aclosing(_frames(container, follow=True, tail=lines, after=last)) as frames:
                async for frame, lost in frames:
                    told = False
                    if frame.lines:
                        last, tail = max(last, frame.lines[-1].at), None
                    yield _events(container, frame, lost, asking)
                    if frame.end:
                        return
        except Broken as error:
            if not told:
                yield [event(container, "gap", text=str(error))]
            told = True
            await asyncio.sleep(AGAIN)


def _goes_on(found: LogEvent) -> LogEvent:
    """What ended the reading of old lines is no end of the stream."""
    return msgspec.structs.replace(found, kind="gap") if found.kind == "error" else found


async def _frames(container: Container, *, follow: bool, tail: int, after: str) -> Frames:
    """Frames of one opening up to the last one, each with whether frames before it got lost. Raises `Broken`."""
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
                since=_age(after),
                after=after,
                credit=CREDIT,
            )
            await _tell(container, opening)
            try:
                async with aclosing(_receive(channel, container, stream)) as frames:
                    async for each in frames:
                        yield each
            finally:
                await _tell(container, protocol.Close(stream=stream))
    except (redis.exceptions.RedisError, OSError, msgspec.MsgspecError) as error:
        raise Broken(_("The log stream broke off: %(error)s") % {"error": error}) from error
    finally:
        await client.aclose()


async def _receive(channel: redis.asyncio.client.PubSub, container: Container, stream: str) -> Frames:
    heard, asked, number, taken = monotonic(), False, 0, 0
    while True:
        message = await channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
        if message is None:
            silence = monotonic() - heard
            if silence > GIVE_UP:
                text = _("Node %(node)s does not answer; its agent may be away.")
                raise Broken(text % {"node": container.node_name})
            if silence > PROBE and not asked:
                asked = True
                await _tell(container, protocol.Credit(stream=stream, frames=0))
            continue
        heard, asked = monotonic(), False
        frame = protocol.decode_up(message["data"])
        if not isinstance(frame, protocol.LogFrame):
            continue
        lost = max(0, frame.number - number - 1)
        number = frame.number
        yield frame, lost > 0
        if frame.end:
            return
        taken += lost + bool(frame.lines or frame.dropped)
        if taken >= CREDIT_EVERY:
            await _tell(container, protocol.Credit(stream=stream, frames=taken))
            taken = 0


def _events(container: Container, frame: protocol.LogFrame, lost: bool, asked: Asked) -> list[LogEvent]:
    found = []
    if lost:
        text = _("Lines may be missing here: the connection was interrupted.")
        found.append(event(container, "gap", text=text))
    if frame.dropped:
        found.append(event(container, "gap", dropped=frame.dropped))
    for line in frame.lines:
        if asked.takes(line.at, line.text):
            found.append(
                LogEvent(
                    kind="line",
                    container=container.id,
                    name=container.name,
                    at=line.at,
                    source=line.source,
                    text=line.text,
                )
            )
    if frame.end:
        found.append(event(container, "error" if frame.error else "end", text=frame.error))
    return found


def _age(after: str) -> float:
    """Seconds since that timestamp, for agents that know ages alone; 0 for all lines."""
    if not after:
        return 0.0
    return max(time() - datetime.fromisoformat(f"{after[:26]}+00:00").timestamp(), 0.001)


async def _tell(container: Container, message: protocol.Down) -> None:
    layer = get_channel_layer()
    assert layer is not None  # noqa: S101  (settings name one)
    await layer.group_send(f"node.{container.node_id}", {"type": "down", "message": protocol.encode(message)})
