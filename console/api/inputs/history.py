"""Which operations, events and rows of the audit, and how long to wait for one."""

from __future__ import annotations

from rest_framework import serializers

from console.api.inputs import Input, PageQuery
from console.workloads.enums import OperationKind, OperationState

LONGEST_WAIT = 300


class OperationsQuery(PageQuery):
    app = serializers.CharField(required=False, help_text="Name or id of one app.")
    state = serializers.ChoiceField(choices=OperationState.choices, required=False)
    kind = serializers.ChoiceField(choices=OperationKind.choices, required=False)
    since = serializers.DateTimeField(required=False, help_text="Begun at or after this time.")


class AppEventsQuery(PageQuery):
    node = serializers.CharField(required=False, help_text="Name or id.")
    kind = serializers.CharField(
        max_length=64, required=False, help_text="As `app.scale`; `app` is all that begin with `app.`."
    )
    warning = serializers.BooleanField(allow_null=True, default=None, help_text="Only warnings, or none.")
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False, help_text="Before this time.")


class EventsQuery(AppEventsQuery):
    app = serializers.CharField(required=False, help_text="Name or id.")


class AuditQuery(PageQuery):
    actor = serializers.CharField(required=False, max_length=254, help_text="Who did it: an address.")
    kind = serializers.RegexField(
        r"^[a-z_]+(\.[a-z_]+)*$",
        max_length=64,
        required=False,
        help_text="One kind, as `member.role`, or all that begin with a word, as `member`.",
    )
    token = serializers.CharField(
        required=False, max_length=200, help_text="Name or id of the API token that it was done with."
    )
    target = serializers.CharField(
        required=False,
        max_length=254,
        help_text="What it was done to: name or id of an app, a node, a member, a token, a webhook, a secret, …",
    )
    since = serializers.DateTimeField(required=False, help_text="At or after this time.")
    until = serializers.DateTimeField(required=False, help_text="Before this time.")


class AuditExportQuery(Input):
    after = serializers.IntegerField(
        min_value=0, max_value=2**63 - 1, default=0, help_text="Number (`seq`) of the last row that you have."
    )


class EventStreamQuery(Input):
    app = serializers.CharField(required=False, help_text="Name or id of one app.")
    after = serializers.IntegerField(
        min_value=0,
        max_value=2**63 - 1,
        required=False,
        help_text="As Last-Event-ID; without either: from now on.",
    )


class WaitQuery(Input):
    timeout = serializers.FloatField(min_value=0, max_value=LONGEST_WAIT, default=60, help_text="Seconds.")
    state = serializers.ChoiceField(
        choices=OperationState.choices,
        required=False,
        help_text="Wait for this one; without it, for the end.",
    )
