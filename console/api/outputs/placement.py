"""How a placement explains itself, and what would happen: nodes that went, replicas that came, moves."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.api.outputs.quotas import AllowedOutput, AmountOutput
from console.controller.preview import (
    Change,
    Concerned,
    Group,
    NodeForecast,
    PlannedMove,
    RebalanceForecast,
    RoomForecast,
    ServicePlacement,
)
from console.workloads.models import Explanation
from console.workloads.moves import Marked, Skipped, WantedMove
from console.workloads.queries import Placed

_SCORES = serializers.DictField(child=serializers.FloatField(), help_text="By part; higher is better.")


class RefusalOutput(serializers.Serializer[Any]):
    filter = serializers.CharField()
    reason = serializers.CharField()
    asked = serializers.IntegerField(help_text="0 where it is about no amount.")
    free = serializers.IntegerField()


class VerdictOutput(serializers.Serializer[Any]):
    """One node: refused by a filter, or scored."""

    node = serializers.CharField(help_text="Its id.")
    name = serializers.CharField()
    refusal = RefusalOutput(allow_null=True)
    scores = _SCORES


class RefusedOutput(serializers.Serializer[Any]):
    """Nodes that were refused for the same reason."""

    filter = serializers.CharField()
    reason = serializers.CharField()
    count = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField(), help_text="A few of them.")


class ReasonsOutput(serializers.Serializer[Explanation]):
    at = serializers.DateTimeField()
    nodes = serializers.IntegerField(help_text="How many there were.")
    fitting = serializers.IntegerField()
    summary = serializers.CharField()
    remedies = serializers.ListField(
        child=serializers.CharField(), help_text="What would make it fit, the smallest change first."
    )
    refused = RefusedOutput(many=True, help_text="The most frequent reason first.")
    verdicts = VerdictOutput(many=True, help_text="Of at most 50 nodes, the best first.")


class ExplanationOutput(ReasonsOutput):
    """Of a slot's last placement."""

    together_with = serializers.SerializerMethodField(help_text="How many other slots it decided as well.")

    @extend_schema_field(serializers.IntegerField())
    def get_together_with(self, explanation: Explanation) -> int:
        return explanation.slots.count() - 1


class PlacedOutput(serializers.Serializer[Placed]):
    id = serializers.CharField(source="container")
    app = serializers.CharField()
    service = serializers.CharField()
    slot = serializers.IntegerField(source="index")


class ConcernedOutput(serializers.Serializer[Concerned]):
    container = PlacedOutput(source="place")
    target = serializers.CharField(allow_null=True, help_text="Name of the node that it would go to.")
    reason = serializers.CharField(help_text="Why it would stay, or wait.")
    remedies = serializers.ListField(child=serializers.CharField())

    def to_representation(self, instance: Concerned) -> dict[str, Any]:
        shown = dict(super().to_representation(instance))
        return {**shown, "target": instance.target or None}


class GroupOutput(serializers.Serializer[Group]):
    total = serializers.IntegerField(help_text="Of all teams.")
    own = ConcernedOutput(many=True, help_text="Your team's.")


class NodeForecastOutput(serializers.Serializer[NodeForecast]):
    node = serializers.CharField(source="node.name")
    event = serializers.ChoiceField(choices=("loss", "drain"))
    moved = GroupOutput(help_text="They find a place on another node.")
    waiting = GroupOutput(help_text="They find none.")
    bound = GroupOutput(help_text="They stay with their node.")
    ended = GroupOutput(help_text="Of global services, which are not run there for as long.")


class NodeCountOutput(serializers.Serializer[Any]):
    id = serializers.CharField(source="node")
    name = serializers.CharField()
    count = serializers.IntegerField()


class RoomOutput(serializers.Serializer[RoomForecast]):
    service = serializers.CharField(source="service.name")
    limit = serializers.IntegerField()
    fits = serializers.IntegerField(
        help_text="How many more replicas have a place now and are within the team's quota."
    )
    nodes = NodeCountOutput(many=True, help_text="How many on which node.")
    refusal = ReasonsOutput(
        allow_null=True,
        help_text="Why no node takes the next one; null: the limit was reached, or what the quota allows.",
    )
    over_quota = serializers.CharField(
        help_text="What the team's quota says to the next one, where that is what it fails for; else empty."
    )


class ChangeOutput(serializers.Serializer[Change]):
    path = serializers.CharField(help_text="In the Compose model, as `services.web.replicas`.")
    before = serializers.JSONField(help_text="null: there is none.")
    after = serializers.JSONField()


class ServicePlacementOutput(serializers.Serializer[ServicePlacement]):
    """Containers that would be new."""

    service = serializers.CharField()
    wanted = serializers.IntegerField()
    placed = serializers.IntegerField(help_text="Of them: find a node as the cluster is now.")
    nodes = NodeCountOutput(many=True)
    refusal = ReasonsOutput(allow_null=True, help_text="Of the first that finds none.")


class QuotaChangeOutput(serializers.Serializer[Any]):
    """What the team's apps claim, at their limits."""

    before = AmountOutput()
    after = AmountOutput()
    allowed = AllowedOutput(help_text="Null: no limit.")


class DryRunOutput(serializers.Serializer[Any]):
    """What a write would do. Nothing was changed."""

    dry_run = serializers.BooleanField()
    status = serializers.IntegerField(help_text="What the write itself would answer.")
    events = serializers.ListField(
        child=serializers.CharField(), help_text="What its history would say, in this order."
    )
    changes = ChangeOutput(many=True, help_text="Of the app's model.")
    placement = ServicePlacementOutput(many=True)
    quota = QuotaChangeOutput(allow_null=True, help_text="null: the write is of no team.")


class MoveOutput(serializers.Serializer[WantedMove]):
    container = serializers.CharField()
    node = serializers.CharField(source="source", help_text="Id of the node that it is on.")
    target = serializers.CharField(help_text="Id of the node that it goes to.")


class PlannedMoveOutput(serializers.Serializer[PlannedMove]):
    container = serializers.CharField(source="move.container")
    node = serializers.CharField(source="move.source")
    target = serializers.CharField(source="move.target")
    place = PlacedOutput(allow_null=True, help_text="null: another team's.")
    node_name = serializers.CharField(source="source_name")
    target_name = serializers.CharField()
    gain = serializers.FloatField(help_text="By which the measure falls.")
    reason = serializers.CharField()


class RebalanceOutput(serializers.Serializer[RebalanceForecast]):
    moves = PlannedMoveOutput(many=True)
    before = serializers.FloatField(help_text="How unevenly the nodes are used; lower is better.")
    after = serializers.FloatField()
    stopped = serializers.CharField(help_text="Why there are no more moves.")


class SkippedOutput(serializers.Serializer[Skipped]):
    move = MoveOutput()
    reason = serializers.CharField()


class MarkedOutput(serializers.Serializer[Marked]):
    moves = MoveOutput(
        many=True, help_text="They are made now, each new container well before the old one stops."
    )
    skipped = SkippedOutput(many=True, help_text="What has changed since the plan.")
