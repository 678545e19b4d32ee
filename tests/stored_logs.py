"""Segments as agents send them, and lines as they are read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from console.workloads import archive
from console.workloads.logevents import Asked, LogEvent
from console.workloads.models import Container
from console.workloads.stored import merged
from nodeagent.protocol import LogLine, LogSegment
from nodeagent.segments import segments

DAY = "2026-01-02T03:04"


def at(second: float) -> str:
    """A timestamp of the engine's in that second."""
    return f"{DAY}:{second:012.9f}Z"


def lines(*texts: str, first: float = 1.0, step: float = 1.0) -> list[LogLine]:
    return [
        LogLine(at=at(first + number * step), source="stdout", text=text) for number, text in enumerate(texts)
    ]


def log_of(container: Container, content: Iterable[LogLine]) -> list[LogSegment]:
    """Its segments, as its agent cuts them."""
    return list(segments(container.slot_id, container.generation, content))


def keep(container: Container, *parts: Sequence[LogLine]) -> None:
    """Store its log, one segment for each part."""
    for number, part in enumerate(parts, start=1):
        [sent] = log_of(container, part)
        last = number == len(parts)
        numbered = LogSegment(
            slot=sent.slot,
            generation=sent.generation,
            number=number,
            first=sent.first,
            last=sent.last,
            lines=sent.lines,
            data=sent.data,
            end=last,
        )
        assert archive.store(container.node_id, numbered).outcome == "stored"


def read(*containers: Container, **asked: object) -> list[LogEvent]:
    return [each for each in merged(containers, Asked(**asked)) if each]  # type: ignore[arg-type]


def texts(events: Iterable[LogEvent]) -> list[str]:
    """Of lines; gaps in brackets."""
    return [each.text if each.kind == "line" else f"[{each.text or each.dropped}]" for each in events]
