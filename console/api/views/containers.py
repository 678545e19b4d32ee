"""Containers and slots, with why a slot is where it is, and what containers use."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

import msgspec
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import ContainersQuery, checked
from console.api.outputs.containers import PlacedContainerOutput, SlotDetailOutput
from console.api.views.base import AppView, TeamView, listing, page
from console.workloads import metrics, queries
from console.workloads.access import find_container, find_slot

_NUMBERS = serializers.ListField(child=serializers.FloatField())
SERIES = inline_serializer(
    "ContainerSeries",
    {
        "container": serializers.CharField(),
        "name": serializers.CharField(),
        "service": serializers.CharField(),
        "at": serializers.ListField(child=serializers.IntegerField(), help_text="Seconds since 1970."),
        "cpu": _NUMBERS,
        "memory": _NUMBERS,
        "memory_limit": serializers.IntegerField(),
    },
)
METRICS = inline_serializer("Metrics", {"containers": serializers.DictField(child=SERIES)})


class Containers(AppView):
    @extend_schema(
        operation_id="list_containers", parameters=[ContainersQuery], responses=listing(PlacedContainerOutput)
    )
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app's newest 200 containers on nodes; with `ended`, also those that are gone."""
        query = checked(ContainersQuery, request.query_params.dict())
        return page(PlacedContainerOutput, queries.containers_of(self.app, ended=query["ended"]))


class ContainerDetail(TeamView):
    @extend_schema(operation_id="get_container", responses=PlacedContainerOutput)
    def get(self, request: Request, team: str, container: str) -> Response:
        """One container of the team, also one that is gone."""
        return Response(PlacedContainerOutput(find_container(self.access, container)).data)


class SlotDetail(AppView):
    @extend_schema(operation_id="get_slot", responses=SlotDetailOutput)
    def get(self, request: Request, team: str, app: str, service: str, index: int) -> Response:
        """A slot and its containers, and each node's verdict at its last placement."""
        found = self.app
        _service, detail = queries.slot_detail(found, find_slot(found, service, index))
        return Response(SlotDetailOutput(detail).data)


class Metrics(AppView):
    @extend_schema(operation_id="get_metrics", responses=METRICS)
    def get(self, request: Request, team: str, app: str) -> Response:
        """Recent CPU (thousandths of a core) and memory (bytes) of the app's containers, by container id."""
        return Response({"containers": msgspec.to_builtins(metrics.series(self.app))})
