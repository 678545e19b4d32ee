"""Logs of many containers as one stream by time: of those on nodes, and of those that ended and were stored."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from time import monotonic

from django.utils.translation import gettext as _

from console.workloads import livelogs, stored
from console.workloads.logevents import Asked, LogEvent
from console.workloads.models import Container

MERGE_WAIT = 0.02
"""Seconds for which new lines of several containers are held, to be given in the order of their time."""
LOOK_AGAIN = 1.0
"""Seconds after which containers that are new are looked for."""
FROM_THE_START = 1000
"""Lines of its past that a container which joins later brings along."""
MOST_LINES = 1_000_000
"""Of one answer that does not go on."""
_BUFFER = 20
"""Frames held for a slow reader before no more are asked for."""
_BATCH = 500
_AT_A_TIME = 0.1
"""Seconds for which one reader of stored logs keeps a thread."""

Find = Callable[[], Awaitable[Sequence[Container]]]
"""The containers to read, as they are when it is called."""
Batches = AsyncGenerator[list[LogEvent], None]

_LAST = "~"
"""After every timestamp."""

_threads = ThreadPoolExecutor(2, thread_name_prefix="stored-logs")


async def past(live: Sequence[Container], ended: Sequence[Container], asked: Asked) -> Batches:
    """What there is of all these, by time, then each live container's end or error."""
    sources: list[Batches] = [from_storage(stored.merged(ended, asked))] if ended else []
    sources += [livelogs.past(container, asked) for container in live if container.engine_id]
    count = 0
    async with aclosing(_merged(sources)) as batches:
        async for batch in batches:
            count += len(batch)
            if count > MOST_LINES:
                text = _("Only the first %(most)s lines are given. Ask for a shorter time, or search.")
                yield [LogEvent(kind="gap", container="", name="", text=text % {"most": f"{MOST_LINES:,}"})]
                return
            yield batch


async def follow(find: Find, ended: Sequence[Container], asked: Asked) -> Batches:
    """The stored lines of `ended`, then those of all that `find` finds, until the reader leaves.

    Containers that come later (a new replica, a replacement) join.
    """
    if ended:
        async with aclosing(from_storage(stored.merged(ended, asked))) as old:
            async for batch in old:
                yield batch
    queue: asyncio.Queue[list[LogEvent]] = asyncio.Queue(_BUFFER)
    readers: dict[str, asyncio.Task[None]] = {}
    look_at, tail = monotonic(), asked.tail
    try:
        while True:
            if monotonic() >= look_at:
                for container in await find():
                    if container.engine_id and container.id not in readers:
                        wanted = Asked(tail=tail, since=asked.since, match=asked.match)
                        readers[container.id] = asyncio.create_task(_read(container, queue, wanted))
                look_at, tail = monotonic() + LOOK_AGAIN, FROM_THE_START
            batch = await _next(queue, merge=len(readers) > 1, wait=look_at - monotonic())
            if batch:
                yield batch
    finally:
        for task in readers.values():
            task.cancel()
        await asyncio.gather(*readers.values(), return_exceptions=True)


async def _read(container: Container, queue: asyncio.Queue[list[LogEvent]], asked: Asked) -> None:
    """One container's stream into the queue. A full queue holds back credits, and so the agent."""
    async with aclosing(livelogs.follow(container, asked)) as batches:
        async for batch in batches:
            if batch:
                await queue.put(batch)


async def _next(queue: asyncio.Queue[list[LogEvent]], *, merge: bool, wait: float) -> list[LogEvent]:
    """What arrives in time; by time where several containers speak, with ends at the end."""
    try:
        events = await asyncio.wait_for(queue.get(), max(0.0, wait))
    except TimeoutError:
        return []
    if not merge:
        return events
    await asyncio.sleep(MERGE_WAIT)
    parts = [events]
    while not queue.empty():
        parts.append(queue.get_nowait())
    dated = [pair for part in parts for pair in _dated(part)]
    return [each for _key, each in sorted(dated, key=lambda pair: pair[0])]


def _dated(events: Iterable[LogEvent], at: str = "") -> Iterator[tuple[str, LogEvent]]:
    """Each with its place in time; what has no time of its own comes after what was before it, `at` at first."""
    for each in events:
        at = _LAST if each.kind in {"end", "error"} else each.at or at
        yield at, each


class _Source:
    """One of several that are merged: its next event, and when that was."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._events: Iterator[tuple[str, LogEvent]] = iter(())
        self.at, self.event = "", LogEvent(kind="end", container="", name="")

    def step(self) -> bool:
        """Go on within what was read. False at its end."""
        head = next(self._events, None)
        if head is not None:
            self.at, self.event = head
        return head is not None

    async def read(self) -> bool:
        """Read on. False when nothing is left."""
        while not self.step():
            batch = await anext(self._batches, None)
            if batch is None:
                return False
            self._events = _dated(batch, self.at)
        return True


async def _merged(batches: Sequence[Batches]) -> Batches:
    """All events by time. Each source is in order by itself, and is read on when its turn has come."""
    sources = [_Source(each) for each in batches]
    try:
        there = await asyncio.gather(*(source.read() for source in sources))
        heap = [(sources[turn].at, turn) for turn, found in enumerate(there) if found]
        heapq.heapify(heap)
        out: list[LogEvent] = []
        while heap:
            source = sources[turn := heap[0][1]]
            out.append(source.event)
            if not source.step():
                yield out
                out = []
                if not await source.read():
                    heapq.heappop(heap)
                    continue
            heapq.heapreplace(heap, (source.at, turn))
        yield out
    finally:
        for each in batches:
            await each.aclose()


async def from_storage(events: Generator[LogEvent | None, None, None]) -> Batches:
    """What a reader of files gives, read in threads: a few at work at a time, and none for long."""
    future: Future[list[LogEvent] | None] | None = None
    try:
        while True:
            future = _threads.submit(copy_context().run, _take, events)
            batch = await asyncio.wrap_future(future)
            if batch is None:
                return
            if batch:
                yield batch
    finally:
        if future is None:
            events.close()
        else:
            future.add_done_callback(lambda _done: events.close())


def _take(events: Iterator[LogEvent | None]) -> list[LogEvent] | None:
    """The next ones, none if it takes long; None at the end."""
    found: list[LogEvent] = []
    until = monotonic() + _AT_A_TIME
    for each in events:
        if each is not None:
            found.append(each)
        if len(found) >= _BATCH or (each is None and monotonic() >= until):
            return found
    return found or None
