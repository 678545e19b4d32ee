"""Operations, and events."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import paging
from console.api.inputs import NoInput, checked
from console.api.inputs.history import AppEventsQuery, EventsQuery, OperationsQuery
from console.api.outputs import shown, shown_one
from console.api.outputs.history import EventOutput, OperationOutput
from console.api.paging import NEWEST_FIRST
from console.api.views.base import ACCEPTED, TeamView, accepted, listing
from console.cluster.access import find_node
from console.workloads import history, queries, rollouts
from console.workloads.access import find_app, find_operation
from console.workloads.history import EventFilter
from console.workloads.models import App


class Operations(TeamView):
    open_to_app_tokens = True

    @extend_schema(
        operation_id="list_operations", parameters=[OperationsQuery], responses=listing(OperationOutput)
    )
    def get(self, request: Request, team: str) -> Response:
        """The team's operations, newest first. `state=running` are those under way."""
        query = self.query(OperationsQuery)
        app = find_app(self.access, query["app"]) if "app" in query else None
        chosen = {name: query[name] for name in ("state", "kind", "since") if name in query}
        rows = queries.team_operations(self.access.team, app=app, only=self.access.apps, **chosen)
        return self.page(OperationOutput, rows, NEWEST_FIRST, query)


class OperationDetail(TeamView):
    @extend_schema(operation_id="get_operation", responses=OperationOutput)
    def get(self, request: Request, team: str, operation: str) -> Response:
        """How a change goes, and how it ended."""
        return Response(shown_one(OperationOutput, find_operation(self.access, operation)))


class CancelOperation(TeamView):
    @extend_schema(operation_id="cancel_operation", request=None, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, operation: str) -> Response:
        """Take it back: of a rollout the answer is the operation of the rollback, of a restart the restart's own.
        What cannot be taken back is a 409."""
        checked(NoInput, request.data)
        found = find_operation(self.access, operation)
        return accepted(self.access, rollouts.cancel_operation(self.access, found))

    def subject(self) -> App | None:
        found = find_operation(self.access, self.kwargs["operation"])
        return App.objects.filter(pk=found.app_id).first()


class _Events(TeamView):
    def events(self, query: Mapping[str, Any], app: App | None) -> Response:
        node = find_node(query["node"]) if "node" in query else None
        chosen = {name: query[name] for name in ("kind", "warning", "since", "until") if name in query}
        found = history.events_of(
            self.access.team,
            before=paging.number_in(query.get("cursor", "")),
            limit=query["limit"] + 1,
            also=EventFilter(app=app, node=node, **chosen),
        )
        cut = paging.cut(found, query["limit"], lambda event: (event.pk,))
        return self.paged(shown(EventOutput, cut.rows), cut.cursor)


class TeamEvents(_Events):
    @extend_schema(operation_id="list_team_events", parameters=[EventsQuery], responses=listing(EventOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's history and the nodes', newest first."""
        query = self.query(EventsQuery)
        return self.events(query, find_app(self.access, query["app"]) if "app" in query else None)


class AppEvents(_Events):
    @extend_schema(
        operation_id="list_app_events", parameters=[AppEventsQuery], responses=listing(EventOutput)
    )
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app's history, newest first."""
        return self.events(self.query(AppEventsQuery), find_app(self.access, app))
