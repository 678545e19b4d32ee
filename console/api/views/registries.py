"""Logins to image registries. Passwords go in and never come out."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import PageQuery, checked
from console.api.inputs.accounts import RegistryInput
from console.api.outputs.accounts import RegistryOutput
from console.api.paging import Order
from console.api.views.base import TeamView, listing
from console.images import services


class Registries(TeamView):
    @extend_schema(operation_id="list_registries", parameters=[PageQuery], responses=listing(RegistryOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's logins, without their passwords."""
        rows = services.list_credentials(self.access.team)
        return self.page(RegistryOutput, rows, Order(("host",)), self.query(PageQuery))

    @extend_schema(operation_id="store_registry", request=RegistryInput, responses={201: RegistryOutput})
    def post(self, request: Request, team: str) -> Response:
        """Keep a login for one registry; pulls of its images use it. For owners."""
        credential = services.store_credential(self.access, **checked(RegistryInput, request.data))
        return Response(RegistryOutput(credential).data, status=201)


class Registry(TeamView):
    @extend_schema(operation_id="delete_registry", responses={204: None})
    def delete(self, request: Request, team: str, registry: str) -> Response:
        """Forget a login. For owners."""
        services.delete_credential(self.access, registry)
        return Response(status=204)
