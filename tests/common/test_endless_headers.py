"""What a stranger sends before he has to say who he is."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import programs
from lab.processes import wait_until
from lab.redis_server import free_port
from tests.programs import environment

pytestmark = pytest.mark.thorough


@pytest.fixture(params=[programs.web, programs.link], ids=["web", "link"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A connection to one of the two programs that strangers reach."""
    program: Callable[[str, int], list[str]] = request.param
    port = free_port()
    env = environment(tmp_path, f"sqlite:///{tmp_path}/berth.sqlite3")
    env["BERTH_LINK_URL"] = f"https://127.0.0.1:{port}"
    migrate = [sys.executable, "manage.py", "migrate", "--no-input"]
    subprocess.run(migrate, env=env, cwd=programs.ROOT, check=True, capture_output=True)
    process = subprocess.Popen(program("127.0.0.1", port), env=env, cwd=programs.ROOT)
    try:
        assert wait_until(lambda: _listens(port), 30.0)
        with socket.create_connection(("127.0.0.1", port), timeout=10.0) as connection:
            yield _encrypted(connection) if program is programs.link else connection
        # One that died of it would not answer either.
        assert process.poll() is None
        assert _listens(port)
    finally:
        process.terminate()
        process.wait(10.0)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _encrypted(connection: socket.socket) -> socket.socket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


@pytest.mark.parametrize("piece", [b"A: b\r\n" * 1000, b"b" * 6000], ids=["many", "long"])
def test_headers_without_an_end_are_refused(served: socket.socket, piece: bytes) -> None:
    served.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: ")
    assert _ends(served, piece, times=500)


def _ends(connection: socket.socket, piece: bytes, times: int) -> bool:
    """Whether the other side answers, or closes, before it has taken so many."""
    try:
        for _ in range(times):
            connection.sendall(piece)
        return connection.recv(100).startswith(b"HTTP/1.1 400")
    except TimeoutError:
        return False
    except OSError:
        return True
