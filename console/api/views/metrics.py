"""What slots, services, apps, nodes and the team used over time."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import checked
from console.api.inputs.metrics import (
    AppMetricsQuery,
    ServiceMetricsQuery,
    SingleMetricsQuery,
    TeamMetricsQuery,
)
from console.api.outputs.metrics import MetricsOutput
from console.api.views.base import AppView, TeamView
from console.cluster.access import find_node
from console.workloads import metrics
from console.workloads.access import find_service, find_slot


def _window(query: dict[str, Any]) -> metrics.Window:
    return metrics.window(query["range"], query.get("step"))


def _shown(history: metrics.History) -> Response:
    return Response(msgspec.to_builtins(history))


class TeamMetrics(TeamView):
    @extend_schema(operation_id="get_team_metrics", parameters=[TeamMetricsQuery], responses=MetricsOutput)
    def get(self, request: Request, team: str) -> Response:
        """What the team used, by app or as a whole."""
        query = checked(TeamMetricsQuery, request.query_params.dict())
        return _shown(metrics.of_team(self.access.team, _window(query), by=query["by"], limit=query["limit"]))


class AppMetrics(AppView):
    @extend_schema(operation_id="get_app_metrics", parameters=[AppMetricsQuery], responses=MetricsOutput)
    def get(self, request: Request, team: str, app: str) -> Response:
        """What the app used, by service, by slot, or as a whole."""
        query = checked(AppMetricsQuery, request.query_params.dict())
        return _shown(metrics.of_app(self.app, _window(query), by=query["by"], limit=query["limit"]))


class ServiceMetrics(AppView):
    @extend_schema(
        operation_id="get_service_metrics", parameters=[ServiceMetricsQuery], responses=MetricsOutput
    )
    def get(self, request: Request, team: str, app: str, service: str) -> Response:
        """What the service used, by slot or as a whole."""
        query = checked(ServiceMetricsQuery, request.query_params.dict())
        found = find_service(self.app, service)
        return _shown(metrics.of_service(found, _window(query), by=query["by"], limit=query["limit"]))


class SlotMetrics(AppView):
    @extend_schema(operation_id="get_slot_metrics", parameters=[SingleMetricsQuery], responses=MetricsOutput)
    def get(self, request: Request, team: str, app: str, service: str, index: int) -> Response:
        """What filled this slot used, one container after another."""
        query = checked(SingleMetricsQuery, request.query_params.dict())
        return _shown(metrics.of_slot(find_slot(self.app, service, index), _window(query)))


class NodeMetrics(TeamView):
    @extend_schema(operation_id="get_node_metrics", parameters=[SingleMetricsQuery], responses=MetricsOutput)
    def get(self, request: Request, team: str, node: str) -> Response:
        """CPU and memory in use on the host; network and disk of the containers there, of all teams."""
        query = checked(SingleMetricsQuery, request.query_params.dict())
        return _shown(metrics.of_node(find_node(node), _window(query)))
