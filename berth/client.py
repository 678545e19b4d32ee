"""The console's REST API over HTTP: requests, pages, waiting, server-sent events."""

from __future__ import annotations

import json
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import httpx

from berth import __version__
from berth.config import Login
from berth.errors import ApiError, CliError, Exit

Json = dict[str, Any]
Query = Mapping[str, str | int | float | bool]
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
FOLLOWING = httpx.Timeout(60.0, connect=10.0)
"""A stream speaks at least every 15 s."""
LONGEST_WAIT = 20.0
"""Seconds that one request waits for an operation; longer waits are made of several."""
PAUSES = (0.5, 2.0)
"""Seconds before a request is sent again; so many times at the most."""
LONGEST_PAUSE = 60.0
"""Seconds; a console that asks for more patience is reported instead."""
REDIAL, MOST_DIALS = 2.0, 10
"""Seconds before a broken stream is dialled again, longer with each failure; two minutes in all."""
PASSING = frozenset({429, 502, 503, 504})
"""Statuses by which the console, or the proxy before it, cannot answer just now."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event: its id (empty for none), its name and its JSON."""

    id: str
    name: str
    data: Json


class Client:
    """One console and one team. Paths are below `/api/v1/teams/{team}`, unless they begin with `//`."""

    def __init__(self, login: Login) -> None:
        self.login = login
        headers = {"Authorization": f"Bearer {login.token}", "User-Agent": f"berth-cli/{__version__}"}
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT, verify=tls(login), trust_env=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Any:
        return self._ask("GET", path, query)

    def post(self, path: str, body: Json | None = None, query: Query | None = None) -> Any:
        """A write is sent with a key of its own: one that is sent twice counts once."""
        return self._ask("POST", path, query, body or {}, {"Idempotency-Key": str(uuid.uuid4())})

    def patch(self, path: str, body: Json) -> Any:
        return self._ask("PATCH", path, None, body, {"Idempotency-Key": str(uuid.uuid4())})

    def delete(self, path: str, query: Query | None = None) -> Any:
        return self._ask("DELETE", path, query, None, {"Idempotency-Key": str(uuid.uuid4())})

    def items(self, path: str, query: Query | None = None, most: int | None = None) -> Iterator[Json]:
        """A list's items, page after page; `most` of them at the most."""
        page, count = self.get(path, query), 0
        while True:
            for item in page["items"]:
                if most is not None and count >= most:
                    return
                count += 1
                yield item
            if not (more := page.get("next")) or count == most:
                return
            page = self._json(self._send("GET", self._absolute(more)))

    def lines(self, path: str, query: Query | None = None) -> Iterator[Json]:
        """The objects of an answer that has one in each line."""
        try:
            with self._http.stream(
                "GET", self._url(path), params=_params(query), timeout=FOLLOWING
            ) as answer:
                self._look_at(answer)
                yield from (json.loads(line) for line in answer.iter_lines() if line)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def events(self, path: str, query: Query | None = None) -> Iterator[ServerEvent]:
        """A stream of server-sent events, until one named `end` or `error`. Where it breaks off, as when the console
        is started anew, it is dialled again, and goes on after the last id."""
        last, begun, failures = "", False, 0
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
            try:
                with self._http.stream(
                    "GET", self._url(path), params=_params(query), headers=headers, timeout=FOLLOWING
                ) as answer:
                    if not begun or failures >= MOST_DIALS or answer.status_code not in PASSING:
                        self._look_at(answer)
                        begun, failures = True, 0
                        for event in parse_events(answer.iter_lines()):
                            last = event.id or last
                            yield event
                            if event.name in ("end", "error"):
                                return
            except httpx.TransportError as error:
                if not begun or failures >= MOST_DIALS:
                    raise self._unreachable(error) from error
            failures += 1
            time.sleep(REDIAL * failures)

    def _ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        return self._json(self._send(method, self._url(path), query, body, headers))

    def _send(
        self,
        method: str,
        url: str,
        query: Query | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer to the first try that has one. A write has its key, so that it counts once however often it is
        sent; what merely passes (a broken connection, a proxy without a console, a rate limit) is tried again."""
        pauses, asked = list(PAUSES), 0.0
        while True:
            try:
                answer = self._http.request(method, url, params=_params(query), json=body, headers=headers)
            except httpx.TransportError as error:
                if not pauses:
                    raise self._unreachable(error) from error
            else:
                asked = _retry_after(answer)
                if not pauses or answer.status_code not in PASSING or asked > LONGEST_PAUSE:
                    return answer
            time.sleep(max(pauses.pop(0), asked))

    def _look_at(self, answer: httpx.Response) -> None:
        """Raises what a stream's answer says, if it is an error."""
        if answer.status_code >= 400:
            answer.read()
            self._json(answer)

    def _json(self, answer: httpx.Response) -> Any:
        if answer.status_code < 400:
            return answer.json() if answer.content else None
        try:
            error = answer.json()["error"]
        except (ValueError, KeyError, TypeError):
            # A proxy's words, or another program's at this address.
            text = f"{self.login.url} answered {answer.status_code} {answer.reason_phrase}; is it a Berth console?"
            raise CliError(text, Exit.UNREACHABLE) from None
        raise ApiError(answer.status_code, error)

    def _url(self, path: str) -> str:
        if path.startswith("//"):
            return f"{self.login.url}/api/v1{path[1:]}"
        return f"{self.login.url}/api/v1/teams/{self.login.team}{path}"

    def _absolute(self, more: str) -> str:
        """The address of a further page, on this console alone: the token goes nowhere else."""
        address = httpx.URL(self.login.url).join(more)
        return self.login.url + address.raw_path.decode()

    def _unreachable(self, error: Exception) -> CliError:
        reason = str(error) or type(error).__name__
        return CliError(f"The console at {self.login.url} cannot be reached: {reason}", Exit.UNREACHABLE)


@cache
def _trusted() -> ssl.SSLContext:
    """What is trusted where the login names no authority; read once, as that takes longer than most requests."""
    return httpx.create_ssl_context()


def tls(login: Login) -> ssl.SSLContext:
    """What to trust: the authorities that everybody does, and the login's own one."""
    if not login.ca:
        return _trusted()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(login.ca)
    except (OSError, ssl.SSLError) as error:
        raise CliError(f"{login.ca} is no certificate authority: {error}", Exit.USAGE) from error
    return context


def parse_events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """Events of a stream's lines (WHATWG HTML, 9.2.6): comments and events without data are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _colon, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif not line and "data" in fields:
            data = json.loads(fields["data"])
            yield ServerEvent(fields.get("id", ""), fields.get("event", "message"), data)
        if not line:
            fields = {}


def _retry_after(answer: httpx.Response) -> float:
    """Seconds that the answer asks to wait; 0 where it says nothing, or a date."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


def _params(query: Query | None) -> dict[str, str | int | float]:
    """Booleans as the API writes them; what is empty is left out."""
    found = {}
    for name, value in (query or {}).items():
        if value is not False and value not in ("", None):
            found[name] = "true" if value is True else value
    return found
