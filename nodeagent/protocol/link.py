"""Everything that goes over the agent's one WebSocket, as MessagePack: `Up` from the agent, `Down` to it."""

from __future__ import annotations

import msgspec

from nodeagent.protocol.credentials import CredentialStored, NewCredential, Rotate
from nodeagent.protocol.facts import (
    Delta,
    Heartbeat,
    Hello,
    Images,
    Progress,
    Receipt,
    Result,
    Samples,
    Volumes,
)
from nodeagent.protocol.names import VERSION
from nodeagent.protocol.streams import (
    Close,
    Credit,
    ExecFrame,
    ExecInput,
    ExecResize,
    LogFrame,
    LogNotKept,
    LogSegment,
    LogStored,
    OpenExec,
    OpenLogs,
)

Up = (
    Hello
    | Heartbeat
    | Delta
    | Images
    | Receipt
    | Progress
    | Result
    | Samples
    | Volumes
    | LogFrame
    | LogSegment
    | LogNotKept
    | ExecFrame
    | Credit
    | NewCredential
)


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """First answer on the link. Of one node's sessions the one with the greatest number holds."""

    version: int = VERSION
    node: str
    cluster: str
    session: int
    heartbeat: float = 2.0
    sample: float = 10.0


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """The heartbeat with this `sent` is stored."""

    sent: float


class Resend(msgspec.Struct, frozen=True, kw_only=True, tag="resend"):
    """Send a full `Hello` again."""


Down = (
    Welcome
    | Ack
    | Resend
    | OpenLogs
    | LogStored
    | OpenExec
    | ExecInput
    | ExecResize
    | Credit
    | Close
    | CredentialStored
    | Rotate
)

_up_encoder = msgspec.msgpack.Encoder()
_up_decoder: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)
_down_decoder: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)


def encode(message: Up | Down) -> bytes:
    """One WebSocket message as MessagePack."""
    return _up_encoder.encode(message)


def decode_up(data: bytes) -> Up:
    """A message of an agent. Raises `msgspec.ValidationError` or `msgspec.DecodeError` on hostile input."""
    return _up_decoder.decode(data)


def decode_down(data: bytes) -> Down:
    """A message of the console. Raises as `decode_up` does."""
    return _down_decoder.decode(data)
