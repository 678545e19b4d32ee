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
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import docker
import requests
import urllib3
from docker.auth import encode_header
from docker.tls import TLSConfig
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnectionPool
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
CONNECTIONS = 32
"""Kept open to an engine; more are made as they are needed."""
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


class Whole(Generic[T]):
    """As `Closable`, of an answer that was read at once: `close` has nothing to end."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[T]:
        return self._items

    def close(self) -> None:
        """Of the engine, nothing is open."""


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
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Ask the engine again which API version it speaks."""
        with self._lock:
            self._connected = self._pool = None

    @property
    def api_version(self) -> str:
        return str(self._client().api_version)

    def found(self, path: str, what: str) -> dict[str, Any] | None:
        try:
            return dict(self.json("GET", path, what))
        except NotFound:
            return None

    def json(self, method: str, path: str, what: str = "", **options: Any) -> Any:
        return json.loads(self.call(method, path, what, **options))

    def call(
        self,
        method: str,
        path: str,
        what: str = "",
        *,
        body: Any = None,
        data: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = DEFAULT,
        fault: Fault | None = None,
    ) -> bytes:
        """One request and the whole of its answer, without what the SDK and `requests` do for each: an agent's
        processor time goes to these."""
        client, pool = self._client(), self._plain()
        bound, wait = self._times(method, timeout)
        sent = dict(headers or {})
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        query = f"?{urlencode(params)}" if params else ""
        with self.bounded():
            answer = pool.urlopen(
                method,
                f"/v{client.api_version}{path}{query}",
                body=data,
                headers=sent,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=bound, read=wait),
            )
            if answer.status < 400:
                return answer.data
        raise _fault(fault, what, answer.status, _words(answer.data, answer.reason))

    def stream(
        self,
        method: str,
        path: str,
        what: str = "",
        *,
        timeout: float | None = DEFAULT,
        fault: Fault | None = None,
        **options: Any,
    ) -> requests.Response:
        """One request whose answer is read as it comes. `timeout` None waits for ever between bytes (events and logs
        that are followed only)."""
        client = self._client()
        with self.bounded():
            url = f"{client.base_url}/v{client.api_version}{path}"
            times = self._times(method, timeout)
            response = client.request(method, url, timeout=times, stream=True, **options)
            if response.status_code < 400:
                return response
            words = _words(response.content, response.reason)
        raise _fault(fault, what, response.status_code, words)

    def upgrade(self, path: str, body: Any, fault: Fault) -> Upgraded:
        """A request whose connection then carries raw bytes both ways, without a time limit."""
        headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "tcp"}
        return Upgraded(self.stream("POST", path, fault=fault, data=json.dumps(body), headers=headers))

    def _times(self, method: str, timeout: float | None) -> tuple[float, float | None]:
        """Seconds to connect, and to wait for bytes."""
        bound = min(LOOK_TIMEOUT, self.timeout) if method == "GET" else self.timeout
        return bound, bound if timeout == DEFAULT else timeout

    def _plain(self) -> urllib3.HTTPConnectionPool:
        client = self._client()
        with self._lock:
            if self._pool is None:
                self._pool = self._make_pool(client)
            return self._pool

    def _make_pool(self, client: docker.APIClient) -> urllib3.HTTPConnectionPool:
        adapter = client.get_adapter(client.base_url)
        if isinstance(adapter, UnixHTTPAdapter):
            return UnixHTTPConnectionPool(
                client.base_url, adapter.socket_path, timeout=int(LOOK_TIMEOUT), maxsize=CONNECTIONS
            )
        tls = {}
        if self._tls_dir:
            files = {"cert_file": "cert.pem", "key_file": "key.pem", "ca_certs": "ca.pem"}
            tls = {option: f"{self._tls_dir}/{name}" for option, name in files.items()}
        return urllib3.connection_from_url(client.base_url, maxsize=CONNECTIONS, **tls)

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
            base_url=self._host,
            version=version,
            timeout=int(LOOK_TIMEOUT),
            tls=tls,
            max_pool_size=CONNECTIONS,
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


def _fault(fault: Fault | None, what: str, status: int, words: str) -> EngineError:
    return fault(status, words) if fault else faults.general_fault(what, status, words)


def _words(content: bytes, reason: str | None) -> str:
    """Why the engine refused."""
    try:
        return str(json.loads(content)["message"] or reason)
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")[:500] or str(reason)


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
