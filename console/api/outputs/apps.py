"""How apps, their services and releases are shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.api.outputs.containers import NodeNameOutput, SlotOutput
from console.workloads.compose.model import Update
from console.workloads.enums import AppState, ReleaseState, RolloutState
from console.workloads.models import Release, Rollout
from console.workloads.reading import Texts
from console.workloads.summaries import AppSummary, ServiceDetail
from console.workloads.volumes import VolumeDetail
from scheduler.model import Mode


class RolloutOutput(serializers.Serializer[Rollout]):
    state = serializers.ChoiceField(choices=RolloutState.choices)
    reason = serializers.CharField()
    operation = serializers.CharField(source="operation_id", allow_null=True)
    started_at = serializers.DateTimeField()
    deadline = serializers.DateTimeField()
    rollback = serializers.BooleanField(help_text="It goes back to an earlier release.")
    paused_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class AppWantedOutput(serializers.Serializer[AppSummary]):
    release = serializers.IntegerField(source="release.number", default=None, allow_null=True)
    replicas = serializers.IntegerField(source="wanted")
    stopped = serializers.BooleanField(source="app.stopped")
    deleting = serializers.BooleanField(source="app.deleting")


class AppSeenOutput(serializers.Serializer[AppSummary]):
    state = serializers.ChoiceField(choices=AppState.choices)
    replicas = serializers.IntegerField(
        source="well", help_text="Running, and healthy where a check says so."
    )
    rollout = RolloutOutput(allow_null=True)


def _seen_at(services: Any) -> datetime | None:
    times = [
        slot.current.observed_at
        for service in services
        for slot in service.slots
        if slot.current and slot.current.observed_at
    ]
    return max(times, default=None)


class AppOutput(serializers.Serializer[AppSummary]):
    id = serializers.CharField(source="app.id")
    name = serializers.CharField(source="app.name")
    created_at = serializers.DateTimeField(source="app.created_at")
    urls = serializers.ListField(child=serializers.CharField())
    desired = AppWantedOutput(source="*")
    observed = AppSeenOutput(source="*")
    observed_at = serializers.SerializerMethodField(
        help_text="When a node last spoke of one of its containers."
    )

    def get_observed_at(self, summary: AppSummary) -> datetime | None:
        return _seen_at(summary.services)


def app_item(summary: AppSummary) -> dict[str, Any]:
    """As `AppOutput` shows it, in a tenth of the time: a list has many, and a test holds the two together."""
    app, rollout = summary.app, summary.rollout
    return {
        "id": app.id,
        "name": app.name,
        "created_at": _time(app.created_at),
        "urls": list(summary.urls),
        "desired": {
            "release": summary.release.number if summary.release else None,
            "replicas": summary.wanted,
            "stopped": app.stopped,
            "deleting": app.deleting,
        },
        "observed": {
            "state": summary.state.value,
            "replicas": summary.well,
            "rollout": _rollout_item(rollout) if rollout else None,
        },
        "observed_at": _time(_seen_at(summary.services)),
    }


def _rollout_item(rollout: Rollout) -> dict[str, Any]:
    return {
        "state": rollout.state,
        "reason": rollout.reason,
        "operation": rollout.operation_id,
        "started_at": _time(rollout.started_at),
        "deadline": _time(rollout.deadline),
        "rollback": rollout.rollback,
        "paused_at": _time(rollout.paused_at),
        "ended_at": _time(rollout.ended_at),
    }


def _time(value: datetime | None) -> str | None:
    """As DRF writes it; the database gives UTC alone."""
    return value.isoformat().replace("+00:00", "Z") if value else None


class UpdateOutput(serializers.Serializer[Update]):
    parallelism = serializers.IntegerField(help_text="0: all at once.")
    delay = serializers.FloatField(help_text="Seconds.")
    order = serializers.ChoiceField(choices=("stop-first", "start-first"))
    monitor = serializers.FloatField(help_text="Seconds.")
    max_failure_ratio = serializers.FloatField()
    failure_action = serializers.ChoiceField(choices=("pause", "continue", "rollback"))


class ServiceWantedOutput(serializers.Serializer[ServiceDetail]):
    replicas = serializers.IntegerField(source="wanted", help_text="0 while it is stopped.")
    scale = serializers.IntegerField(source="service.replicas", help_text="Once it is not stopped.")
    stopped = serializers.BooleanField(source="service.stopped")
    image = serializers.CharField(source="spec.image", default="", help_text="As the release names it.")
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    priority = serializers.IntegerField(source="spec.priority", default=0)
    update_config = UpdateOutput(source="update", default=None, allow_null=True)
    rollback_config = UpdateOutput(source="rollback", default=None, allow_null=True)


class ServiceSeenOutput(serializers.Serializer[ServiceDetail]):
    replicas = serializers.IntegerField(source="well")
    live = serializers.IntegerField(help_text="On a node or on the way there.")


class ServiceOutput(serializers.Serializer[ServiceDetail]):
    name = serializers.CharField(source="service.name")
    present = serializers.BooleanField(
        source="service.present", help_text="Whether the newest release has it."
    )
    desired = ServiceWantedOutput(source="*")
    observed = ServiceSeenOutput(source="*")
    observed_at = serializers.SerializerMethodField()
    slots = SlotOutput(many=True)

    def get_observed_at(self, service: ServiceDetail) -> datetime | None:
        return _seen_at([service])


class VolumeWantedOutput(serializers.Serializer[VolumeDetail]):
    deleting = serializers.BooleanField(source="volume.deleting")
    forget = serializers.BooleanField(
        source="volume.forget", help_text="Deleting it strikes it out alone: its node is gone for good."
    )


class VolumeSeenOutput(serializers.Serializer[VolumeDetail]):
    bytes = serializers.IntegerField(
        source="volume.bytes", allow_null=True, help_text="On the node's disk; null: not measured yet."
    )


class VolumeOutput(serializers.Serializer[VolumeDetail]):
    id = serializers.CharField(source="volume.id")
    name = serializers.CharField(source="volume.name")
    app = serializers.CharField(source="volume.app_name")
    kept = serializers.BooleanField(help_text="It has outlived its app.")
    kept_at = serializers.DateTimeField(source="volume.kept_at", allow_null=True)
    node = NodeNameOutput(source="volume.node", allow_null=True)
    engine_name = serializers.CharField(
        source="volume.engine_name", help_text="The volume's name in the node's engine."
    )
    created_at = serializers.DateTimeField(source="volume.created_at")
    bytes = serializers.IntegerField(
        source="volume.bytes", allow_null=True, help_text="On the node's disk; null: not measured yet."
    )
    measured_at = serializers.DateTimeField(source="volume.measured_at", allow_null=True)
    desired = VolumeWantedOutput(source="*")
    observed = VolumeSeenOutput(source="*")
    observed_at = serializers.DateTimeField(source="volume.measured_at", allow_null=True)
    services = serializers.ListField(child=serializers.CharField(), help_text="Those that mount it.")
    containers = serializers.ListField(child=serializers.CharField(), help_text="Those that have it.")
    deleting = serializers.BooleanField(source="volume.deleting")
    why_not = serializers.CharField(help_text="Why it cannot be deleted now; empty if it can.")


class ProblemOutput(serializers.Serializer[dict[str, Any]]):
    """A finding in a Compose file; line 0 has no place in the text."""

    line = serializers.IntegerField()
    column = serializers.IntegerField()
    service = serializers.CharField()
    key = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class AppDetailOutput(AppOutput):
    services = ServiceOutput(many=True)
    warnings = ProblemOutput(many=True, source="release.warnings", default=list)


class ReleaseOutput(serializers.Serializer[Release]):
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ReleaseState.choices)
    error = serializers.CharField()
    warnings = ProblemOutput(many=True)
    rolled_back_from = serializers.IntegerField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


_TEXTS = serializers.DictField(child=serializers.CharField(allow_null=True))


class ReleaseDetailOutput(ReleaseOutput):
    """With all that it was made from, and the images that it resolved to."""

    compose = serializers.CharField()
    variables = serializers.SerializerMethodField(
        help_text="By name; null to whoever may not read what may be secret (“read-secrets”)."
    )
    files = serializers.SerializerMethodField(help_text="By path; null as for variables.")
    images = serializers.DictField(child=serializers.DictField())
    digests = serializers.DictField(child=serializers.CharField(), help_text="Spec digest by service.")

    @extend_schema_field(_TEXTS)
    def get_variables(self, release: Release) -> Mapping[str, str | None]:  # noqa: ARG002
        return self._texts.variables

    @extend_schema_field(_TEXTS)
    def get_files(self, release: Release) -> Mapping[str, str | None]:  # noqa: ARG002
        return self._texts.files

    @property
    def _texts(self) -> Texts:
        """As they may be read; the view gives them in the context."""
        texts: Texts = self.context["texts"]
        return texts
