"""A program run inside a container: opened on its node, spoken with over its own Redis channel."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from time import monotonic
from types import TracebackType
from typing import Self

from channels.layers import get_channel_layer
from django.utils.translation import gettext_lazy as _

from console.common import redis as keys
from console.common.errors import Unavailable
from console.workloads.models import Container
from console.workloads.terminals import Grant
from nodeagent import protocol

CREDIT = 16
"""Frames of output that may be under way."""
ASK_EVERY = 8.0
"""Seconds after which the node is asked whether the stream is still open, which renews its lease."""
LEASE = 60.0
"""Seconds after which a node that hears nothing ends the program."""
SILENCE = 20.0
"""Seconds of silence after which the node is given up."""


class ExecStream:
    """`async with` opens it, iterating gives what the agent says, until the frame with `end`."""

    def __init__(self, container: Container, grant: Grant) -> None:
        self._container = container
        self._grant = grant
        self._id = secrets.token_hex(16)
        self._client = keys.async_client()
        self._channel = self._client.pubsub()
        self._inputs = self._frames = self._took = 0

    async def __aenter__(self) -> Self:
        await self._channel.subscribe(keys.stream_channel(self._id))
        # Only once Redis has confirmed it can no frame be missed.
        await self._channel.get_message(timeout=SILENCE)
        grant = self._grant
        await self._tell(
            protocol.OpenExec(
                stream=self._id,
                slot=self._container.slot_id,
                generation=self._container.generation,
                command=grant.command,
                tty=grant.tty,
                user=grant.exec_user,
                working_dir=grant.working_dir,
                width=grant.width,
                height=grant.height,
                credit=CREDIT,
                lease=LEASE,
            )
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._tell(protocol.Close(stream=self._id))
        finally:
            await self._channel.aclose()  # type: ignore[no-untyped-call]
            await self._client.aclose()

    async def __aiter__(self) -> AsyncIterator[protocol.ExecFrame | protocol.Credit]:
        """Raises Unavailable when the node falls silent or a frame got lost."""
        heard = monotonic()
        while True:
            if monotonic() - heard > SILENCE:
                name = self._container.node_name
                raise Unavailable(_("Node %s does not answer; its agent may be away.") % name)
            found = await self._channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if found is None:
                continue
            message = protocol.decode_up(found["data"])
            if isinstance(message, protocol.ExecFrame):
                self._frames += 1
                if message.number != self._frames:
                    raise Unavailable(
                        _("Output got lost on its way from the node, so the terminal was closed.")
                    )
            if isinstance(message, protocol.ExecFrame | protocol.Credit):
                yield message
            # Not before: whoever iterates may have been busy for long.
            heard = monotonic()

    async def ask(self) -> None:
        """Every `ASK_EVERY` seconds, by another task than the reader's, which a slow client holds up."""
        await self._tell(protocol.Credit(stream=self._id, frames=0))

    async def took(self, frames: int) -> None:
        """So many frames more were taken by the reader. Told by the half of what may be under way."""
        self._took += frames
        if self._took >= CREDIT // 2:
            taken, self._took = self._took, 0
            await self._tell(protocol.Credit(stream=self._id, frames=taken))

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """Only as many as the agent's credits allow. At most `MOST_EXEC_BYTES`."""
        self._inputs += 1
        await self._tell(protocol.ExecInput(stream=self._id, number=self._inputs, data=data, end=end))

    async def resize(self, width: int, height: int) -> None:
        await self._tell(protocol.ExecResize(stream=self._id, width=width, height=height))

    async def _tell(self, message: protocol.Down) -> None:
        layer = get_channel_layer()
        assert layer is not None  # noqa: S101  (settings name one)
        group = f"node.{self._container.node_id}"
        await layer.group_send(group, {"type": "down", "message": protocol.encode(message)})
