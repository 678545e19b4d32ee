"""The console's end of the link: a real WebSocket server that says welcome and writes down what it hears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from websockets.exceptions import WebSocketException
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from nodeagent import protocol
from nodeagent.protocol import Ack, Down, Heartbeat, LogSegment, LogStored, Up, Welcome
from tests.nodeagent.builders import CLUSTER

M = TypeVar("M", bound=Up)


class ConsoleStub:
    """`heard` grows over all sessions; `session` counts them. Heartbeats are acknowledged while `acks`, and
    logs of ended containers are taken."""

    def __init__(self, node: str = "n1", token: str = "secret", cluster: str = CLUSTER) -> None:
        self.node, self.token, self.cluster = node, token, cluster
        self.session = 0
        self.refused = 0
        self.acks = True
        self.heard: list[Up] = []
        self._changed = threading.Condition()
        self._connection: ServerConnection | None = None
        self._server: Server = serve(
            self._handle, "127.0.0.1", 0, process_request=self._admit, max_size=protocol.MAX_MESSAGE_BYTES
        )
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        given = request.headers.get("Authorization"), request.path
        if given != (f"Bearer {self.token}", "/agent/v1/link"):
            self.refused += 1
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no\n")
        return None

    def _handle(self, connection: ServerConnection) -> None:
        self.session += 1
        self._connection = connection
        welcome = Welcome(
            node=self.node, cluster=self.cluster, session=self.session, heartbeat=0.2, sample=1.0
        )
        connection.send(protocol.encode(welcome))
        try:
            for data in connection:
                assert isinstance(data, bytes)
                self._hear(protocol.decode_up(data))
        except WebSocketException:
            return

    def _hear(self, message: Up) -> None:
        with self._changed:
            self.heard.append(message)
            self._changed.notify_all()
        if isinstance(message, Heartbeat) and self.acks:
            self.send(Ack(sent=message.sent))
        if isinstance(message, LogSegment):
            slot, generation = message.slot, message.generation
            self.send(LogStored(slot=slot, generation=generation, number=message.number, outcome="stored"))

    def send(self, message: Down) -> None:
        assert self._connection is not None
        self._connection.send(protocol.encode(message))

    def hang_up(self) -> None:
        assert self._connection is not None
        self._connection.close()

    def hear(
        self,
        kind: type[M],
        fits: Callable[[M], bool] = lambda message: True,
        *,
        since: int = 0,
        timeout: float = 10.0,
    ) -> M:
        """The first message of this kind that fits, counted from the `since`-th ever heard."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for message in self.heard[since:]:
                    if isinstance(message, kind) and fits(message):
                        return message
                left = deadline - time.monotonic()
                assert left > 0, (
                    f"no such {kind.__name__} in {timeout} s; heard: {self.heard[since:][-20:]!r}"
                )
                self._changed.wait(left)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
