"""Where what happens now comes from: the request, or the command, in whose course the code runs.

A face sets it once; whatever writes history reads it, so that no service has to hand it on.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from console.common.middleware import request_id_of

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
MOST = 200


@dataclass(slots=True)
class Origin:
    """`address` and `agent` are the client's, `token` the id of the API token that it came with, if any."""

    address: str = ""
    agent: str = ""
    request: str = ""
    token: str = ""
    token_name: str = ""


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current() -> Origin | None:
    """None: nobody asked for it; Berth does it by itself."""
    return _current.get()


@contextmanager
def use(origin: Origin) -> Iterator[Origin]:
    token = _current.set(origin)
    try:
        yield origin
    finally:
        _current.reset(token)


def operator() -> str:
    """How history names whoever runs a command: by the account of the operating system, and who became it by sudo."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a number without a name, as in a container
        name = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER", "")
    return plain(f"manage.py ({name}, sudo by {behind})" if behind else f"manage.py ({name})")


def identify(token: str, name: str) -> None:
    """The request turned out to come with this API token."""
    origin = current()
    if origin is not None:
        origin.token, origin.token_name = token, name


def plain(text: str) -> str:
    """A client's word without control characters, and not too long."""
    return _CONTROL.sub("", text)[:MOST]


def address_of(request: HttpRequest) -> str:
    """The client's address. What a proxy says counts if BERTH_TRUSTED_PROXIES names it."""
    return plain(str(request.META.get("REMOTE_ADDR", "")))


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def inner(request: HttpRequest) -> HttpResponse:
        agent = plain(request.headers.get("User-Agent", ""))
        with use(Origin(address_of(request), agent, request_id_of(request))):
            return get_response(request)

    return inner
