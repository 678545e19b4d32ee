"""Apps: deploy, look, delete; and a check of a Compose file that changes nothing."""

# ruff: noqa: ARG002  (Django passes the names in the path)

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.inputs import AppInput, ComposeInput, DeleteQuery, checked
from console.api.outputs import shown
from console.api.outputs.apps import AppDetailOutput, AppOutput, ProblemOutput, VolumeOutput
from console.api.outputs.history import OperationOutput
from console.api.views.base import ACCEPTED, AppView, TeamView, accepted, listing, page
from console.workloads import queries, services
from console.workloads.parsing import parse

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

    @extend_schema(operation_id="list_apps", responses=listing(AppOutput))
    def get(self, request: Request, team: str) -> Response:
        """The team's apps, those being deleted last."""
        return page(AppOutput, queries.summaries(self.access.team, only=self.access.apps))

    @extend_schema(operation_id="create_app", request=AppInput, responses={202: ACCEPTED})
    def post(self, request: Request, team: str) -> Response:
        """Deploy a new app. Where the file is wrong, `data.problems` names the lines and nothing is kept."""
        return accepted(self.access, services.create_app(self.access, **checked(AppInput, request.data)))


class AppDetail(AppView):
    @extend_schema(operation_id="get_app", responses=APP)
    def get(self, request: Request, team: str, app: str) -> Response:
        """The app with its services, slots, containers and volumes."""
        found = self.app
        return Response(
            {
                "app": AppDetailOutput(queries.summary(found)).data,
                "volumes": shown(VolumeOutput, queries.volumes_of(found)),
            }
        )

    @extend_schema(operation_id="delete_app", parameters=[DeleteQuery], responses={202: DELETED})
    def delete(self, request: Request, team: str, app: str) -> Response:
        """Stop and forget the app. The answer says what happens to each volume."""
        query = checked(DeleteQuery, request.query_params.dict())
        found, delete = self.app, query["volumes"] == "delete"
        volumes = queries.volumes_of(found)
        operation = services.delete_app(self.access, found, delete_volumes=delete)
        fates = [
            {
                "name": volume.name,
                "node": volume.node.name if volume.node else None,
                "engine_name": volume.engine_name,
                "fate": "deleted" if delete else "kept",
            }
            for volume in volumes
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
