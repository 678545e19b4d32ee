"""What the client does where the console cannot answer just now, against a console of a few lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from berth import client
from berth.client import Client
from berth.config import Login
from berth.errors import ApiError, CliError, Exit

Answer = Callable[[BaseHTTPRequestHandler], None]
BUSY = b'{"error": {"code": "rate_limited", "message": "Too many requests."}}'


class Console:
    """Answers each request with the next of its answers, and the last one for ever. Keeps the requests' headers."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        console = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                console.asked.append(dict(self.headers))
                answer = console.answers.pop(0) if len(console.answers) > 1 else console.answers[0]
                answer(self)

            do_POST = do_GET  # noqa: N815  (the library's name)

            def log_message(self, *_about: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.login = Login(f"http://127.0.0.1:{self.server.server_port}", "token", "default")


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    monkeypatch.setattr(client, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(client, "REDIAL", 0.01)
    monkeypatch.setenv("NO_PROXY", "*")
    found = Console()
    thread = Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def say(status: int, content: bytes = b"{}", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def events(*names: str, first: int = 1) -> Answer:
    lines = "".join(
        f"id: {number}\nevent: {name}\ndata: {json.dumps({'kind': name})}\n\n"
        for number, name in enumerate(names, first)
    )
    return say(200, f"retry: 2000\n\n{lines}".encode())


def test_a_write_whose_connection_broke_is_sent_again_with_its_key(console: Console) -> None:
    console.answers = [hang_up, say(502, b"<html>"), say(201, b'{"id": "a"}')]
    with Client(console.login) as asking:
        assert asking.post("/apps", {"name": "shop"}) == {"id": "a"}
    keys = {headers["Idempotency-Key"] for headers in console.asked}
    assert (len(console.asked), len(keys)) == (3, 1)


def test_a_limit_is_waited_out_but_not_for_long(console: Console) -> None:
    console.answers = [say(429, BUSY, Retry_After="0"), say(200)]
    with Client(console.login) as asking:
        assert asking.get("/apps") == {}
        console.answers = [say(429, BUSY, Retry_After="3600")]
        with pytest.raises(ApiError) as refused:
            asking.get("/apps")
    assert (refused.value.code, len(console.asked)) == (Exit.UNREACHABLE, 3)


def test_what_is_wrong_is_not_asked_again(console: Console) -> None:
    console.answers = [say(404, b'{"error": {"code": "not_found", "message": "There is no such app."}}')]
    with Client(console.login) as asking, pytest.raises(ApiError, match="no such app"):
        asking.get("/apps/none")
    assert len(console.asked) == 1


def test_a_console_that_stays_away_is_unreachable(console: Console) -> None:
    console.answers = [hang_up]
    with Client(console.login) as asking, pytest.raises(CliError, match="cannot be reached"):
        asking.get("/apps")
    assert len(console.asked) == len(client.PAUSES) + 1


def test_a_stream_goes_on_after_its_last_event_until_it_ends(console: Console) -> None:
    console.answers = [events("line", "line"), say(503), hang_up, events("line", "end", first=3)]
    with Client(console.login) as asking:
        assert [event.id for event in asking.events("/events")] == ["1", "2", "3", "4"]
    assert [headers.get("Last-Event-ID") for headers in console.asked] == [None, "2", "2", "2"]


@pytest.mark.thorough
def test_a_stream_that_never_began_or_stays_away_is_unreachable(console: Console) -> None:
    console.answers = [hang_up]
    with Client(console.login) as asking:
        with pytest.raises(CliError, match="cannot be reached"):
            list(asking.events("/events"))
        console.asked.clear()
        console.answers = [events("line"), hang_up]
        with pytest.raises(CliError, match="cannot be reached"):
            list(asking.events("/events"))
    assert len(console.asked) == 1 + client.MOST_DIALS


def test_a_stream_that_is_no_longer_allowed_says_so(console: Console) -> None:
    console.answers = [
        events("line"),
        say(401, b'{"error": {"code": "unauthorized", "message": "Sign in."}}'),
    ]
    with Client(console.login) as asking, pytest.raises(ApiError, match="Sign in") as refused:
        list(asking.events("/events"))
    assert refused.value.code == Exit.REFUSED
