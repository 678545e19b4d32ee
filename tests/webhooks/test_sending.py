"""One attempt against a real receiver on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from console.common import pki
from console.webhooks import sending
from console.webhooks.enums import Failure
from console.webhooks.sending import Message, send
from tests.webhooks.receiver import Receiver
from tests.webhooks.receiver import receiver as serve

BODY = b'{"type":"test"}'


def message(url: str) -> Message:
    return Message(url, {"Content-Type": "application/json", "webhook-id": "m1"}, BODY)


def test_what_arrives_is_what_was_sent(receiver: Receiver) -> None:
    answer = send(message(receiver.url))
    assert (answer.failure, answer.status, answer.text) == ("", 200, "ok")
    assert answer.milliseconds < 5000
    (got,) = receiver.got
    assert (got.path, got.body) == ("/hooks/berth?team=home", BODY)
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (got.headers["webhook-id"], got.headers["content-type"]) == ("m1", "application/json")
    assert "accept-encoding" not in got.headers or got.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (204, ""),
        (299, ""),
        (302, "redirect"),
        (308, "redirect"),
        (400, "status"),
        (410, "gone"),
        (503, "status"),
    ],
)
def test_which_answers_are_good(receiver: Receiver, status: int, failure: str) -> None:
    receiver.answer(status, b"" if status == 204 else b"x", Location="http://127.0.0.1:1/")
    answer = send(message(receiver.url))
    assert (answer.failure, answer.status, len(receiver.got)) == (failure, status, 1)


def test_a_receiver_can_ask_for_time(receiver: Receiver) -> None:
    receiver.answer(429, Retry_After="120").answer(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")
    assert [send(message(receiver.url)).retry_after for _ in range(2)] == [120, 0]


def test_only_the_beginning_of_an_answer_is_read(receiver: Receiver) -> None:
    receiver.answer(200, b"\x00a\x1b[31m\xff" + b"x" * 50_000_000)
    began = time.monotonic()
    answer = send(message(receiver.url))
    assert answer.text.startswith("a[31m\ufffdxxx")
    assert len(answer.text) <= sending.KEPT_BYTES
    assert time.monotonic() - began < 5


@pytest.mark.thorough
def test_an_answer_that_drips_ends_in_time(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.4)
    receiver.answer(200, b"drip" * 100, slow=0.1)
    began = time.monotonic()
    assert send(message(receiver.url)).failure == Failure.TIMEOUT
    assert time.monotonic() - began < 2


def test_who_is_not_there(settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert send(message(f"http://127.0.0.1:{port}/")).failure == Failure.UNREACHABLE
    assert send(message("https://nowhere.invalid/")).failure == Failure.UNRESOLVED


@pytest.mark.parametrize(
    "said", [b"", b"220 mail ready\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_who_speaks_no_http_or_hangs_up(settings: Settings, said: bytes) -> None:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _address = server.accept()
            client.recv(4096)
            client.sendall(said)
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert send(message(f"http://127.0.0.1:{server.getsockname()[1]}/")).failure == Failure.BROKEN
        thread.join()


def test_what_is_not_public_is_not_connected_to(receiver: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = []
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]"):
        for scheme in ("http", "https"):
            answer = send(message(f"{scheme}://{host}:{receiver.port}/"))
            assert answer.failure == Failure.REFUSED, (scheme, host)
    assert receiver.got == []


def test_plain_http_goes_to_the_operators_networks_alone(settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = ["10.0.0.0/8"]
    assert send(message("http://1.1.1.1/")).failure == Failure.REFUSED


def test_a_name_is_resolved_once_and_that_address_taken(
    receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers with an allowed address first and with another one later gains nothing."""
    settings.WEBHOOK_NETWORKS = ["127.0.0.2/32"]
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name == "rebind.example":
            asked.append(name)
            return real("127.0.0.2" if len(asked) == 1 else "127.0.0.1", port, *args, **more)
        return real(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    answer = send(message(f"http://rebind.example:{receiver.port}/"))
    assert (answer.failure, receiver.got) == (Failure.UNREACHABLE, []), "it listens on 127.0.0.1 alone"
    assert asked == ["rebind.example"]
    assert send(message(f"http://rebind.example:{receiver.port}/")).failure == Failure.REFUSED
    assert receiver.got == []


def test_of_several_addresses_only_allowed_ones_are_tried(
    receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/30"]
    found = [(2, 1, 6, "", (host, receiver.port)) for host in ("10.0.0.1", "127.0.0.3", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    answer = send(message(f"http://several.example:{receiver.port}/x"))
    assert (answer.failure, receiver.got[0].headers["host"]) == ("", f"several.example:{receiver.port}")


def test_no_proxy_of_the_environment_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(message(receiver.url)).failure == ""


@pytest.fixture
def secure(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Over TLS, as `hooks.example`, under an authority that the system trusts here; its name leads to loopback."""
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    context = authority(tmp_path, ["hooks.example"], monkeypatch)
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **more: real(
            "127.0.0.1" if str(host).endswith(".example") else host, *args, **more
        ),
    )
    with serve(context) as found:
        yield found
    sending._tls.cache_clear()


def authority(folder: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    files = pki.ensure_server(folder, names)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    sending._tls.cache_clear()
    return context


def test_the_certificate_is_that_of_the_name(secure: Receiver) -> None:
    assert send(message(f"https://hooks.example:{secure.port}/")).failure == ""
    other = send(message(f"https://other.example:{secure.port}/"))
    assert (other.failure, len(secure.got)) == (Failure.TLS, 1)


def test_a_certificate_that_nobody_signed_is_refused(
    secure: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    sending._tls.cache_clear()
    answer = send(message(f"https://hooks.example:{secure.port}/"))
    assert (answer.failure, secure.got) == (Failure.TLS, [])
