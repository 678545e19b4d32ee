"""How operations and events are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.common.models import AuditEntry, Event
from console.workloads.enums import OperationKind, OperationState
from console.workloads.models import Operation
from console.workloads.operations import progress_of


class StoredTime(serializers.DateTimeField):
    """A time that is kept as ISO text in a JSON column, shown like all others."""

    def to_representation(self, value: Any) -> str:
        return super().to_representation(datetime.fromisoformat(value)) or ""


class StepOutput(serializers.Serializer[dict[str, Any]]):
    at = StoredTime()
    text = serializers.CharField()


class OperationAppOutput(serializers.Serializer[Operation]):
    id = serializers.CharField(source="app_id")
    name = serializers.CharField(source="app_name")


class ProgressOutput(serializers.Serializer[dict[str, int]]):
    done = serializers.IntegerField(help_text="Slots that are as the operation wants them.")
    wanted = serializers.IntegerField()


class OperationOutput(serializers.Serializer[Operation]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=OperationKind.choices)
    app = OperationAppOutput(source="*")
    target = serializers.CharField(help_text="What of the app: a service, or a release as #3.")
    state = serializers.ChoiceField(choices=OperationState.choices)
    progress = serializers.SerializerMethodField(help_text="null: the controller has not looked at it yet.")
    steps = StepOutput(many=True)
    error = serializers.CharField()
    actor = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(ProgressOutput(allow_null=True))
    def get_progress(self, operation: Operation) -> dict[str, int] | None:
        return progress_of(operation)


class EventOutput(serializers.Serializer[Event]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    message = serializers.CharField()
    actor = serializers.CharField()
    app = serializers.CharField(source="app_id", help_text="Its id; empty for what is of no app.")
    node = serializers.CharField(source="node_id")
    warning = serializers.BooleanField()
    details = serializers.DictField(source="data")


class AuditOutput(serializers.Serializer[AuditEntry]):
    """A row of the audit. Until it is sealed, some seconds later, it has no place in the chain."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    message = serializers.CharField()
    actor = serializers.CharField()
    address = serializers.CharField(help_text="The client's.")
    agent = serializers.CharField(help_text="The client's word for itself.")
    request_id = serializers.CharField()
    token = serializers.CharField(source="token_id", help_text="Id of the API token; empty without one.")
    token_name = serializers.CharField()
    team = serializers.CharField(source="team_id")
    app = serializers.CharField(source="app_id")
    node = serializers.CharField(source="node_id")
    details = serializers.DictField(
        source="data", help_text="What it was about; `before` and `after` of a change."
    )
    seq = serializers.IntegerField(allow_null=True, help_text="Place in the chain.")
    previous = serializers.CharField(help_text="Hash of the row before it.")
    hash = serializers.CharField()
