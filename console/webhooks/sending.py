"""One attempt: a POST to an address that was checked, within a time, of whose answer the beginning is read."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import httpx

from console.webhooks import guard
from console.webhooks.enums import Failure

SECONDS = 10.0
"""For all of an attempt once the name is resolved."""
KEPT_BYTES = 1024
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONNECT = (httpx.ConnectError, httpx.ConnectTimeout)


@dataclass(frozen=True, slots=True)
class Message:
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt went; `failure` is empty for a 2xx. `retry_after`: seconds that the receiver asks for."""

    failure: str = ""
    detail: str = ""
    status: int | None = None
    text: str = ""
    milliseconds: int = 0
    retry_after: int = 0


def send(message: Message) -> Answer:
    """Never raises for what a receiver or a network does."""
    began = time.monotonic()
    try:
        url = httpx.URL(message.url)
        addresses = _allowed(url)
        status, headers, text = asyncio.run(_within(SECONDS, url, addresses, message))
    except _Refused as refused:
        return Answer(refused.failure, refused.detail, milliseconds=_since(began))
    except TimeoutError:
        return Answer(Failure.TIMEOUT, f"{SECONDS:g} s", milliseconds=_since(began))
    except httpx.HTTPError as error:
        return Answer(*_failure(error), milliseconds=_since(began))
    failure, retry = _judged(status), headers.get("retry-after", "")
    seconds = int(retry) if retry.isdecimal() and len(retry) < 9 else 0
    return Answer(failure, "", status, text, _since(began), seconds)


class _Refused(Exception):
    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure, self.detail = failure, detail


def _allowed(url: httpx.URL) -> list[guard.Address]:
    """The addresses of the URL's host that may be reached; plain http only within the operator's networks."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = guard.resolve(url.raw_host.decode("ascii").strip("[]"), port)
    except guard.Unresolved as error:
        raise _Refused(Failure.UNRESOLVED, str(error)) from error
    fits = guard.is_allowed if url.scheme == "https" else lambda one: guard.is_named(guard.unmapped(one))
    if not (kept := [address for address in found if fits(address)]):
        raise _Refused(Failure.REFUSED, ", ".join(map(str, found[:4])))
    return kept


async def _within(
    seconds: float, url: httpx.URL, addresses: list[guard.Address], message: Message
) -> tuple[int, httpx.Headers, str]:
    async with asyncio.timeout(seconds):
        for address in addresses[:-1]:
            try:
                return await _post(url, address, message)
            except _CONNECT:
                continue
        return await _post(url, addresses[-1], message)


async def _post(url: httpx.URL, address: guard.Address, message: Message) -> tuple[int, httpx.Headers, str]:
    """To this address and no other; name, certificate and Host stay the URL's. The environment names no proxy."""
    headers = {**message.headers, "Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity"}
    name = url.raw_host.decode("ascii").strip("[]")
    async with (
        httpx.AsyncClient(verify=_tls(), trust_env=False, follow_redirects=False, timeout=SECONDS) as client,
        client.stream(
            "POST",
            url.copy_with(host=str(address)),
            content=message.body,
            headers=headers,
            extensions={"sni_hostname": name},
        ) as response,
    ):
        return response.status_code, response.headers, await _beginning(response)


async def _beginning(response: httpx.Response) -> str:
    """The rest is not read: the connection ends."""
    kept = b""
    async for chunk in response.aiter_raw():
        kept += chunk[: KEPT_BYTES - len(kept)]
        if len(kept) >= KEPT_BYTES:
            break
    return _UNPRINTABLE.sub("", kept.decode(errors="replace"))


@cache
def _tls() -> ssl.SSLContext:
    """The system's authorities, so that an operator can add one."""
    return ssl.create_default_context()


def _judged(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if status == 410:
        return Failure.GONE
    return Failure.REDIRECT if 300 <= status < 400 else Failure.STATUS


def _failure(error: httpx.HTTPError) -> tuple[str, str]:
    causes = [error, *_causes(error)]
    detail = str(error)[:300]
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "certificate" in detail.lower():
        return Failure.TLS, detail
    if isinstance(error, httpx.TimeoutException):
        return Failure.TIMEOUT, detail
    if isinstance(error, httpx.ConnectError):
        return Failure.UNREACHABLE, detail
    return Failure.BROKEN, detail


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    while (cause := error.__cause__ or error.__context__) is not None and cause not in found:
        found.append(cause)
        error = cause
    return found


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
