"""How nodes are shown. CPU in thousandths of a core, memory in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rest_framework import serializers

from console.cluster.enums import NodeState
from console.cluster.models import Node
from console.workloads.drains import Drain


@dataclass(frozen=True, slots=True)
class LoadedNode:
    """A node with what is reserved of it, by all teams."""

    node: Node
    containers: int = 0
    cpu: int = 0
    memory: int = 0


def loaded(node: Node, load: Mapping[str, tuple[int, int, int]]) -> LoadedNode:
    """`load` as `console.workloads.queries.node_load` gives it."""
    return LoadedNode(node, *load.get(node.id, (0, 0, 0)))


class NodeWantedOutput(serializers.Serializer[Node]):
    cordoned = serializers.BooleanField()
    draining = serializers.BooleanField()
    zone = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())


class NodeSeenOutput(serializers.Serializer[Node]):
    state = serializers.ChoiceField(choices=NodeState.choices)
    state_reason = serializers.CharField()
    address = serializers.CharField()
    agent_version = serializers.CharField()
    engine = serializers.DictField()
    labels = serializers.DictField(source="observed_labels", child=serializers.CharField())
    cpu = serializers.IntegerField()
    memory = serializers.IntegerField()
    pids = serializers.IntegerField()
    disk = serializers.IntegerField(help_text="Bytes; 0: unknown.")
    resources = serializers.DictField(
        child=serializers.IntegerField(), help_text="Whole units of generic resources."
    )
    port_first = serializers.IntegerField()
    port_last = serializers.IntegerField()
    foreign_containers = serializers.IntegerField(
        help_text="Containers of other consoles, which are left alone."
    )


class ReservedOutput(serializers.Serializer[LoadedNode]):
    containers = serializers.IntegerField()
    cpu = serializers.IntegerField()
    memory = serializers.IntegerField()


class DrainOutput(serializers.Serializer[Drain]):
    """Containers of all teams."""

    total = serializers.IntegerField(help_text="When it began.")
    left = serializers.IntegerField()
    bound = serializers.IntegerField(
        help_text="Of those: stay, for their volumes or as there may not be two."
    )
    ending = serializers.IntegerField(help_text="Of those: run to their end.")


class NodeOutput(serializers.Serializer[LoadedNode]):
    id = serializers.CharField(source="node.id")
    name = serializers.CharField(source="node.name")
    created_at = serializers.DateTimeField(source="node.created_at")
    labels = serializers.DictField(
        source="node.all_labels", child=serializers.CharField(), help_text="Both kinds, for placement."
    )
    desired = NodeWantedOutput(source="node")
    observed = NodeSeenOutput(source="node")
    observed_at = serializers.DateTimeField(source="node.contact_at", allow_null=True)
    reserved = ReservedOutput(source="*")
