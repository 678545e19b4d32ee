"""Rows of joining and of nodes' credentials. Of every secret only its SHA-256 is here."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from console.cluster.enums import CredentialEnd, JoinTokenState
from console.common.ids import IdField


class JoinToken(models.Model):
    """Lets one host join, once, until it expires. A set `name` is the new node's; else the host says its own."""

    id = IdField()
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=16)
    """How the token begins."""
    node = models.ForeignKey("cluster.Node", on_delete=models.CASCADE, null=True, related_name="join_tokens")
    """The node that gets a new host or new credentials; empty: a new node."""
    name = models.CharField(max_length=40, blank=True)
    zone = models.CharField(max_length=40, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    used_for = models.CharField(max_length=40, blank=True)
    """Name of the node that joined with it."""
    used_by = models.CharField(max_length=64, blank=True)
    """Digest of the link token that it was used for, so that a host may ask again for an answer that got lost."""

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.hint}…"

    def state(self, now: datetime) -> JoinTokenState:
        if self.used_at:
            return JoinTokenState.USED
        if self.revoked_at:
            return JoinTokenState.REVOKED
        return JoinTokenState.EXPIRED if self.expires_at <= now else JoinTokenState.OPEN


class Rotation(models.Model):
    """How far a node is with its next credentials. Present and next ones are both valid until a next one was used."""

    node = models.OneToOneField(
        "cluster.Node", on_delete=models.CASCADE, primary_key=True, related_name="rotation"
    )
    asked_at = models.DateTimeField(null=True)
    """An operator wants new ones."""
    token_digest = models.CharField(max_length=64, unique=True, null=True)
    broker_digest = models.CharField(max_length=64, blank=True)
    offered_at = models.DateTimeField(null=True)
    renewed_at = models.DateTimeField(null=True)
    """When the present ones were first used; empty: they are the node's first."""
    revoked_at = models.DateTimeField(null=True)
    """An operator ended them, and the node has not joined anew."""

    def __str__(self) -> str:
        return f"rotation of {self.node_id}"


class FormerCredential(models.Model):
    """A link token that holds no more, so that an agent that still comes with it is told why."""

    token_digest = models.CharField(max_length=64, primary_key=True)
    node_name = models.CharField(max_length=40)
    why = models.CharField(max_length=16, choices=CredentialEnd.choices)
    ended_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.node_name}: {self.why}"


class Departure(models.Model):
    """An operator wants the node drained, and removed once it is empty."""

    node = models.OneToOneField(
        "cluster.Node", on_delete=models.CASCADE, primary_key=True, related_name="departure"
    )
    actor = models.CharField(max_length=200)
    asked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"departure of {self.node_id}"
