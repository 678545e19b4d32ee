"""What all views share: how they read, and the three shapes in which they answer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console.accounts.access import Access
from console.accounts.models import ApiToken, User
from console.api.outputs import shown
from console.api.outputs.history import OperationOutput
from console.api.parsers import BoundedJSONParser
from console.workloads.access import find_app
from console.workloads.models import App, Operation


class LengthRequired(APIException):
    """DRF takes a body of unknown length for no body, and would complain of missing fields."""

    status_code = 411
    default_code = "length_required"
    default_detail = _("Send the body with a Content-Length, not in chunks.")


class ApiView(APIView):
    http_method_names = ["get", "head", "post", "delete"]
    parser_classes = [BoundedJSONParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired

    @property
    def user(self) -> User:
        """Whoever asks; TeamPermission lets nobody else come this far."""
        return cast(User, self.request.user)

    @property
    def token(self) -> ApiToken | None:
        return cast("ApiToken | None", self.request.auth)

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Cache-Control": "no-store"}


class TeamView(ApiView):
    """A view under `/teams/{team}`. `access` is set by TeamPermission before anything else happens."""

    access: Access
    open_to_app_tokens = False
    """Whether a token of named apps comes in, though the path names no app: then the view shows those alone."""


class AppView(TeamView):
    """A view under `/teams/{team}/apps/{app}`."""

    @property
    def app(self) -> App:
        return find_app(self.access, self.kwargs["app"])


ACCEPTED = inline_serializer("Accepted", {"operation": OperationOutput()})


def accepted(access: Access, operation: Operation, **more: Any) -> Response:
    """202: the change is written, and Location is where to follow it."""
    where = reverse("api:operation", args=[access.team.slug, operation.id])
    body = {"operation": OperationOutput(operation).data, **more}
    return Response(body, status=202, headers={"Location": where})


@cache
def listing(kind: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """The schema of a list."""
    return inline_serializer(
        f"{kind.__name__.removesuffix('Output')}List",
        {
            "items": kind(many=True),
            "next": serializers.CharField(allow_null=True, help_text="Address of the page after this one."),
        },
    )


def page(kind: type[serializers.Serializer[Any]], rows: Iterable[Any], more: str | None = None) -> Response:
    return Response({"items": shown(kind, rows), "next": more})
