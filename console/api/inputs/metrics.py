"""Which metrics, how far back and how fine."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.api.inputs import Input
from console.workloads import metrics

_AGE = re.compile(r"(\d{1,7})([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@extend_schema_field(OpenApiTypes.STR)
class Age(serializers.Field[int, str, int, Any]):
    """A number of seconds, as 3600, 30m, 24h or 7d."""

    def to_internal_value(self, data: str) -> int:
        found = _AGE.fullmatch(str(data))
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 60 <= seconds <= metrics.AGES[-1]:
            raise serializers.ValidationError(_("Choose from 1m to 7d: 30m, 24h or 3600, say."))
        return seconds

    def to_representation(self, value: int) -> int:
        return value


class SingleMetricsQuery(Input):
    range = Age(default=3600, help_text="How far back, from 1m to 7d: 30m, 24h or 3600, say.")
    step = serializers.ChoiceField(
        choices=metrics.STEPS,
        required=False,
        help_text="Seconds. The finest that is kept for the range is usual: 10 for an hour, 60 for a day, else 600.",
    )


class _MetricsQuery(SingleMetricsQuery):
    limit = serializers.IntegerField(
        min_value=1,
        max_value=metrics.MOST_SERIES,
        default=metrics.USUAL_SERIES,
        help_text="At most so many, the busiest.",
    )


class TeamMetricsQuery(_MetricsQuery):
    by = serializers.ChoiceField(choices=("team", "app"), default="app")


class AppMetricsQuery(_MetricsQuery):
    by = serializers.ChoiceField(choices=("app", "service", "slot"), default="service")


class ServiceMetricsQuery(_MetricsQuery):
    by = serializers.ChoiceField(choices=("service", "slot"), default="slot")
