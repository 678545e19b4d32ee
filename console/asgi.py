"""HTTP and WebSockets: browsers under `/live/`, agents under `/agent/`."""

from __future__ import annotations

import os
from typing import Any, cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402  (needs the app registry)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from console.live.agent import AgentConsumer  # noqa: E402
from console.live.browser import BrowserConsumer  # noqa: E402

# The stubs know Django's path() for HTTP views alone; Channels takes ASGI applications in their place.
_browsers: Any = AllowedHostsOriginValidator(
    AuthMiddlewareStack(URLRouter([path("live/<slug:team>/", cast(Any, BrowserConsumer.as_asgi()))]))
)
_routes: Any = [
    path("agent/v1/link", cast(Any, AgentConsumer.as_asgi())),
    re_path(r"", _browsers),
]
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(_routes)})
