"""Logs of an app: JSON lines or plain text of what there is, or server-sent events that go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access
from console.api.asynchronous import Reader, read, team_stream
from console.api.inputs import checked
from console.api.inputs.logs import MOST_TAIL, LogsQuery
from console.common.errors import BerthError, NotFound
from console.workloads import queries
from console.workloads.access import find_app, find_container, find_service
from console.workloads.logevents import Asked, LogEvent, exactly, matcher, stamp
from console.workloads.logs import follow, past
from console.workloads.models import Container

HEARTBEAT = 15.0
"""Seconds of silence after which a comment keeps proxies from closing the stream."""
RETRY_MS = 2000
USUAL_TAIL = 100
OUT_OF_ORDER = timedelta(seconds=2)
LONGEST_CLOCK_SKEW = timedelta(days=1)
"""Between a node, whose clock is on the lines, and the console."""

T = TypeVar("T")
Events = list[LogEvent]


@team_stream
async def logs(request: HttpRequest, access: Access, app: str) -> HttpResponseBase:
    query = checked(LogsQuery, request.GET.dict())
    live = await read(_live, access, app, query)  # what is not there is a 404 as long as that can be said
    asked = _asked(query, _seen(request.headers.get("Last-Event-ID", ""), several=len(live) > 1))
    ended = await read(_ended, access, app, query, asked.since)
    reader = Reader(request, access)
    if query["follow"] and query.get("container") and not live:
        return _response(_frames(reader, _to_the_end(past([], ended, asked))), "text/event-stream")
    if query["follow"]:

        async def find() -> Sequence[Container]:
            return await read(_live, access, app, query)

        return _response(_frames(reader, follow(find, ended, asked)), "text/event-stream")
    if query["format"] == "text":
        response = _response(_text(past(live, ended, asked)), "text/plain; charset=utf-8")
        name = f"{app}-{timezone.now():%Y%m%d-%H%M%S}.log"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response
    return _response(_lines(past(live, ended, asked)), "application/x-ndjson")


def _response(body: AsyncIterator[bytes], kind: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(body, content_type=kind)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _asked(query: dict[str, Any], seen: str) -> Asked:
    """A reader that comes back gets what came after the last line it saw."""
    since, until, search = query.get("since", ""), query.get("until", ""), query.get("search", "")
    usual = None if since or until or search else USUAL_TAIL
    return Asked(
        follow=query["follow"],
        tail=MOST_TAIL if seen else query.get("tail", usual),
        since=max(since, seen),
        until=until,
        match=matcher(search, regex=query["regex"]),
    )


def _live(access: Access, app: str, query: dict[str, Any]) -> list[Container]:
    """Those asked for that are on a node."""
    found = find_app(access, app)
    if id_ := query.get("container"):
        one = find_container(access, id_)
        if one.app_id != found.id:
            raise NotFound(_("The app has no such container."))
        return [one] if one.removed_at is None else []
    containers = queries.containers_of(found)
    if service := query.get("service"):
        wanted = find_service(found, service)
        containers = [one for one in containers if one.slot.service_id == wanted.id]
    return [one for one in containers if query.get("slot") in (None, one.slot.index)]


def _ended(access: Access, app: str, query: dict[str, Any], since: str) -> list[Container]:
    """Those asked for that are gone from their nodes, and whose log may be stored."""
    found = find_app(access, app)
    if id_ := query.get("container"):
        one = find_container(access, id_)
        return [one] if one.removed_at is not None else []
    if not query["ended"]:
        return []
    moment = datetime.fromisoformat(f"{since[:26]}+00:00") if since else None
    containers = queries.gone_from(found, since=moment and moment - LONGEST_CLOCK_SKEW)
    if service := query.get("service"):
        containers = [one for one in containers if one.slot.service.name == service]
    return [one for one in containers if query.get("slot") in (None, one.slot.index)]


def _seen(last_event: str, *, several: bool) -> str:
    """The timestamp after which a reader goes on that comes back (ids are times); empty: it is new.

    Of several containers one's line may have come later than a younger one of another: rather twice than never.
    """
    try:
        seen = exactly(last_event)
    except ValueError:
        return ""
    return stamp(datetime.fromisoformat(f"{seen[:26]}+00:00") - OUT_OF_ORDER) if several else seen


async def _lines(batches: AsyncGenerator[Events, None]) -> AsyncIterator[bytes]:
    async with aclosing(batches):
        async for batch in batches:
            yield b"".join(msgspec.json.encode(event) + b"\n" for event in batch)


async def _text(batches: AsyncGenerator[Events, None]) -> AsyncIterator[bytes]:
    async with aclosing(batches):
        async for batch in batches:
            yield "".join(_plain(event) for event in batch if event.kind != "end").encode()


def _plain(event: LogEvent) -> str:
    if event.kind == "line":
        return f"{event.at} {event.name} {event.text}\n"
    what = event.text or _("%(count)d lines are missing here.") % {"count": event.dropped}
    return f"--- {event.name} {what}\n"


async def _to_the_end(batches: AsyncGenerator[Events, None]) -> AsyncGenerator[Events, None]:
    """Of a container that is gone: nothing follows what is stored."""
    async with aclosing(batches):
        async for batch in batches:
            yield batch
    yield [LogEvent(kind="end", container="", name="")]


async def _frames(reader: Reader, batches: AsyncGenerator[Events, None]) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MS}\n\n".encode()
    async with aclosing(with_silences(batches, HEARTBEAT)) as beats:
        try:
            async for batch in beats:
                await reader.ask_again()
                yield b": still here\n\n" if batch is None else b"".join(map(_frame, batch))
        except BerthError as error:  # the app is gone, or the right to see it; whoever asks again is told so
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
