"""Releases of an app, and the way back to an old one."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import checked
from console.api.inputs.apps import ComposeInput, ReleasesQuery, RollbackInput
from console.api.outputs.apps import ReleaseDetailOutput, ReleaseOutput
from console.api.paging import Order
from console.api.views.base import ACCEPTED, AppView, accepted, listing
from console.workloads import services
from console.workloads.access import find_release
from console.workloads.models import Release
from console.workloads.reading import read_texts


class Releases(AppView):
    @extend_schema(operation_id="list_releases", parameters=[ReleasesQuery], responses=listing(ReleaseOutput))
    def get(self, request: Request, team: str, app: str) -> Response:
        """All releases, newest first."""
        query = self.query(ReleasesQuery)
        chosen = {"state": query["state"]} if "state" in query else {}
        rows = Release.objects.filter(app=self.app, **chosen).defer("compose", "files", "model")
        return self.page(ReleaseOutput, rows, Order(("number",), descending=True), query)

    @extend_schema(operation_id="create_release", request=ComposeInput, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """Deploy a changed file. Variables and files that are left out stay as they were."""
        given = checked(ComposeInput, request.data)
        return accepted(self.access, services.create_release(self.access, self.app, **given))


class ReleaseDetail(AppView):
    @extend_schema(operation_id="get_release", responses=ReleaseDetailOutput)
    def get(self, request: Request, team: str, app: str, number: int) -> Response:
        """One release with what it was made from."""
        release = find_release(self.app, number)
        texts = read_texts(self.access, release)
        return Response(ReleaseDetailOutput(release, context={"texts": texts}).data)


class Rollback(AppView):
    @extend_schema(operation_id="roll_back", request=RollbackInput, responses={202: ACCEPTED})
    def post(self, request: Request, team: str, app: str) -> Response:
        """A new release with the content and the images of an old one."""
        given, found = checked(RollbackInput, request.data), self.app
        release = find_release(found, given["release"])
        return accepted(self.access, services.roll_back(self.access, found, to=release))
