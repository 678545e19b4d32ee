"""A real receiver on loopback: it notes what comes, and answers as it is told."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers in turn, the last one from then on: a status, or a status with a body, headers, and seconds between
    the pieces of the answer."""

    port: int = 0
    answers: list[tuple[int, bytes, dict[str, str], float]] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    handshakes: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/berth?team=home"

    def answer(self, status: int, body: bytes = b"ok", *, slow: float = 0, **headers: str) -> Receiver:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, body, names, slow))
        return self

    def next_answer(self) -> tuple[int, bytes, dict[str, str], float]:
        if not self.answers:
            return 200, b"ok", {}, 0
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, text, headers, slow = found.next_answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in [text[at : at + 1] for at in range(len(text))] if slow else [text]:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(slow)
            except OSError:
                pass  # the sender had enough

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that does not trust us goes away

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
