"""Operations, and events."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import EventsQuery, OperationsQuery, checked
from console.api.outputs.history import EventOutput, OperationOutput
from console.api.views.base import AppView, TeamView, listing, page
from console.common.models import Event
from console.workloads import queries
from console.workloads.access import find_app, find_operation


class Operations(TeamView):
    open_to_app_tokens = True

    @extend_schema(
        operation_id="list_operations", parameters=[OperationsQuery], responses=listing(OperationOutput)
    )
    def get(self, request: Request, team: str) -> Response:
        """The newest operations of one app (`app`), or all of the team's that run now."""
        name = checked(OperationsQuery, request.query_params.dict()).get("app")
        if name:
            return page(OperationOutput, queries.operations_of(find_app(self.access, name)))
        return page(OperationOutput, queries.running_operations(self.access.team, only=self.access.apps))


class OperationDetail(TeamView):
    @extend_schema(operation_id="get_operation", responses=OperationOutput)
    def get(self, request: Request, team: str, operation: str) -> Response:
        """How a change goes, and how it ended."""
        return Response(OperationOutput(find_operation(self.access, operation)).data)


def _events(request: Request, events: list[Event], query: Mapping[str, Any]) -> Response:
    """A page, and the address of the one before it in time while there may be one."""
    full = len(events) == query["limit"]
    more = f"{request.path}?before={events[-1].pk}&limit={query['limit']}" if full else None
    return page(EventOutput, events, more)


class TeamEvents(TeamView):
    @extend_schema(operation_id="list_team_events", parameters=[EventsQuery], responses=listing(EventOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's history and the nodes', newest first."""
        query = checked(EventsQuery, request.query_params.dict())
        return _events(request, queries.events_of(self.access.team, **query), query)


class AppEvents(AppView):
    @extend_schema(operation_id="list_app_events", parameters=[EventsQuery], responses=listing(EventOutput))
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app's history, newest first."""
        query = checked(EventsQuery, request.query_params.dict())
        return _events(request, queries.events_of(self.access.team, app=self.app, **query), query)
