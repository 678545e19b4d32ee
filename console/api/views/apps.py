"""Apps: deploy, look, delete; and a check of a Compose file that changes nothing."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import paging
from console.api.inputs import MOST_ROWS, checked
from console.api.inputs.apps import AppInput, AppsQuery, ComposeInput, DeleteQuery
from console.api.outputs import shown, shown_one
from console.api.outputs.apps import AppDetailOutput, AppOutput, ProblemOutput, VolumeOutput, app_item
from console.api.outputs.history import OperationOutput
from console.api.outputs.placement import DryRunOutput
from console.api.paging import BY_NAME
from console.api.views.base import ACCEPTED, AppView, TeamView, accepted, listing, version_of
from console.workloads import queries, services, summaries, volumes
from console.workloads.models import App
from console.workloads.parsing import parse
from console.workloads.summaries import AppSummary

MOST_LOOKED_AT = 1000
APP = inline_serializer("AppWithVolumes", {"app": AppDetailOutput(), "volumes": VolumeOutput(many=True)})
DELETED_VOLUME = inline_serializer(
    "DeletedVolume",
    {
        "name": serializers.CharField(),
        "node": serializers.CharField(allow_null=True, help_text="Where it is; null: on no node yet."),
        "engine_name": serializers.CharField(),
        "fate": serializers.ChoiceField(choices=("kept", "deleted")),
    },
    many=True,
)
DELETED = inline_serializer("DeletionAccepted", {"operation": OperationOutput(), "volumes": DELETED_VOLUME})
CHECKED = inline_serializer(
    "CheckedCompose",
    {
        "services": serializers.DictField(
            child=serializers.DictField(),
            help_text="Normalized, by name; `defaults` names what the file left out and Berth filled in.",
        ),
        "volumes": serializers.ListField(child=serializers.CharField()),
        "warnings": ProblemOutput(many=True),
    },
)


class Apps(TeamView):
    open_to_app_tokens = True

    @extend_schema(operation_id="list_apps", parameters=[AppsQuery], responses=listing(AppOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's apps by name, also those being deleted. With `state` a page may hold fewer than its limit."""
        query = self.query(AppsQuery)
        chosen = {name: query[name] for name in ("search", "service", "node") if name in query}
        rows = queries.apps_of(self.access.team, only=self.access.apps, **chosen)
        if "state" in query:
            shown, cursor = _in_state(rows, query)
        else:
            found = paging.select(rows, BY_NAME, limit=query["limit"], cursor=query.get("cursor", ""))
            shown, cursor = summaries.summarize(found.rows, brief=True), found.cursor
        return self.paged([app_item(one) for one in shown], cursor)

    def subject(self) -> App | None:
        name = self.request.data.get("name") if isinstance(self.request.data, dict) else None
        return App.objects.filter(team=self.access.team, name=str(name), deleting=False).first()

    @extend_schema(operation_id="create_app", request=AppInput, responses={202: ACCEPTED, 200: DryRunOutput})
    def post(self, request: Request, team: str) -> Response:
        """Deploy a new app. Where the file is wrong, `data.problems` names the lines and nothing is kept."""
        return accepted(self.access, services.create_app(self.access, **checked(AppInput, request.data)))


def _in_state(rows: QuerySet[App], query: Mapping[str, Any]) -> tuple[list[AppSummary], str]:
    """A state is found out from an app's containers: of a bounded number of apps, from the cursor on."""
    kept: list[AppSummary] = []
    cursor: str = query.get("cursor", "")
    for _ in range(MOST_LOOKED_AT // MOST_ROWS):
        found = paging.select(rows, BY_NAME, limit=MOST_ROWS, cursor=cursor)
        kept += [one for one in summaries.summarize(found.rows, brief=True) if one.state == query["state"]]
        if len(kept) > query["limit"]:
            kept = kept[: query["limit"]]
            return kept, paging.encode(BY_NAME.of(kept[-1].app))
        cursor = found.cursor
        if not cursor:
            break
    return kept, cursor


class AppDetail(AppView):
    @extend_schema(operation_id="get_app", responses=APP)
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app with its services, slots, containers and volumes."""
        found = self.app
        summary = summaries.summary(found)
        self.version = version_of(summary)
        return Response(
            {
                "app": shown_one(AppDetailOutput, summary),
                "volumes": shown(VolumeOutput, volumes.volumes_of_app(self.access, found)),
            }
        )

    @extend_schema(operation_id="delete_app", parameters=[DeleteQuery], responses={202: DELETED})
    def delete(self, request: Request, team: str, app: str) -> Response:
        """Stop and forget the app. The answer says what happens to each volume."""
        query = self.query(DeleteQuery)
        found, delete = self.app, query["volumes"] == "delete"
        there = queries.volumes_of(found)
        operation = services.delete_app(self.access, found, delete_volumes=delete)
        fates = [
            {
                "name": volume.name,
                "node": volume.node.name if volume.node else None,
                "engine_name": volume.engine_name,
                "fate": "deleted" if delete else "kept",
            }
            for volume in there
        ]
        return accepted(self.access, operation, volumes=fates)


class ComposeCheck(TeamView):
    open_to_app_tokens = True

    @extend_schema(operation_id="check_compose", request=ComposeInput, responses=CHECKED)
    def post(self, request: Request, team: str) -> Response:
        """What a file would mean. Nothing changes; a wrong file gives the error that deploying it would."""
        given = checked(ComposeInput, request.data)
        project = parse(given["compose"], given.get("variables", {}), given.get("files", {}))
        return Response(
            {
                "services": _full(project.services),
                "volumes": list(project.volumes),
                "warnings": _full(project.warnings),
            }
        )


def _full(value: Any) -> Any:
    """JSON of the model with every field, also those that hold their default."""
    if isinstance(value, msgspec.Struct):
        return {name: _full(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: _full(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_full(item) for item in value]
    return value
