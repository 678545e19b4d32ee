"""The console's addresses, and the view against which the others are measured."""

from __future__ import annotations

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.views.base import TeamView
from console.urls import handler400, handler403, handler404, handler500
from console.urls import urlpatterns as real

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class Constant(TeamView):
    def get(self, request: Request, team: str) -> Response:  # noqa: ARG002
        return Response({"constant": True})


urlpatterns = [path("api/v1/teams/<slug:team>/constant", Constant.as_view()), *real]
