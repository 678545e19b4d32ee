"""A container's whole log, cut into compressed segments. Pure; holds one segment at a time."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nodeagent.protocol import LogLine, LogSegment

COMPRESSED = 384 * 1024
"""Compressed bytes at which a segment is closed; the compressor holds some more back."""
RAW = 4 * 1024 * 1024
"""Bytes of lines at which it is closed, so that its reader needs little memory as well."""
MOST_RAW = 64 * 1024 * 1024
"""Bytes of lines that are kept of one container. By default the engine's own log files hold 30 MiB."""
LEVEL = 6
_GZIP = 31
"""zlib's window size, with gzip's header instead of its own."""
_AT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?Z")


def comparable(at: str) -> str:
    """The engine trims zeros of its timestamps; in this form they sort as text. Empty for anything else."""
    match = _AT.fullmatch(at)
    return f"{match[1]}.{match[2] or '':0<9}Z" if match else ""


@dataclass(slots=True)
class _Open:
    """The segment that is being filled."""

    packer: zlib._Compress = field(default_factory=lambda: zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP))
    parts: list[bytes] = field(default_factory=list)
    packed: int = 0
    raw: int = 0
    lines: int = 0
    first: str = ""
    last: str = ""

    @property
    def full(self) -> bool:
        return self.packed >= COMPRESSED or self.raw >= RAW

    def add(self, at: str, line: bytes) -> None:
        part = self.packer.compress(line)
        if part:
            self.parts.append(part)
        self.packed += len(part)
        self.raw += len(line)
        self.lines += 1
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)


def segments(slot: str, generation: int, lines: Iterable[LogLine]) -> Iterator[LogSegment]:
    """The log in numbered segments, the last one marked; none for an empty log.

    What goes beyond `MOST_RAW` is only counted. A line without a timestamp gets the one before it.
    """
    number, raw, cut, at, current = 1, 0, 0, "", _Open()
    for line in lines:
        at = comparable(line.at) or at
        if not at or raw >= MOST_RAW:
            cut += 1
            continue
        if current.full:
            yield _close(current, slot, generation, number)
            number, current = number + 1, _Open()
        text = f"{at} {'e' if line.source == 'stderr' else 'o'} {line.text}\n".encode()
        raw += len(text)
        current.add(at, text)
    if current.lines:
        yield _close(current, slot, generation, number, end=True, cut=cut)


def _close(
    current: _Open, slot: str, generation: int, number: int, *, end: bool = False, cut: int = 0
) -> LogSegment:
    current.parts.append(current.packer.flush())
    return LogSegment(
        slot=slot,
        generation=generation,
        number=number,
        first=current.first,
        last=current.last,
        lines=current.lines,
        data=b"".join(current.parts),
        end=end,
        cut=cut,
    )
