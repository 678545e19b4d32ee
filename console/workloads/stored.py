"""Reading stored logs: many containers' segments as one stream by time. Files are opened when their time has come
and read as they are asked for, so that memory does not grow with what is stored."""

from __future__ import annotations

import gzip
import heapq
import io
import logging
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

from django.utils.translation import gettext as _

from console.workloads.archive import Segment, log_storage, segments_of
from console.workloads.logevents import Asked, LogEvent, event, stamp
from console.workloads.models import Container

logger = logging.getLogger(__name__)

MOST_RAW = 16 * 1024 * 1024
"""Bytes of lines that are read of one segment, whatever its file unpacks to."""
MOST_LINE = 256 * 1024
PAUSE = 2000
"""Lines passed over after which the reader gets None, so that it may stop or do something else."""
_TEXT = len("2026-01-02T03:04:05.123456789Z o ")


@dataclass(frozen=True, slots=True)
class _Part:
    """One segment of a container to read; the first `skip` lines that fit are older than what was asked for."""

    container: Container
    segment: Segment
    skip: int = 0


def merged(containers: Iterable[Container], asked: Asked) -> Generator[LogEvent | None, None, None]:
    """Lines and gaps of all these by time; None now and then while nothing fits."""
    order = count()
    heap: list[tuple[str, int, LogEvent | None, Iterator[LogEvent | None]]] = []
    for container in containers:
        for part in _parts(container, asked):
            if part is None:
                yield None
            elif isinstance(part, LogEvent):
                heap.append((part.at, next(order), part, iter(())))
            else:
                heap.append((part.segment.first, next(order), None, _events(part, asked)))
    heapq.heapify(heap)
    while heap:
        at, turn, found, rest = heapq.heappop(heap)
        if found is not None:
            yield found
        for each in rest:
            if each is not None:
                # Not before what the same segment gave last: lines of two sources may be a hair out of order.
                heapq.heappush(heap, (max(at, each.at), turn, each, rest))
                break
            yield None


def _parts(container: Container, asked: Asked) -> Iterator[_Part | LogEvent | None]:
    """What to read of a container, by number, and where something is missing."""
    found = segments_of(container)
    fits = [
        each
        for each in found
        if (not asked.since or each.last > asked.since) and (not asked.until or each.first <= asked.until)
    ]
    begin, skip = 0, 0
    if asked.tail is not None:
        begin, skip = yield from _tail_begins(container, fits, asked, asked.tail)
    expected = None if asked.since or begin else 1
    for segment in fits[begin:]:
        if expected not in {None, segment.number}:
            text = _("Lines before this are not kept any more.")
            yield event(container, "gap", at=segment.first, text=text)
        yield _Part(container, segment, skip)
        expected, skip = segment.number + 1, 0
        if segment.cut:
            yield event(container, "gap", at=segment.last, dropped=segment.cut)
    if container.log_lost:
        yield _lost(container)


def _lost(container: Container) -> LogEvent:
    text = _("The log of %(name)s, or the rest of it, was not kept: %(reason)s") % {
        "name": container.name,
        "reason": container.log_lost,
    }
    return event(container, "gap", at=stamp(container.ended_at) if container.ended_at else "", text=text)


def _tail_begins(
    container: Container, fits: list[Segment], asked: Asked, tail: int
) -> Generator[None, None, tuple[int, int]]:
    """Index of the segment in which the last `tail` lines begin, and how many lines that fit come before them."""
    whole, left = replace(asked, tail=None), tail
    counted = bool(asked.match or asked.since or asked.until)
    for index in range(len(fits) - 1, -1, -1):
        lines = 0 if counted else fits[index].lines
        for each in _events(_Part(container, fits[index]), whole) if counted else ():
            lines += each is not None and each.kind == "line"
            if each is None:
                yield None
        if lines >= left:
            return index, lines - left
        left -= lines
    return 0, 0


def _events(part: _Part, asked: Asked) -> Iterator[LogEvent | None]:
    """The lines of one segment that fit. What cannot be read is a gap."""
    container, skip, passed = part.container, part.skip, 0
    try:
        for raw in _raw_lines(part.segment):
            text = raw[_TEXT:].decode("utf-8", "replace").removesuffix("\n")
            at = raw[: _TEXT - 3].decode("ascii", "replace")
            fits = asked.takes(at, text)
            if skip or not fits:
                skip -= fits
                passed += 1
                if passed % PAUSE == 0:
                    yield None
                continue
            source = "stderr" if raw[_TEXT - 2 : _TEXT - 1] == b"e" else "stdout"
            yield LogEvent(
                kind="line", container=container.id, name=container.name, at=at, source=source, text=text
            )
    except FileNotFoundError:
        yield event(
            container, "gap", at=part.segment.last, text=_("Lines were deleted while they were read.")
        )
    except (OSError, EOFError, zlib.error) as error:
        logger.error("Stored log %s cannot be read: %s", part.segment.path, error)
        text = _("A stored part of this log cannot be read; the console's own log says why.")
        yield event(container, "gap", at=part.segment.last, text=text)


def _raw_lines(segment: Segment) -> Iterator[bytes]:
    left = MOST_RAW
    with log_storage().open(segment.path) as file, gzip.GzipFile(fileobj=file) as unpacked:
        lines = io.BufferedReader(cast(io.RawIOBase, unpacked), 65536)
        while left > 0 and (line := lines.readline(MOST_LINE)):
            left -= len(line)
            yield line
