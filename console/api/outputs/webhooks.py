"""How webhooks and their deliveries are shown: never their secrets."""

from __future__ import annotations

from rest_framework import serializers

from console.webhooks.enums import DeliveryState, DisabledBy, Failure, WebhookState
from console.webhooks.models import Delivery, Webhook


class WebhookOutput(serializers.Serializer[Webhook]):
    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField(), help_text="None: every kind.")
    apps = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Ids; null: the whole team."
    )
    warnings_only = serializers.BooleanField()
    active = serializers.BooleanField(help_text="What is wanted, and false once it is disabled.")
    state = serializers.ChoiceField(choices=WebhookState.choices)
    disabled_by = serializers.ChoiceField(
        choices=DisabledBy.choices, allow_blank=True, help_text="Why Berth itself stopped it; else empty."
    )
    disabled_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="The last time that went well.")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class DeliveryOutput(serializers.Serializer[Delivery]):
    """One event for one webhook, with its last attempt."""

    id = serializers.CharField(help_text="The message's `webhook-id`, in every attempt.")
    event = serializers.IntegerField(source="event_id")
    kind = serializers.CharField()
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    attempts = serializers.IntegerField(help_text="Since it was last asked for.")
    created_at = serializers.DateTimeField()
    next_at = serializers.DateTimeField(allow_null=True, help_text="When the next attempt is due.")
    attempted_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    status = serializers.IntegerField(allow_null=True, help_text="Of the answer.")
    milliseconds = serializers.IntegerField(allow_null=True)
    failure = serializers.ChoiceField(
        choices=Failure.choices, allow_blank=True, help_text="Of the last attempt; empty: it was good."
    )
    detail = serializers.CharField()


class DeliveryDetailOutput(DeliveryOutput):
    body = serializers.CharField(help_text="What is sent, byte for byte.")
    answer = serializers.CharField(help_text="How the receiver's answer begins: up to 1 KiB.")
