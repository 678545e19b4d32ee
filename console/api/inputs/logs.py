"""Which lines of the logs."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from console.api.inputs import Input
from console.workloads.logevents import MOST_PATTERN, moment_of

MOST_TAIL = 5000


class LogTime(serializers.Field[str, str, str, Any]):
    """A moment, as a timestamp of the engines'."""

    def to_internal_value(self, data: str) -> str:
        try:
            return moment_of(str(data), timezone.now())
        except ValueError as error:
            raise serializers.ValidationError(
                _("Write it as 2026-01-31T12:00:00Z, or as an age such as 10m, 2h or 7d.")
            ) from error

    def to_representation(self, value: str) -> str:
        return value


class LogsQuery(Input):
    follow = serializers.BooleanField(default=False, help_text="Go on with server-sent events.")
    tail = serializers.IntegerField(
        min_value=0,
        max_value=MOST_TAIL,
        required=False,
        help_text="The last old lines of each container. "
        "100 if nothing narrows them (`since`, `until`, `search`), else all.",
    )
    since = LogTime(required=False, help_text="RFC 3339, or an age such as 10m, 2h or 7d.")
    until = LogTime(required=False, help_text="As `since`; not with `follow`.")
    search = serializers.CharField(
        required=False,
        trim_whitespace=False,
        max_length=MOST_PATTERN,
        help_text="Lines with this text alone, whatever its case.",
    )
    regex = serializers.BooleanField(default=False, help_text="`search` is a pattern, in RE2's syntax.")
    ended = serializers.BooleanField(
        default=False, help_text="Also what is kept of containers that ended and are gone from their nodes."
    )
    service = serializers.CharField(required=False, help_text="One service alone.")
    slot = serializers.IntegerField(required=False, min_value=1, help_text="With `service`: one slot of it.")
    container = serializers.CharField(
        required=False, help_text="One container alone, by its id; also one that ended."
    )
    format = serializers.ChoiceField(
        choices=("json", "text"),
        default="json",
        help_text="`text`: as a file of plain lines; not with `follow`.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What makes no sense together is an error, not ignored."""
        problems: dict[str, Any] = {}
        if attrs["follow"]:
            problems |= {name: _("Not with follow.") for name in ("until",) if name in attrs}
            problems |= {"format": _("Not with follow.")} if attrs["format"] == "text" else {}
        if "slot" in attrs and "service" not in attrs:
            problems["slot"] = _("Name its service, too.")
        if problems:
            raise serializers.ValidationError(problems)
        return attrs
