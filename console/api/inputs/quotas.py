"""What administrators settle: quotas and the sizes of instances."""

from __future__ import annotations

from rest_framework import serializers

from console.accounts.quotas import LEAST_CPU, LEAST_MEMORY
from console.api.inputs import Input


class QuotaInput(Input):
    """What is left out has no limit; a priority that is left out is 0."""

    apps = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)
    containers = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)
    cpu = serializers.IntegerField(
        min_value=0, max_value=2**62, required=False, allow_null=True, help_text="Thousandths of a core."
    )
    memory = serializers.IntegerField(
        min_value=0, max_value=2**62, required=False, allow_null=True, help_text="Bytes."
    )
    priority = serializers.IntegerField(
        min_value=-1000,
        max_value=1000,
        required=False,
        help_text="The highest `x-berth.priority` that services may have.",
    )


class SizeInput(Input):
    name = serializers.CharField(max_length=200)
    cpu = serializers.IntegerField(min_value=LEAST_CPU, max_value=10**7, help_text="Thousandths of a core.")
    memory = serializers.IntegerField(min_value=LEAST_MEMORY, max_value=2**50, help_text="Bytes.")
    default = serializers.BooleanField(default=False, help_text="For services that give no limits.")
