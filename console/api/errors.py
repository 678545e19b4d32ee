"""One shape for every error: `{"error": {"code", "message", "fields", "data", "request_id", "docs"}}`."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views import defaults
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAuthenticated,
    Throttled,
    ValidationError,
)
from rest_framework.response import Response

from console.api.authentication import CHALLENGE
from console.common.errors import BerthError
from console.common.middleware import request_id_of

logger = logging.getLogger(__name__)

PREFIX = "/api/"
_CODES = {"permission_denied": "forbidden", "error": "invalid"}


def docs_of(code: str) -> str:
    """Address of the page that explains the error."""
    return f"{settings.BERTH_URL}{reverse('web:errors')}#{code}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a client sees it. `fields` maps a dotted path in the input to its messages."""

    status: int
    code: str
    message: str
    fields: Mapping[str, list[str]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request: HttpRequest) -> dict[str, Any]:
        error = {"code": self.code, "message": self.message, "fields": self.fields, "data": self.data}
        return {"error": {**error, "request_id": request_id_of(request), "docs": docs_of(self.code)}}

    def response(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse(self.body(request), status=self.status, headers=dict(self.headers))


def failure_of(error: Exception) -> Failure | None:
    """What a client is told of the error; None for one that nobody foresaw."""
    failure = None
    match error:
        case BerthError():
            fields = {name: [str(text) for text in texts] for name, texts in error.fields.items()}
            failure = Failure(error.status, error.code, str(error.message), fields, error.data)
        case ValidationError():
            fields = _flatten(error.detail)
            message = _("The input is not right: %(fields)s.") % {"fields": ", ".join(fields)}
            failure = Failure(400, "invalid", message, fields)
        case APIException():
            failure = _of_framework(error)
        case Http404():
            failure = Failure(404, "not_found", _("There is nothing at this address."))
        case PermissionDenied():
            failure = Failure(403, "forbidden", str(error) or _("You may not do this."))
        case RequestDataTooBig():
            failure = Failure(413, "too_large", _("The request is too large."))
        case OperationalError():
            logger.warning("The database did not answer in time: %s", error)
            message = _("The database is busy. Try again in a moment.")
            failure = Failure(503, "unavailable", message, headers={"Retry-After": "1"})
    return failure


def _of_framework(error: APIException) -> Failure:
    code = str(getattr(error.detail, "code", error.default_code))
    data: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, (NotAuthenticated, AuthenticationFailed)):
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, Throttled) and (seconds := getattr(error, "wait", None)):
        data["retry_after"] = math.ceil(seconds)
        headers["Retry-After"] = str(data["retry_after"])
    return Failure(error.status_code, _CODES.get(code, code), str(error.detail), data=data, headers=headers)


def _flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """DRF's nested details as lists of messages by dotted path; what is no field's own is the body's."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for key, value in detail.items():
            name = "body" if key == "non_field_errors" else str(key)
            found |= _flatten(value, f"{path}.{name}" if path else name)
        return found
    return {path or "body": [str(text) for text in detail]}


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. An unforeseen error goes on to Django and its log; `server_error` answers."""
    failure = failure_of(error)
    if failure is None:
        return None
    body = failure.body(context["request"]._request)
    return Response(body, status=failure.status, headers=dict(failure.headers))


def _ours(request: HttpRequest) -> bool:
    return request.path_info.startswith(PREFIX)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _ours(request):
        return defaults.bad_request(request, exception)
    failure = failure_of(exception) or Failure(400, "invalid", _unreadable(exception))
    return failure.response(request)


def _unreadable(exception: Exception) -> str:
    if isinstance(exception, DisallowedHost):
        return _("This console does not answer to this host name. Add it to BERTH_ALLOWED_HOSTS.")
    return _("The request cannot be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _ours(request):
        return defaults.permission_denied(request, exception)
    return Failure(403, "forbidden", _("You may not do this.")).response(request)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _ours(request):
        return defaults.page_not_found(request, exception)
    return Failure(404, "not_found", _("There is nothing at this address.")).response(request)


def server_error(request: HttpRequest) -> HttpResponse:
    if not _ours(request):
        return defaults.server_error(request)
    message = _("Something went wrong on our side. The console's log has it under this request id.")
    return Failure(500, "internal", message).response(request)
