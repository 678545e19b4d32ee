"""Streams that somebody follows: opened down the link, their frames come up it, credits bound what is under way."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MOST_EXEC_BYTES = 32 * 1024
"""Of one frame's data, either way."""
MOST_ARGUMENTS = 256
MOST_ARGUMENT = 16 * 1024
MOST_CELLS = 1000
"""Of a terminal's width, and of its height."""

ExecData = Annotated[bytes, msgspec.Meta(max_length=MOST_EXEC_BYTES)]
Cells = Annotated[int, msgspec.Meta(ge=1, le=MOST_CELLS)]
Argument = Annotated[str, msgspec.Meta(max_length=MOST_ARGUMENT)]
ShortText = Annotated[str, msgspec.Meta(max_length=400)]


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a container's output. `at` is the engine's timestamp (RFC 3339)."""

    at: str
    source: Literal["stdout", "stderr"]
    text: str


class LogFrame(msgspec.Struct, frozen=True, kw_only=True, tag="log"):
    """Lines of an open stream. `dropped` lines were lost to a full buffer before these.

    The first frame comes at once and may be empty, as is the answer to a `Credit` of none: both say that the
    stream is open.
    """

    stream: str
    number: int = 0
    """Counts the stream's frames from 1, so that a lost one is seen."""
    lines: tuple[LogLine, ...] = ()
    dropped: int = 0
    end: bool = False
    error: str = ""


class OpenLogs(msgspec.Struct, frozen=True, kw_only=True, tag="open-logs"):
    """Follow a container's output as `LogFrame`s. `credit` is how many frames may be under way."""

    stream: str
    slot: str
    generation: int
    follow: bool = True
    tail: int = 100
    since: float = 0.0
    """Only lines younger than this many seconds; 0 is all."""
    after: str = ""
    """Only lines later than this timestamp of the engine's (RFC 3339); `since` does not count then."""
    credit: int = 16


class OpenExec(msgspec.Struct, frozen=True, kw_only=True, tag="open-exec"):
    """Run a program inside a container. `credit` is how many `ExecFrame`s may be under way.

    The agent's first `Credit` of more than 0 frames says that it runs, and how many `ExecInput`s may be under way.
    The stream is on lease: an agent that hears nothing of it for `lease` seconds ends the program.
    """

    stream: str
    slot: str
    generation: int
    command: Annotated[tuple[Argument, ...], msgspec.Meta(min_length=1, max_length=MOST_ARGUMENTS)]
    tty: bool = True
    user: ShortText = ""
    working_dir: ShortText = ""
    width: Cells = 80
    height: Cells = 24
    credit: int = 16
    lease: float = 100.0


class ExecInput(msgspec.Struct, frozen=True, kw_only=True, tag="exec-input"):
    """Bytes for the program. `end`: no more come (a terminal gets its end-of-file character)."""

    stream: str
    number: int
    """Counts the stream's inputs from 1: after a lost one the agent ends the program."""
    data: ExecData = b""
    end: bool = False


class ExecResize(msgspec.Struct, frozen=True, kw_only=True, tag="exec-resize"):
    """The reader's window has this many columns and rows now."""

    stream: str
    width: Cells
    height: Cells


class ExecFrame(msgspec.Struct, frozen=True, kw_only=True, tag="exec"):
    """What the program wrote, in order; nothing is dropped. The last frame has `end`.

    `exit_code` is the program's, None where it has none because of `error`.
    """

    stream: str
    number: int
    """Counts the stream's frames from 1, so that a lost one is seen."""
    source: Literal["stdout", "stderr"] = "stdout"
    data: ExecData = b""
    end: bool = False
    exit_code: int | None = None
    error: str = ""


class Credit(msgspec.Struct, frozen=True, kw_only=True, tag="credit"):
    """Its sender took `frames` more frames of this stream. Goes up for input, down for everything else.

    With 0 frames it renews the lease of an `OpenExec`. A stream that is open answers that: a log with an empty frame,
    an exec with a `Credit` of 0 frames.
    """

    stream: str
    frames: int


class Close(msgspec.Struct, frozen=True, kw_only=True, tag="close"):
    stream: str


MAX_SEGMENT_BYTES = 512 * 1024
"""Most that a segment's data may have."""
MOST_SEGMENTS = 10_000

Stamp = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$", max_length=30)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class LogSegment(msgspec.Struct, frozen=True, kw_only=True, tag="log-segment"):
    """A part of the whole log of a container that ended, sent before the container is removed.

    `data` is gzip of lines `TIMESTAMP o|e TEXT` (o: stdout); the timestamps have nine digits of a second, so that
    they sort as text. Numbers count from 1. The same number again replaces what was stored.
    """

    slot: str
    generation: int
    number: Annotated[int, msgspec.Meta(ge=1, le=MOST_SEGMENTS)]
    first: Stamp
    last: Stamp
    """Least and greatest timestamp in it."""
    lines: Count
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_SEGMENT_BYTES)]
    end: bool = False
    """The last one."""
    cut: Count = 0
    """Of the last one: lines that came after it and were too many to be kept."""


Outcome = Literal["stored", "unwanted", "failed"]


class LogStored(msgspec.Struct, frozen=True, kw_only=True, tag="log-stored"):
    """What became of a segment: stored for good; not wanted, like all others of this container; or not stored for
    now, with the reason."""

    slot: str
    generation: int
    number: int
    outcome: Outcome
    error: str = ""


class LogNotKept(msgspec.Struct, frozen=True, kw_only=True, tag="log-not-kept"):
    """This container is removed although its log, or the rest of it, could not be handed over."""

    slot: str
    generation: int
    reason: ShortText
