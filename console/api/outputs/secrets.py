"""How secrets are shown: never their values."""

from __future__ import annotations

from rest_framework import serializers

from console.workloads.secretstore import Kept


class SecretOutput(serializers.Serializer[Kept]):
    name = serializers.CharField(source="secret.name")
    version = serializers.IntegerField(source="newest.number", help_text="The newest.")
    created_at = serializers.DateTimeField(source="secret.created_at")
    updated_at = serializers.DateTimeField(source="newest.created_at")
    updated_by = serializers.CharField(source="newest.created_by")
    used_by = serializers.ListField(
        child=serializers.CharField(),
        help_text="Apps whose newest release takes it, with the version that it takes.",
    )
