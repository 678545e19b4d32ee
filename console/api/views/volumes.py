"""Volumes: which there are, where, how large, and their deletion."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import PageQuery
from console.api.inputs.apps import ForgetQuery
from console.api.outputs.apps import VolumeOutput
from console.api.paging import Order
from console.api.views.base import ACCEPTED, AppView, TeamView, accepted, listing
from console.workloads import volumes

BY_APP = Order(("app_name", "name", "id"))


class Volumes(TeamView):
    open_to_app_tokens = True

    @extend_schema(operation_id="list_volumes", parameters=[PageQuery], responses=listing(VolumeOutput))
    def get(self, request: Request, team: str) -> Response:
        """All volumes of the team by app, also those that were kept when their apps were deleted."""
        rows = volumes.rows_of(self.access)
        return self.page(VolumeOutput, rows, BY_APP, self.query(PageQuery), volumes.details)


class AppVolumes(AppView):
    @extend_schema(operation_id="list_app_volumes", parameters=[PageQuery], responses=listing(VolumeOutput))
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app's volumes."""
        rows = volumes.rows_of(self.access, self.app)
        return self.page(VolumeOutput, rows, BY_APP, self.query(PageQuery), volumes.details)


class Volume(TeamView):
    open_to_app_tokens = True

    @extend_schema(operation_id="get_volume", responses=VolumeOutput)
    def get(self, request: Request, team: str, volume: str) -> Response:
        """A volume, who mounts it, and why it cannot be deleted, if so."""
        return Response(VolumeOutput(volumes.find_volume(self.access, volume)).data)

    @extend_schema(operation_id="delete_volume", parameters=[ForgetQuery], responses={202: ACCEPTED})
    def delete(self, request: Request, team: str, volume: str) -> Response:
        """Delete its data for good. Refused (409) while a container has it, or while a release mounts it and the app
        is not stopped."""
        query = self.query(ForgetQuery)
        found = volumes.find_volume(self.access, volume).volume
        return accepted(self.access, volumes.delete_volume(self.access, found, forget=query["forget"]))
