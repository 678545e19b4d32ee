"""How containers and slots are shown: what is wanted of them beside what was seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.api.outputs.placement import ExplanationOutput
from console.workloads.enums import ContainerState, Health
from console.workloads.models import Container
from console.workloads.summaries import SlotDetail


class NodeNameOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class PublishedPort(serializers.Serializer[Any]):
    host = serializers.IntegerField()
    container = serializers.IntegerField()
    protocol = serializers.CharField()


class GrantOutput(serializers.Serializer[Any]):
    """Units of a generic resource, numbered from 0; of a share (in thousandths) it is one."""

    kind = serializers.CharField()
    units = serializers.ListField(child=serializers.IntegerField())
    share = serializers.IntegerField()


class ContainerWantedOutput(serializers.Serializer[Container]):
    release = serializers.IntegerField(source="release.number")
    image = serializers.CharField()
    cpu = serializers.IntegerField(help_text="Held of the node, in thousandths of a core.")
    memory = serializers.IntegerField(help_text="Held of the node, in bytes.")
    cpu_limit = serializers.IntegerField()
    memory_limit = serializers.IntegerField()
    pids = serializers.IntegerField()
    ports = serializers.SerializerMethodField()
    volumes = serializers.ListField(child=serializers.CharField())
    grants = serializers.SerializerMethodField()
    priority = serializers.IntegerField()
    move_to = NodeNameOutput(allow_null=True, help_text="A rebalance wants its slot there.")

    @extend_schema_field(GrantOutput(many=True))
    def get_grants(self, container: Container) -> list[dict[str, Any]]:
        return [{"kind": kind, "units": units, "share": share} for kind, units, share in container.grants]

    @extend_schema_field(PublishedPort(many=True))
    def get_ports(self, container: Container) -> list[dict[str, Any]]:
        return [
            {"host": host, "container": inside, "protocol": protocol}
            for host, inside, protocol in container.ports
        ]


class ContainerSeenOutput(serializers.Serializer[Container]):
    state = serializers.ChoiceField(choices=ContainerState.choices)
    health = serializers.ChoiceField(choices=Health.choices)
    engine_id = serializers.CharField()
    restarts = serializers.IntegerField()
    exit_code = serializers.IntegerField(allow_null=True)
    oom = serializers.BooleanField(help_text="It ended for lack of memory.")
    oom_events = serializers.IntegerField(
        help_text="How often something in it was killed for lack of memory since its start."
    )
    error = serializers.CharField()
    stop_reason = serializers.CharField()
    progress = serializers.CharField()
    last_lines = serializers.ListField(child=serializers.CharField())
    log_lost = serializers.CharField(help_text="Why its log was not kept when it was removed; else empty.")
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    removed_at = serializers.DateTimeField(allow_null=True)


class ContainerOutput(serializers.Serializer[Container]):
    id = serializers.CharField()
    name = serializers.CharField()
    generation = serializers.IntegerField()
    node = NodeNameOutput(allow_null=True, help_text="Null once it was removed from the cluster.")
    node_name = serializers.CharField(help_text="Of the node that it is or was on.")
    urls = serializers.ListField(
        child=serializers.CharField(), help_text="Where its published ports are reached."
    )
    created_at = serializers.DateTimeField()
    desired = ContainerWantedOutput(source="*")
    observed = ContainerSeenOutput(source="*")
    observed_at = serializers.DateTimeField(allow_null=True)


class PlacedContainerOutput(ContainerOutput):
    """A container by itself: with the place that it fills."""

    app = serializers.CharField(source="app.name")
    service = serializers.CharField(source="slot.service.name")
    slot = serializers.IntegerField(source="slot.index")


class SlotWantedOutput(serializers.Serializer[SlotDetail]):
    wanted = serializers.SerializerMethodField(help_text="False: what is left of it is to go.")

    def get_wanted(self, detail: SlotDetail) -> bool:
        return not detail.slot.retired


class SlotSeenOutput(serializers.Serializer[SlotDetail]):
    """Of its newest container; null: there is none."""

    state = serializers.SerializerMethodField()
    health = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=ContainerState.choices, allow_null=True))
    def get_state(self, detail: SlotDetail) -> str | None:
        return detail.current.state if detail.current else None

    @extend_schema_field(serializers.ChoiceField(choices=Health.choices, allow_null=True))
    def get_health(self, detail: SlotDetail) -> str | None:
        return detail.current.health if detail.current else None


class SlotOutput(serializers.Serializer[SlotDetail]):
    index = serializers.IntegerField(source="slot.index")
    name = serializers.CharField(source="slot")
    generation = serializers.IntegerField(source="slot.generation")
    failures = serializers.IntegerField(
        source="slot.failures", help_text="In a row; with them the back-off grows."
    )
    not_before = serializers.DateTimeField(source="slot.not_before", allow_null=True)
    pending = serializers.CharField(source="slot.pending", help_text="Why nothing fills it; empty otherwise.")
    desired = SlotWantedOutput(source="*")
    observed = SlotSeenOutput(source="*")
    observed_at = serializers.SerializerMethodField(help_text="When its node last spoke of its container.")
    container = ContainerOutput(source="current", allow_null=True)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_observed_at(self, detail: SlotDetail) -> datetime | None:
        return detail.current.observed_at if detail.current else None


class SlotDetailOutput(SlotOutput):
    """With how the last placement came about: each node refused by a filter, or scored."""

    node = NodeNameOutput(
        source="slot.node", allow_null=True, help_text="Of a global service: its only node."
    )
    scores = serializers.DictField(
        source="slot.scores",
        child=serializers.FloatField(),
        help_text="By part, of the node it was placed on, at its turn.",
    )
    explanation = ExplanationOutput(source="slot.explanation", allow_null=True)
    older = ContainerOutput(many=True, help_text="Earlier containers that are still on a node.")
