"""Secrets, which go in and never come out."""

from __future__ import annotations

from rest_framework import serializers

from console.api.inputs import Input


class SecretInput(Input):
    name = serializers.CharField(max_length=200)
    value = serializers.CharField(trim_whitespace=False, write_only=True, help_text="Never shown again.")
