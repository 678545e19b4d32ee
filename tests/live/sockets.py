"""Agents' and browsers' sides of the live sockets, against the whole ASGI application."""

from __future__ import annotations

from typing import Any, Self, cast

from asgiref.testing import ApplicationCommunicator

from console.asgi import application
from nodeagent import protocol

Headers = list[tuple[bytes, bytes]]
WAIT = 5.0


class Socket:
    """One connection; `accepted`, or refused with `code`. It is over at the end of the `async with`."""

    def __init__(self, path: str, headers: Headers) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        # asgiref's own is untyped.
        self._wire: Any = cast(Any, ApplicationCommunicator)(application, scope)
        self.accepted, self.code = False, 0

    async def __aenter__(self) -> Self:
        await self._wire.send_input({"type": "websocket.connect"})
        answer: dict[str, Any] = await self._wire.receive_output(WAIT)
        self.accepted = answer["type"] == "websocket.accept"
        self.code = 0 if self.accepted else int(answer.get("code", 1000))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._wire.wait(WAIT)

    async def send(self, **message: bytes | str) -> None:
        await self._wire.send_input({"type": "websocket.receive", **message})

    async def message(self) -> bytes | str:
        answer: dict[str, Any] = await self._wire.receive_output(WAIT)
        assert answer["type"] == "websocket.send", answer
        data: bytes | str | None = answer.get("bytes")
        return str(answer["text"]) if data is None else data

    async def silent(self, seconds: float) -> bool:
        return bool(await self._wire.receive_nothing(seconds))

    async def closed(self) -> int:
        """The code with which the console closes; messages before it are dropped."""
        while True:
            event: dict[str, Any] = await self._wire.receive_output(WAIT)
            if event["type"] == "websocket.close":
                return int(event["code"])


class AgentSocket(Socket):
    def __init__(self, token: str | None) -> None:
        header = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        super().__init__("/agent/v1/link", header)

    async def receive(self) -> protocol.Down:
        data = await self.message()
        assert isinstance(data, bytes)
        return protocol.decode_down(data)

    async def welcome(self) -> protocol.Welcome:
        message = await self.receive()
        assert isinstance(message, protocol.Welcome)
        return message

    async def tell(self, message: protocol.Up) -> None:
        await self.send(bytes=protocol.encode(message))
