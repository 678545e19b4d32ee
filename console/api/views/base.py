"""What all views share: what every route promises around its handler, and the shapes in which they answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlencode

import msgspec
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console.accounts.access import Access
from console.accounts.enums import Verb
from console.accounts.models import ApiToken, User
from console.api import conditions, idempotency, paging, ratelimit
from console.api.inputs import Input, checked
from console.api.outputs import shown, shown_one
from console.api.outputs.history import OperationOutput
from console.api.outputs.placement import DryRunOutput
from console.api.parsers import BoundedJSONParser
from console.common import events
from console.controller import preview
from console.workloads import quotas, reading, summaries
from console.workloads.access import find_app
from console.workloads.models import App, Operation

DRY_RUN = "dry_run"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
T = TypeVar("T")
Shown = Callable[[Iterable[T]], list[Any]]


class LengthRequired(APIException):
    """DRF takes a body of unknown length for no body, and would complain of missing fields."""

    status_code = 411
    default_code = "length_required"
    default_detail = gettext_lazy("Send the body with a Content-Length, not in chunks.")


class PreconditionFailed(APIException):
    status_code = 412
    default_code = "precondition_failed"
    default_detail = gettext_lazy("It has changed since you read it. Read it again, then decide.")


class Handler(Protocol):
    def __call__(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse: ...


class ApiView(APIView):
    """Each answer to a read has an ETag; a write may be conditional (If-Match) and made once (Idempotency-Key); a
    parameter that the schema does not name is refused; requests are counted."""

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    parser_classes = [BoundedJSONParser]
    version = ""
    """Of what is wanted; a handler that knows it sets it, and the answer's ETag has it."""
    rehearsable = True
    """Whether all that its writes do is undone by a rollback, so that they can be tried with `dry_run`."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired
        if self._handler(request) is None:
            return  # which is what the answer will be about
        known = _parameters(cast(Hashable, type(self)), request.method or "")
        if request.method not in SAFE:
            known |= {DRY_RUN}
        if unknown := sorted(set(request.query_params) - known):
            raise ValidationError({name: [_("There is no such parameter.")] for name in unknown})

    def check_throttles(self, request: Request) -> None:
        super().check_throttles(request)
        if request.user.is_authenticated and (verdict := ratelimit.take(self.caller)):
            self.headers.update(verdict.headers)
            if verdict.over:
                self.throttled(request, verdict.reset)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """As DRF's own, with our promises around the handler."""
        self.args, self.kwargs, self.headers = args, kwargs, self.default_response_headers
        self.request = asked = self.initialize_request(request, *args, **kwargs)
        try:
            self.initial(asked, *args, **kwargs)
            response = self._answer(asked)
        except Exception as error:  # noqa: BLE001  (DRF's handler raises again what it does not know)
            response = self.handle_exception(error)
        # DRF's word for its argument is too narrow: it takes any response.
        self.response = self.finalize_response(asked, cast(Response, response), *args, **kwargs)
        return self.response

    def _answer(self, request: Request) -> HttpResponse:
        handler = self._handler(request)
        if handler is None:
            return cast(HttpResponse, self.http_method_not_allowed(request))
        return self._read(handler) if request.method in SAFE else self._write(handler)

    def _handler(self, request: Request) -> Handler | None:
        method = (request.method or "").lower()
        return getattr(self, method, None) if method in self.http_method_names else None

    def _read(self, handler: Handler) -> HttpResponse:
        response = plain(handler(self.request, *self.args, **self.kwargs))
        if response.status_code != 200:
            return response
        tag = conditions.etag(response.content, self.version)
        if conditions.is_known(self.request.headers.get("If-None-Match", ""), tag):
            response = HttpResponse(status=304)
            del response.headers["Content-Type"]
        response.headers["ETag"] = tag
        return response

    def _write(self, handler: Handler) -> HttpResponse:
        if self._dry_run():
            return self._rehearse(handler)
        key, wanted = (self.request.headers.get(name) for name in (idempotency.HEADER, "If-Match"))
        if key is None and wanted is None:
            return plain(handler(self.request, *self.args, **self.kwargs))
        with transaction.atomic():
            claim = None if key is None else idempotency.claim(self.request._request, key, self.caller)
            if isinstance(claim, HttpResponse):
                return claim
            if wanted is not None:
                self._require_match(wanted)
            response = plain(handler(self.request, *self.args, **self.kwargs))
            if claim is not None:
                claim.keep(response)
        return response

    def _dry_run(self) -> bool:
        given = self.request.query_params.get(DRY_RUN)
        wanted = given is not None and serializers.BooleanField().run_validation(given)
        if wanted and not self.rehearsable:
            raise ValidationError(
                {DRY_RUN: [_("This cannot be tried: it takes effect outside the database.")]}
            )
        return bool(wanted)

    def _rehearse(self, handler: Handler) -> HttpResponse:
        """Make the write, look what has become of it, and take all of it back."""
        with transaction.atomic():
            if (header := self.request.headers.get("If-Match")) is not None:
                self._require_match(header)
            before, claimed = preview.wish(self.subject()), self._claimed()
            with events.collected() as told:
                response = handler(self.request, *self.args, **self.kwargs)
            after = preview.wish(before.app if before else self.subject())
            claims = self._claimed()
            transaction.set_rollback(True)
        body = {
            "dry_run": True,
            "status": response.status_code,
            "events": [event.message for event in told],
            "changes": self._changes(before, after),
            "placement": preview.placement(before, after),
            "quota": None
            if claimed is None or claims is None
            else {"before": claimed.used, "after": claims.used, "allowed": claims.allowed},
        }
        return plain(Response(DryRunOutput(body).data))

    def _changes(self, before: preview.Wish | None, after: preview.Wish | None) -> list[preview.Change]:
        """As far as whoever asks may read them. After the rollback, which would take the row of the audit with it."""
        access: Access | None = getattr(self, "access", None)
        app = before.app if before else None
        may = access is not None and access.may(Verb.READ_SECRETS, app)
        found = preview.changes(before, after, secrets=may)
        # The values of an app that is not there yet came with the request itself.
        if access and app and (paths := [change.secret for change in found if change.secret]):
            reading.note_tried(access, app, paths)
        return found

    def _claimed(self) -> quotas.Use | None:
        access: Access | None = getattr(self, "access", None)
        return quotas.use_of(access.team) if access else None

    def subject(self) -> App | None:
        """The app that this path's writes are about, where it is there."""
        return None

    def _require_match(self, header: str) -> None:
        """Raises PreconditionFailed unless one of the tags is of what is there now. In the write's transaction."""
        version, tags = self.current_version(), conditions.strong_tags(header)
        if header.strip() == "*" or (version and version in map(conditions.version_in, tags)):
            return
        if hasattr(self, "get"):
            response = plain(self.get(self.request, *self.args, **self.kwargs))
            if conditions.etag(response.content, self.version).strip('"') in tags:
                return
        raise PreconditionFailed

    def current_version(self) -> str:
        """Of what this path's writes change, locked for the transaction; empty: only the read's own ETag counts."""
        return ""

    @property
    def user(self) -> User:
        """Whoever asks; TeamPermission lets nobody else come this far."""
        return cast(User, self.request.user)

    @property
    def token(self) -> ApiToken | None:
        return cast("ApiToken | None", self.request.auth)

    @property
    def caller(self) -> str:
        """Whose requests are counted together, and whose idempotency keys are their own."""
        if not self.request.user.is_authenticated:
            return f"bearer:{self.request.headers.get('Authorization', '')}"
        return f"token:{self.token.pk}" if self.token else f"user:{self.user.pk}"

    def query(self, kind: type[Input]) -> dict[str, Any]:
        """The address's parameters, as `kind` allows them."""
        given = self.request.query_params.dict()
        given.pop(DRY_RUN, None)
        return checked(kind, given)

    def page(
        self,
        kind: type[serializers.Serializer[Any]],
        rows: QuerySet[Any] | Iterable[Any],
        order: paging.Order,
        query: Mapping[str, Any],
        seen: Callable[[list[Any]], Iterable[Any]] = list,
    ) -> Response:
        """The page of the rows that `query` (of a `PageQuery`) asks for; `seen` makes of its rows what `kind` shows."""
        where = {"limit": query["limit"], "cursor": query.get("cursor", "")}
        found: paging.Page[Any] = (
            paging.select(rows, order, **where)
            if isinstance(rows, QuerySet)
            else paging.pick(rows, order, **where)
        )
        return self.paged(shown(kind, seen(list(found.rows))), found.cursor)

    def paged(self, items: list[Any], cursor: str) -> Response:
        """The list with the address of its next page, in the body and as a Link."""
        more = None
        if cursor:
            given = {**self.request.query_params.dict(), "cursor": cursor}
            more = f"{self.request.path}?{urlencode(given)}"
        headers = {"Link": f'<{more}>; rel="next"'} if more else None
        return Response({"items": items, "next": more}, headers=headers)

    @property
    def default_response_headers(self) -> dict[str, str]:
        # What is read may be asked for again by its ETag; what a write says may hold a secret.
        reads = self.request.method in SAFE
        caching = "private, no-cache" if reads else "no-store"
        return {**super().default_response_headers, "Cache-Control": caching}


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

    def subject(self) -> App | None:
        return self.app

    def current_version(self) -> str:
        app = self.app
        App.objects.select_for_update(of=("self",), no_key=True).get(pk=app.pk)
        return version_of(summaries.summary(app))


def version_of(summary: summaries.AppSummary) -> str:
    """Differs once anybody has asked for something else of the app."""
    app, rollout = summary.app, summary.rollout
    asked = (app.id, app.stopped, app.deleting, rollout and (rollout.id, rollout.paused_at))
    services = [
        (one.service.name, one.service.replicas, one.service.stopped, one.service.restart_at)
        for one in summary.services
    ]
    return conditions.digest([asked, services])[:12]


@cache
def _parameters(view: Any, method: str) -> frozenset[str]:
    """Names of the parameters that the schema gives the address: what it does not name is refused."""
    handler = getattr(view, "get" if method == "HEAD" else method.lower(), None)
    schema = getattr(handler, "kwargs", {}).get("schema")
    if schema is None:
        return frozenset()
    schema = schema()
    schema.view, schema.method = view(), method
    schema.view.request, schema.view.kwargs = None, {}
    names: set[str] = set()
    for each in schema.get_override_parameters():
        if not isinstance(each, OpenApiParameter):
            names.update(each().fields)
        elif each.location == OpenApiParameter.QUERY:
            names.add(each.name)
    return frozenset(names)


def _text(value: Any) -> str:
    if isinstance(value, Promise):
        return str(value)
    raise TypeError(f"{type(value)} has no place in an answer")


_ENCODER = msgspec.json.Encoder(enc_hook=_text)


def plain(response: HttpResponse) -> HttpResponse:
    """DRF's response as its bytes: they are made once, and hashed for the ETag."""
    if not isinstance(response, Response):
        return response
    content = b"" if response.data is None else _ENCODER.encode(response.data)
    headers = dict(response.headers)
    headers.pop("Content-Type", None)
    made = HttpResponse(
        content, status=response.status_code, headers=headers, content_type="application/json"
    )
    if not content:
        del made.headers["Content-Type"]
    return made


ACCEPTED = inline_serializer("Accepted", {"operation": OperationOutput()})


def accepted(access: Access, operation: Operation, **more: Any) -> Response:
    """202: the change is written, and Location is where to follow it."""
    where = reverse("api:operation", args=[access.team.slug, operation.id])
    body = {"operation": shown_one(OperationOutput, operation), **more}
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
    """A short list, whole."""
    return Response({"items": shown(kind, rows), "next": more})
