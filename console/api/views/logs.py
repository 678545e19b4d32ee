"""Logs of an app: JSON lines of what there is, or server-sent events that go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import TypeVar

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access
from console.api.asynchronous import read, team_stream
from console.api.inputs import MOST_TAIL, LogsQuery, checked
from console.common.errors import BerthError, NotFound
from console.workloads import queries
from console.workloads.access import find_app, find_container, find_service
from console.workloads.logs import LogEvent, follow
from console.workloads.models import Container

HEARTBEAT = 15.0
"""Seconds of silence after which a comment keeps proxies from closing the stream."""
RETRY_MS = 2000

T = TypeVar("T")


@team_stream
async def logs(request: HttpRequest, access: Access, app: str) -> HttpResponseBase:
    query = checked(LogsQuery, request.GET.dict())

    async def find() -> list[Container]:
        return await read(_chosen, access, app, query.get("service"), query.get("container"))

    await find()  # what is not there is a 404 as long as that can be said
    since = _age(request.headers.get("Last-Event-ID", ""))
    tail = MOST_TAIL if since else query["tail"]
    events = follow(find, follow=query["follow"], tail=tail, since=since)
    body, kind = (
        (_frames(events), "text/event-stream")
        if query["follow"]
        else (_lines(events), "application/x-ndjson")
    )
    response = StreamingHttpResponse(body, content_type=kind)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _chosen(access: Access, app: str, service: str | None, container: str | None) -> list[Container]:
    found = find_app(access, app)
    if container:
        one = find_container(access, container)
        if one.app_id != found.id:
            raise NotFound(_("The app has no such container."))
        return [one]
    containers = queries.containers_of(found)
    if service:
        wanted = find_service(found, service)
        containers = [one for one in containers if one.slot.service_id == wanted.id]
    return containers


def _age(last_event: str) -> float:
    """Seconds since the last event that a reader saw before it came back (ids are times); 0: it is new."""
    try:
        return max(timezone.now().timestamp() - datetime.fromisoformat(last_event).timestamp(), 0.001)
    except (ValueError, OverflowError):
        return 0.0


async def _lines(events: AsyncIterator[LogEvent]) -> AsyncIterator[bytes]:
    async for event in events:
        yield msgspec.json.encode(event) + b"\n"


async def _frames(events: AsyncIterator[LogEvent]) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MS}\n\n".encode()
    async with aclosing(with_silences(events, HEARTBEAT)) as beats:
        try:
            async for event in beats:
                yield b": still here\n\n" if event is None else _frame(event)
        except BerthError as error:  # the app is gone, say; whoever asks again is told so
            yield _frame(LogEvent(kind="error", container="", name="", text=str(error.message)))


def _frame(event: LogEvent) -> bytes:
    """JSON has no raw line break, so one data line is enough. What has no time must not reset the last id."""
    position = f"id: {event.at}\n" if event.at else ""
    return f"{position}event: {event.kind}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"


async def with_silences(source: AsyncIterator[T], seconds: float) -> AsyncGenerator[T | None, None]:
    """The items of `source`, and None after each `seconds` without one. Closes the source with itself."""
    waiting: asyncio.Task[T] | None = None
    try:
        while True:
            waiting = waiting or asyncio.create_task(_next(source))
            done, _pending = await asyncio.wait({waiting}, timeout=seconds)
            if not done:
                yield None
                continue
            item = waiting.result()
            waiting = None
            yield item
    except StopAsyncIteration:
        return
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)
