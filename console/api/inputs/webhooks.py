"""What may be said of webhooks and their deliveries."""

from __future__ import annotations

from rest_framework import serializers

from console.api.inputs import Input, PageQuery
from console.webhooks.enums import DeliveryState
from console.webhooks.services import MOST_KINDS, MOST_OVERLAP, USUAL_OVERLAP


class WebhookChangeInput(Input):
    name = serializers.CharField(max_length=100, required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    url = serializers.CharField(max_length=2000, required=False)
    kinds = serializers.ListField(
        child=serializers.RegexField(r"^[a-z_]+(\.[a-z_]+)*$", max_length=64),
        required=False,
        max_length=MOST_KINDS,
        help_text="As `app.scale`; `app` is all that begin with `app.`. Every kind when it is empty.",
    )
    apps = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=100,
        help_text="Names or ids of the apps whose events it gets; null: the whole team's, and the nodes'.",
    )
    warnings_only = serializers.BooleanField(required=False)
    active = serializers.BooleanField(required=False, help_text="False: nothing is sent.")


class WebhookInput(WebhookChangeInput):
    name = serializers.CharField(max_length=100)
    url = serializers.CharField(max_length=2000)


class RotationInput(Input):
    overlap_hours = serializers.IntegerField(
        min_value=0,
        max_value=MOST_OVERLAP,
        default=USUAL_OVERLAP,
        help_text="For so long the old secret signs as well.",
    )


class DeliveriesQuery(PageQuery):
    state = serializers.ChoiceField(choices=DeliveryState.choices, required=False)
    kind = serializers.CharField(
        max_length=64, required=False, help_text="As `app.scale`; `app` is all that begin with `app.`."
    )
    since = serializers.DateTimeField(required=False, help_text="Made at or after this time.")
