"""How use over time is shown: columns of numbers that share one column of times."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


def _numbers(help_text: str) -> serializers.ListField:
    return serializers.ListField(child=serializers.FloatField(allow_null=True), help_text=help_text)


class SeriesOutput(serializers.Serializer[Any]):
    """One number for each step; null where nothing is known."""

    id = serializers.CharField()
    name = serializers.CharField()
    cpu = _numbers("Thousandths of a core, the step's mean.")
    cpu_max = _numbers("The highest ten seconds of the step.")
    memory = _numbers("Bytes, the step's mean.")
    memory_max = _numbers("The highest ten seconds of the step.")
    net_rx = _numbers("Bytes a second, received.")
    net_tx = _numbers("Bytes a second, sent.")
    block_read = _numbers("Bytes a second, read from disks.")
    block_write = _numbers("Bytes a second, written to disks.")


class MetricsOutput(serializers.Serializer[Any]):
    step = serializers.IntegerField(help_text="Seconds.")
    at = serializers.ListField(
        child=serializers.IntegerField(), help_text="When each step began, in seconds since 1970."
    )
    series = SeriesOutput(many=True)
    left_out = serializers.IntegerField(help_text="How many more there are, which used less CPU.")
