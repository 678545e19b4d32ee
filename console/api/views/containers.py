"""Containers and slots, with why a slot is where it is."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs.containers import ContainersQuery
from console.api.outputs import shown_one
from console.api.outputs.containers import PlacedContainerOutput, SlotDetailOutput
from console.api.paging import NEWEST_FIRST
from console.api.views.base import AppView, TeamView, listing
from console.workloads import queries, summaries
from console.workloads.access import find_container, find_slot


class Containers(AppView):
    @extend_schema(
        operation_id="list_containers", parameters=[ContainersQuery], responses=listing(PlacedContainerOutput)
    )
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app's containers on nodes, newest first; with `ended`, also those that are gone."""
        query = self.query(ContainersQuery)
        chosen = {name: value for name, value in query.items() if name not in ("limit", "cursor")}
        return self.page(
            PlacedContainerOutput, queries.app_containers(self.app, **chosen), NEWEST_FIRST, query
        )


class ContainerDetail(TeamView):
    @extend_schema(operation_id="get_container", responses=PlacedContainerOutput)
    def get(self, request: Request, team: str, container: str) -> Response:
        """One container of the team, also one that is gone."""
        return Response(shown_one(PlacedContainerOutput, find_container(self.access, container)))


class SlotDetail(AppView):
    @extend_schema(operation_id="get_slot", responses=SlotDetailOutput)
    def get(self, request: Request, team: str, app: str, service: str, index: int) -> Response:
        """A slot and its containers, and each node's verdict at its last placement."""
        found = self.app
        _service, detail = summaries.slot_detail(found, find_slot(found, service, index))
        return Response(SlotDetailOutput(detail).data)
