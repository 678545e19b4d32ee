"""The connection to a Docker Engine: one bounded request at a time, and its refusals as errors.

The only file that imports the Docker SDK. The SDK finds the engine and speaks over its socket or TLS; what is
asked and answered is plain JSON that `payload` builds and `parse` reads, so nothing the SDK adds can reach a
container.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import docker
import requests
import urllib3
from docker.auth import encode_header
from docker.tls import TLSConfig
from docker.utils import parse_repository_tag

from nodeagent.runtime import faults
from nodeagent.runtime.base import EngineError, EngineTimeout, EngineUnavailable, Invalid, Login, NotFound

T = TypeVar("T")
Fault = Callable[[int, str], EngineError]

CALL_TIMEOUT = 30.0
LOOK_TIMEOUT = 10.0
"""A look changes nothing and is quick; an engine that takes longer hangs."""
DEFAULT = -1.0
CHUNK = 32 * 1024
NEWEST_API = "1.47"
"""Newest API version this code was written against; newer engines still speak it."""


class Closable(Generic[T]):
    """An iterator over an open answer of the engine; `close` ends it from any thread."""

    def __init__(self, items: Iterator[T], response: requests.Response) -> None:
        self._items = items
        self._stream: Any = docker.types.CancellableStream(items, response)
        self._closed = False

    def __iter__(self) -> Iterator[T]:
        try:
            yield from self._items
        except EngineUnavailable:
            if not self._closed:
                raise

    def close(self) -> None:
        self._closed = True
        # The SDK reaches into the socket; a stream that has already ended has none.
        with suppress(AttributeError, OSError, docker.errors.DockerException):
            self._stream.close()


class Upgraded:
    """The raw connection behind an answer of the engine. Read by one thread, written by one, closed by any."""

    def __init__(self, response: requests.Response) -> None:
        # Kept, for the socket lives as long as the answer. Its reader may hold the first bytes already.
        self._response = response
        raw: Any = response.raw
        self._reader: Any = raw._fp.fp  # there is no public way
        self._socket: socket.socket = self._reader.raw._sock
        self._socket.settimeout(None)

    def read(self) -> bytes:
        """The next bytes; none at the end, and after `close`."""
        try:
            return bytes(self._reader.read1(CHUNK))
        except (OSError, ValueError):
            return b""

    def write(self, data: bytes) -> None:
        """Raises `OSError` once the other side, or `close`, has ended it."""
        self._socket.sendall(data)

    def end_writing(self) -> None:
        """Raises `OSError`, over TLS too: its sockets cannot end one direction alone."""
        if isinstance(self._socket, ssl.SSLSocket):
            raise OSError("over TLS the end of the input cannot be told")
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError, urllib3.exceptions.HTTPError):
            self._response.close()


class Connection:
    """Requests to one engine, from any thread. It connects at the first one, and anew after `reset`."""

    def __init__(self, host: str, *, tls_dir: str = "", timeout: float = CALL_TIMEOUT) -> None:
        self.timeout = timeout
        self._host = host
        self._tls_dir = tls_dir
        self._connected: docker.APIClient | None = None
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Ask the engine again which API version it speaks."""
        with self._lock:
            self._connected = None

    @property
    def api_version(self) -> str:
        return str(self._client().api_version)

    def found(self, path: str, what: str) -> dict[str, Any] | None:
        try:
            return dict(self.json("GET", path, what))
        except NotFound:
            return None

    def json(self, method: str, path: str, what: str = "", **options: Any) -> Any:
        return self.call(method, path, what, **options).json()

    def stream(self, method: str, path: str, what: str = "", **options: Any) -> requests.Response:
        return self.call(method, path, what, stream=True, **options)

    def upgrade(self, path: str, body: Any, fault: Fault) -> Upgraded:
        """A request whose connection then carries raw bytes both ways, without a time limit."""
        headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "tcp"}
        response = self.call("POST", path, fault=fault, stream=True, data=json.dumps(body), headers=headers)
        return Upgraded(response)

    def call(
        self,
        method: str,
        path: str,
        what: str = "",
        *,
        body: Any = None,
        timeout: float | None = DEFAULT,
        fault: Fault | None = None,
        **options: Any,
    ) -> requests.Response:
        """One request. `timeout` None waits for ever between bytes (event and log streams only)."""
        client = self._client()
        bound = min(LOOK_TIMEOUT, self.timeout) if method == "GET" else self.timeout
        wait = bound if timeout == DEFAULT else timeout
        if body is not None:
            options["data"] = json.dumps(body)
            options["headers"] = {"Content-Type": "application/json"}
        with self.bounded():
            url = f"{client.base_url}/v{client.api_version}{path}"
            response = client.request(method, url, timeout=(bound, wait), **options)
            if response.status_code < 400:
                return response
            words = _words(response)
        raise (
            fault(response.status_code, words)
            if fault
            else faults.general_fault(what, response.status_code, words)
        )

    def _client(self) -> docker.APIClient:
        with self._lock:
            if self._connected is None:
                with self.bounded():
                    self._connected = self._connect()
            return self._connected

    def _connect(self) -> docker.APIClient:
        """Speaks the engine's newest version, but none that this code does not know."""
        with closing(self._open("1.41")) as probe:
            spoken = str(probe.version(api_version=False)["ApiVersion"])
        return self._open(min(spoken, NEWEST_API, key=_numbers))

    def _open(self, version: str) -> docker.APIClient:
        tls: Any = False
        if self._tls_dir:
            pair = (f"{self._tls_dir}/cert.pem", f"{self._tls_dir}/key.pem")
            tls = TLSConfig(client_cert=pair, ca_cert=f"{self._tls_dir}/ca.pem", verify=True)
        client = docker.APIClient(
            base_url=self._host, version=version, timeout=int(LOOK_TIMEOUT), tls=tls, max_pool_size=32
        )
        # Otherwise REQUESTS_CA_BUNDLE would replace the engine's own CA, and a proxy could be asked.
        client.trust_env = False
        return client

    def gone(self, words: str, *, late: bool = False) -> EngineUnavailable:
        if late:
            return EngineTimeout(f"The engine at {self._host} did not answer in time ({words}).")
        return EngineUnavailable(
            f"The engine at {self._host} cannot be reached: {words}. Start it; the agent connects by itself."
        )

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Turns what the SDK and the socket raise into `EngineError`s."""
        try:
            yield
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise self.gone(type(error).__name__, late=True) from error
        except docker.errors.APIError as error:
            raise Invalid(str(error)) from error
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            docker.errors.DockerException,
            OSError,
        ) as error:
            raise self.gone(str(error)[:300]) from error


def path_part(name: str) -> str:
    """One piece of a path: a name can never reach another route of the engine."""
    return quote(name, safe=":@/") if ".." not in name else quote(name, safe="")


def _words(response: requests.Response) -> str:
    try:
        return str(response.json().get("message") or response.reason)
    except ValueError:
        return response.text[:500] or str(response.reason)


def auth_header(login: Login | None) -> dict[str, str]:
    # Never the login of whoever runs the agent: an empty one asks anonymously.
    content = {"username": login.username, "password": login.password} if login else {}
    return {"X-Registry-Auth": encode_header(content).decode()}


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def split_reference(image: str) -> tuple[str, str]:
    """Repository and tag or digest (`latest` when the name has neither)."""
    repository, tag = parse_repository_tag(image)
    return str(repository), str(tag or "latest")
