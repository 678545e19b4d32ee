"""A team's history as server-sent events, as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

from console.accounts.access import Access
from console.api.asynchronous import Reader, read, team_stream
from console.api.inputs import checked
from console.api.inputs.history import EventStreamQuery
from console.api.outputs.history import EventOutput
from console.common.errors import BerthError
from console.common.models import Event
from console.workloads import history
from console.workloads.access import find_app
from console.workloads.models import App

PAUSE = 1.0
"""Seconds between two looks: an event is seen by then, also with Redis away."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment keeps proxies from closing the stream."""
LATE = 200
"""Events get their ids before they are committed: one may come after so many that have higher ids."""
RETRY_MS = 2000


@team_stream
async def event_stream(request: HttpRequest, access: Access) -> HttpResponseBase:
    query = checked(EventStreamQuery, request.GET.dict())
    app = await read(find_app, access, query["app"]) if "app" in query else None
    given = request.headers.get("Last-Event-ID", "")
    last = int(given) if given.isdecimal() and len(given) < 19 else query.get("after")
    start = await read(history.newest_event) if last is None else last
    response = StreamingHttpResponse(
        _frames(Reader(request, access), access, app, start), content_type="text/event-stream"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _frames(reader: Reader, access: Access, app: App | None, last: int) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MS}\n\n".encode()
    team, clock = access.team, asyncio.get_running_loop().time
    before = await read(history.events_between, team, max(0, last - LATE), last, app=app, limit=LATE)
    seen, spoken = {event.pk for event in before} if last else set(), clock()
    while True:
        try:
            await reader.ask_again()
        except BerthError:  # the membership, the token or the session is gone; whoever asks again is told so
            return
        found = await read(history.events_between, team, max(0, last - LATE), 0, app=app, limit=2 * LATE)
        fresh = [event for event in found if event.pk not in seen]
        if fresh:
            yield b"".join(map(_frame, fresh))
            last = max(last, fresh[-1].pk)
            seen = {event.pk for event in found if event.pk > last - LATE}
            spoken = clock()
        if len(found) == 2 * LATE:
            continue
        if clock() - spoken >= HEARTBEAT:
            yield b": still here\n\n"
            spoken = clock()
        await asyncio.sleep(PAUSE)


def _frame(event: Event) -> bytes:
    """JSON has no raw line break, so one data line is enough."""
    return (
        f"id: {event.pk}\nevent: {event.kind}\ndata: ".encode()
        + JSONRenderer().render(EventOutput(event).data)
        + b"\n\n"
    )
