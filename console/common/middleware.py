"""Response headers that hold for every page."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from console.common.ids import new_id

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID_KEY = "berth.request_id"


def policy(style_nonce: str = "") -> str:
    """No inline script, nothing from another host; inline style only with this nonce, where a widget needs it."""
    styles = f"style-src 'self' 'nonce-{style_nonce}'" if style_nonce else "style-src 'self'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            styles,
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Every answer has the policy; a page that says its own keeps it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy())
        return response

    return middleware


def strict_transport(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Where browsers come by https, they are told to come by nothing else. By what BERTH_URL says, not the request: the
    last hop behind a proxy is plain. Of this name alone: others below it may be apps'."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if settings.HSTS_SECONDS and settings.BERTH_URL.startswith("https://"):
            response.headers["Strict-Transport-Security"] = f"max-age={settings.HSTS_SECONDS}"
        return response

    return middleware


def request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Every request has an id, a harmless one of the client's own or a new one; the answer names it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        chosen = given if _REQUEST_ID.fullmatch(given) else new_id()
        request.META[_REQUEST_ID_KEY] = chosen
        response = get_response(request)
        response.headers["X-Request-Id"] = chosen
        return response

    return middleware


def request_id_of(request: HttpRequest) -> str:
    return str(request.META.get(_REQUEST_ID_KEY, ""))
