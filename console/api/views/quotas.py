"""What a team has and may have, and the sizes of instances."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.accounts.quotas import delete_size, set_quota, set_size
from console.api.inputs import PageQuery, checked
from console.api.inputs.quotas import QuotaInput, SizeInput
from console.api.outputs.quotas import QuotaOutput, SizeOutput
from console.api.paging import Order
from console.api.views.base import TeamView, listing
from console.workloads.parsing import sizes_now
from console.workloads.quotas import use_of


class Quota(TeamView):
    @extend_schema(operation_id="get_quota", responses=QuotaOutput)
    def get(self, request: Request, team: str) -> Response:
        """What the team's apps claim, at their limits, and what it may have."""
        return Response(QuotaOutput(use_of(self.access.team)).data)

    @extend_schema(operation_id="set_quota", request=QuotaInput, responses=QuotaOutput)
    def post(self, request: Request, team: str) -> Response:
        """Settle what the team may have. For platform administrators."""
        set_quota(self.access, **checked(QuotaInput, request.data))
        return Response(QuotaOutput(use_of(self.access.team)).data)


class Sizes(TeamView):
    @extend_schema(operation_id="list_sizes", parameters=[PageQuery], responses=listing(SizeOutput))
    def get(self, request: Request, team: str) -> Response:
        """Names for `x-berth: {size: …}`. They are the same for all teams."""
        return self.page(SizeOutput, sizes_now(), Order(("cpu", "memory", "name")), self.query(PageQuery))

    @extend_schema(operation_id="set_size", request=SizeInput, responses={201: SizeOutput})
    def post(self, request: Request, team: str) -> Response:
        """Make or change an instance size. For platform administrators."""
        return Response(
            SizeOutput(set_size(self.access, **checked(SizeInput, request.data))).data, status=201
        )


class Size(TeamView):
    @extend_schema(operation_id="delete_size", responses={204: None})
    def delete(self, request: Request, team: str, size: str) -> Response:
        """Take an instance size away. For platform administrators."""
        delete_size(self.access, size)
        return Response(status=204)
