"""How nodes are shown. CPU in thousandths of a core, memory in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.cluster.enums import HoldState, JoinTokenState, NodeState
from console.cluster.models import Death, Hold, JoinToken, Node
from console.cluster.versions import skew
from console.network.queries import Reach, reach_of
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
    leaving = serializers.SerializerMethodField(help_text="It is removed once nothing is on it.")

    def get_leaving(self, node: Node) -> bool:
        return hasattr(node, "departure")


class OverlayOutput(serializers.Serializer[Reach]):
    """A node's part in networks across hosts."""

    wanted = serializers.BooleanField(help_text="Whether the operator chose networks across hosts.")
    reached = serializers.BooleanField()
    manager = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it is not reached.")


class NodeSeenOutput(serializers.Serializer[Node]):
    state = serializers.ChoiceField(choices=NodeState.choices)
    state_reason = serializers.CharField()
    address = serializers.CharField()
    agent_version = serializers.CharField()
    protocol = serializers.IntegerField(help_text="The version that the agent speaks; 0: not known yet.")
    version_warning = serializers.SerializerMethodField(help_text="Empty when agent and console match.")
    engine = serializers.DictField()
    labels = serializers.DictField(source="observed_labels", child=serializers.CharField())
    cpu = serializers.IntegerField()
    memory = serializers.IntegerField()
    pids = serializers.IntegerField()
    disk = serializers.IntegerField(help_text="Bytes that containers may reserve; 0: unknown.")
    disk_total = serializers.IntegerField(
        help_text="Bytes of the file system with the engine's data; 0: unknown."
    )
    disk_free = serializers.IntegerField(help_text="Bytes of it that are free, to about a hundredth.")
    disk_low = serializers.BooleanField(help_text="So few that nothing new is placed there.")
    resources = serializers.DictField(
        child=serializers.IntegerField(), help_text="Whole units of generic resources."
    )
    port_first = serializers.IntegerField()
    port_last = serializers.IntegerField()
    foreign_containers = serializers.IntegerField(
        help_text="Containers of other consoles, which are left alone."
    )

    overlay = serializers.SerializerMethodField()

    @extend_schema_field(OverlayOutput)
    def get_overlay(self, node: Node) -> dict[str, Any]:
        return dict(OverlayOutput(reach_of(node)).data)

    def get_version_warning(self, node: Node) -> str:
        return skew(node)


class CredentialOutput(serializers.Serializer[Node]):
    """Of a node's link token and broker password, which change together."""

    renewed_at = serializers.DateTimeField(source="rotation.renewed_at", default=None, allow_null=True)
    asked_at = serializers.DateTimeField(
        source="rotation.asked_at",
        default=None,
        allow_null=True,
        help_text="Since when new ones are wanted of the agent.",
    )
    revoked_at = serializers.DateTimeField(source="rotation.revoked_at", default=None, allow_null=True)


class JoinTokenOutput(serializers.Serializer[JoinToken]):
    id = serializers.CharField()
    hint = serializers.CharField(help_text="How the token begins.")
    state = serializers.SerializerMethodField()
    name = serializers.CharField(help_text="Of the node to be; empty: the host says its own.")
    zone = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())
    rejoins = serializers.SerializerMethodField(
        help_text="It is for a node that is there, which gets new credentials."
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(allow_null=True)
    used_for = serializers.CharField(help_text="Name of the node that joined with it.")

    def get_rejoins(self, token: JoinToken) -> bool:
        return token.node_id is not None

    @extend_schema_field(serializers.ChoiceField(choices=JoinTokenState.choices))
    def get_state(self, token: JoinToken) -> str:
        return token.state(timezone.now()).value


class DeathOutput(serializers.Serializer[Death]):
    """An administrator's word, until the node's next sign of life."""

    at = serializers.DateTimeField()
    actor = serializers.CharField()
    volumes = serializers.BooleanField(help_text="Its volumes were given up as well.")


class HoldOutput(serializers.Serializer[Hold]):
    """The node knows more than the database, which seems to be a restored backup."""

    state = serializers.ChoiceField(choices=HoldState.choices)
    at = serializers.DateTimeField()
    ahead = serializers.SerializerMethodField(
        help_text="How many slots' generations the node knows to be above the database's."
    )
    unknown = serializers.SerializerMethodField(
        help_text="How many containers run there and are not in the database."
    )

    def get_ahead(self, hold: Hold) -> int:
        return len(hold.ahead)

    def get_unknown(self, hold: Hold) -> int:
        return len(hold.unknown)


class HeldOutput(serializers.Serializer[Hold]):
    """Names, of all teams: for administrators."""

    ahead = serializers.ListField(child=serializers.CharField())
    unknown = serializers.ListField(child=serializers.CharField())


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
    credential = CredentialOutput(source="node")
    death = DeathOutput(source="node.death", default=None, allow_null=True)
    hold = HoldOutput(source="node.hold", default=None, allow_null=True)
    reserved = ReservedOutput(source="*")
