"""What may be said of nodes and of hosts that join."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from console.api.inputs import Input, PageQuery, TextMap
from console.cluster.enums import NodeState


class DeathInput(Input):
    volumes = serializers.BooleanField(
        default=False,
        help_text="Give up its volumes as well: what had its data there starts elsewhere with empty ones.",
    )


class NodesQuery(PageQuery):
    state = serializers.ChoiceField(choices=NodeState.choices, required=False)
    zone = serializers.CharField(required=False)


class NodeInput(Input):
    name = serializers.CharField(max_length=200)
    zone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    labels = TextMap(required=False)


class NodeChangeInput(Input):
    """What is left out stays."""

    zone = serializers.CharField(
        max_length=40, required=False, allow_blank=True, help_text="Empty: it is in none."
    )
    labels = TextMap(
        required=False,
        help_text="All that it is to have whatever its agent says; each goes before the agent's of the same name.",
    )


class JoinTokenInput(Input):
    name = serializers.CharField(
        max_length=40, required=False, allow_blank=True, help_text="Without it the host says its own."
    )
    zone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    labels = TextMap(required=False)
    node = serializers.CharField(
        max_length=40, required=False, help_text="A node that gets a new host or new credentials."
    )
    minutes = serializers.IntegerField(
        min_value=1, max_value=7 * 24 * 60, default=60, help_text="How long it may be used."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "node" in attrs and attrs.keys() & {"name", "zone", "labels"}:
            raise serializers.ValidationError({"node": _("A node that is there keeps its name and labels.")})
        return attrs


class JoinInput(Input):
    """As the agent makes it. Its secrets stay with it: these are their SHA-256, as hex."""

    version = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    agent = serializers.CharField(max_length=40)
    token_digest = serializers.RegexField(r"^[0-9a-f]{64}$")
    broker_digest = serializers.RegexField(r"^[0-9a-f]{64}$")
    name = serializers.CharField(max_length=40, required=False, allow_blank=True)
    address = serializers.CharField(max_length=200, required=False, allow_blank=True)
