"""What clients of a terminal may send as text."""

from __future__ import annotations

from typing import Annotated

import msgspec

from nodeagent.protocol import MOST_CELLS

MOST_TEXT = 1000
Cells = Annotated[int, msgspec.Meta(ge=1, le=MOST_CELLS)]


class Begin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first message. With `acks` the client tells which frames it took, else what was sent counts as taken."""

    ticket: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    acks: bool = False


class Resize(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="resize"):
    width: Cells
    height: Cells


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="end"):
    """No more input comes."""


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ack"):
    """So many messages of output were taken since the last one."""

    frames: Annotated[int, msgspec.Meta(ge=1, le=1000)]


Control = Resize | End | Ack

_begin: msgspec.json.Decoder[Begin] = msgspec.json.Decoder(Begin)
_control: msgspec.json.Decoder[Control] = msgspec.json.Decoder(Control)


def decode_begin(text: str | None) -> Begin:
    """Raises `msgspec.ValidationError`, `msgspec.DecodeError`, `ValueError`."""
    return _begin.decode(_bounded(text))


def decode_control(text: str | None) -> Control:
    """Raises as `decode_begin` does."""
    return _control.decode(_bounded(text))


def _bounded(text: str | None) -> str:
    if text is None or len(text) > MOST_TEXT:
        raise ValueError(f"Expected JSON text of at most {MOST_TEXT} characters.")
    return text
