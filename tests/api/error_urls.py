"""The console's addresses, and three views that fail in ways of their own."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import OperationalError
from django.urls import path
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from console.api.views.base import ApiView
from console.urls import handler400, handler403, handler404, handler500
from console.urls import urlpatterns as console_urls

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class Failing(ApiView):
    permission_classes = [AllowAny]
    error: Exception = RuntimeError("a secret detail")

    def get(self, request: Request, **_names: Any) -> NoReturn:
        raise self.error


urlpatterns = [
    path("api/v1/test/broken", Failing.as_view()),
    path("api/v1/test/throttled", Failing.as_view(error=Throttled(wait=2.5))),
    path("api/v1/test/busy", Failing.as_view(error=OperationalError("database is locked"))),
    *console_urls,
]
