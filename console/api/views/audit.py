"""The audit: who did what, from where, by which token; of an app, a team, the platform."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts.access import Access, require_administrator
from console.accounts.models import Team, User
from console.api import paging
from console.api.asynchronous import platform_stream, read, team_stream
from console.api.inputs import checked
from console.api.inputs.history import AuditExportQuery, AuditQuery
from console.api.outputs import shown
from console.api.outputs.history import AuditOutput
from console.api.views.base import ApiView, AppView, TeamView, listing
from console.common import audit
from console.workloads.access import ids_called


def _page(view: ApiView, *, team: Team | None = None, app: str = "") -> Response:
    query = view.query(AuditQuery)
    limit, before = query.pop("limit"), paging.number_in(query.pop("cursor", ""))
    targets = ids_called(query.pop("target"), team) if "target" in query else ()
    wanted = audit.Wanted(team=team.pk if team else "", app=app, targets=targets, **query)
    found = audit.entries(wanted, before=before, limit=limit + 1)
    cut = paging.cut(found, limit, lambda entry: (entry.pk,))
    return view.paged(shown(AuditOutput, cut.rows), cut.cursor)


class PlatformAudit(ApiView):
    @extend_schema(operation_id="list_audit", parameters=[AuditQuery], responses=listing(AuditOutput))
    def get(self, request: Request) -> Response:
        """The whole installation's, newest first. For administrators."""
        require_administrator(self.user, self.token)
        return _page(self)


class TeamAudit(TeamView):
    @extend_schema(operation_id="list_team_audit", parameters=[AuditQuery], responses=listing(AuditOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's, newest first. For owners."""
        self.access.require_owner()
        return _page(self, team=self.access.team)


class AppAudit(AppView):
    @extend_schema(operation_id="list_app_audit", parameters=[AuditQuery], responses=listing(AuditOutput))
    def get(self, request: Request, team: str, app: str) -> Response:
        """One app's, newest first. For owners."""
        found = self.app
        self.access.require_owner()
        return _page(self, team=self.access.team, app=found.pk)


@team_stream
async def export_team(request: HttpRequest, access: Access) -> HttpResponseBase:
    await read(access.require_owner)
    return _lines(request, access.team.pk)


@platform_stream
async def export_all(request: HttpRequest, user: User) -> HttpResponseBase:  # noqa: ARG001
    return _lines(request, "")


def _lines(request: HttpRequest, team: str) -> StreamingHttpResponse:
    after = checked(AuditExportQuery, request.GET.dict())["after"]
    response = StreamingHttpResponse(_export(team, after), content_type="application/x-ndjson")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
    return response


async def _export(team: str, after: int) -> AsyncIterator[bytes]:
    await read(audit.seal)
    while rows := await read(_batch, team, after):
        yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        after = rows[-1]["seq"]


def _batch(team: str, after: int) -> list[dict[str, Any]]:
    return list(audit.export(team=team, after=after))
