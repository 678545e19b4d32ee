"""The engine's log stream, cut into lines. Pure; fed with bytes in any portions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from nodeagent.protocol import LogLine

Source = Literal["stdout", "stderr"]

MAX_LINE = 16 * 1024
_HEADER = 8


def lines(chunks: Iterable[bytes], *, tty: bool) -> Iterator[LogLine]:
    """Lines with the engine's timestamps. A longer line than `MAX_LINE` bytes comes in pieces."""
    pending: dict[Source, bytes] = {}
    parts = ((chunk, "stdout") for chunk in chunks) if tty else frames(chunks)
    source: Source
    for data, source in parts:
        *whole, rest = (pending.pop(source, b"") + data).split(b"\n")
        for raw in whole:
            yield _line(raw, source)
        if len(rest) > MAX_LINE + 64:
            yield _line(rest, source)
        elif rest:
            pending[source] = rest
    for source, rest in pending.items():
        yield _line(rest, source)


def frames(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, Source]]:
    """Payloads of the multiplexed format: 1 byte stream, 3 zero bytes, 4 bytes length, payload."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _HEADER:
            end = _HEADER + int.from_bytes(buffer[4:_HEADER], "big")
            if len(buffer) < end:
                break
            yield bytes(buffer[_HEADER:end]), "stderr" if buffer[0] == 2 else "stdout"
            del buffer[:end]


def _line(raw: bytes, source: Source) -> LogLine:
    at, _, text = raw.rstrip(b"\r").partition(b" ")
    return LogLine(at=at.decode("ascii", "replace"), source=source, text=text.decode("utf-8", "replace"))
