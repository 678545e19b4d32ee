"""Streams that somebody follows: opened down the link, their frames come up it, credits bound what is under way."""

from __future__ import annotations

from typing import Literal

import msgspec


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a container's output. `at` is the engine's timestamp (RFC 3339)."""

    at: str
    source: Literal["stdout", "stderr"]
    text: str


class LogFrame(msgspec.Struct, frozen=True, kw_only=True, tag="log"):
    """Lines of an open stream. `dropped` lines were lost to a full buffer before these."""

    stream: str
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
    credit: int = 16


class Credit(msgspec.Struct, frozen=True, kw_only=True, tag="credit"):
    """The reader took `frames` more frames of this stream."""

    stream: str
    frames: int


class Close(msgspec.Struct, frozen=True, kw_only=True, tag="close"):
    stream: str
