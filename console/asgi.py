"""HTTP and WebSockets: browsers under `/live/`, terminals at `/ws/exec`, agents under `/agent/`."""

from __future__ import annotations

import os
from typing import Any, cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402  (needs the app registry)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware  # noqa: E402

from console.live.agent import AgentConsumer  # noqa: E402
from console.live.browser import BrowserConsumer  # noqa: E402
from console.live.exec import ExecConsumer  # noqa: E402

# The stubs know Django's path() for HTTP views alone; Channels takes ASGI applications in their place.
_browsers: Any = AllowedHostsOriginValidator(
    AuthMiddlewareStack(URLRouter([path("live/<slug:team>/", cast(Any, BrowserConsumer.as_asgi()))]))
)
_terminal: Any = AuthMiddlewareStack(cast(Any, ExecConsumer.as_asgi()))
_terminal_of_browsers: Any = AllowedHostsOriginValidator(_terminal)


async def _terminals(scope: Any, receive: Any, send: Any) -> None:
    """A client without an origin is no browser; the consumer lets it in by a token's ticket alone."""
    named = any(name == b"origin" for name, _value in scope["headers"])
    await (_terminal_of_browsers if named else _terminal)(scope, receive, send)


_routes: Any = [
    path("agent/v1/link", cast(Any, AgentConsumer.as_asgi())),
    path("ws/exec", cast(Any, _terminals)),
    re_path(r"", _browsers),
]
everything: Any = ProtocolTypeRouter({"http": http, "websocket": URLRouter(_routes)})


def behind(proxies: list[str]) -> Any:
    """The application, which takes these peers' word, and nobody else's, for where a request comes from.

    The server itself is started with --no-proxy-headers: by itself it would believe every process of this machine.
    """
    return ProxyHeadersMiddleware(everything, proxies) if proxies else everything


application = behind(settings.TRUSTED_PROXIES)
