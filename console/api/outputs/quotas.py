"""How quotas and instance sizes are shown."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from console.accounts.models import InstanceSize


class AmountOutput(serializers.Serializer[Any]):
    apps = serializers.IntegerField()
    containers = serializers.IntegerField()
    cpu = serializers.IntegerField(help_text="Thousandths of a core.")
    memory = serializers.IntegerField(help_text="Bytes.")


class AllowedOutput(serializers.Serializer[Any]):
    apps = serializers.IntegerField(allow_null=True)
    containers = serializers.IntegerField(allow_null=True)
    cpu = serializers.IntegerField(allow_null=True)
    memory = serializers.IntegerField(allow_null=True)


class QuotaOutput(serializers.Serializer[Any]):
    used = AmountOutput()
    allowed = AllowedOutput(help_text="Null: no limit.")
    priority = serializers.IntegerField(
        help_text="The highest `x-berth.priority` that its services may have."
    )


class SizeOutput(serializers.Serializer[InstanceSize]):
    name = serializers.CharField()
    cpu = serializers.IntegerField(help_text="Thousandths of a core.")
    memory = serializers.IntegerField(help_text="Bytes.")
    default = serializers.BooleanField(help_text="For services that give no limits.")
