"""History, wake-up marks: rows that know no domain. Owners are named by id, so history outlives them."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """One line of an app's, a node's or a team's history: who or what did what, when, why."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    team_id = models.CharField(max_length=16, blank=True)
    app_id = models.CharField(max_length=16, blank=True)
    node_id = models.CharField(max_length=16, blank=True)
    kind = models.CharField(max_length=64)
    message = models.TextField()
    actor = models.CharField(max_length=200)
    data = models.JSONField(default=dict)
    warning = models.BooleanField(default=False)
    dispatched = models.BooleanField(default=False, db_default=False)
    """Whether the webhooks that want it have it; until then it is their outbox."""

    class Meta:
        indexes = [
            models.Index(fields=["team_id", "-id"], name="event_team"),
            models.Index(fields=["app_id", "-id"], name="event_app"),
            models.Index(fields=["node_id", "-id"], name="event_node"),
            models.Index(fields=["id"], name="event_undispatched", condition=models.Q(dispatched=False)),
        ]

    def __str__(self) -> str:
        return self.message


class Dirty(models.Model):
    """An app whose desired or observed state changed. The controller deletes what it consumed."""

    id = models.BigAutoField(primary_key=True)
    app_id = models.CharField(max_length=16)

    def __str__(self) -> str:
        return self.app_id


class AuditEntry(models.Model):
    """One row of the audit. `seq`, `previous` and `hash` are its place in the chain, once it is sealed."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=64)
    message = models.TextField()
    actor = models.CharField(max_length=254)
    address = models.CharField(max_length=200, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    token_id = models.CharField(max_length=16, blank=True)
    token_name = models.CharField(max_length=200, blank=True)
    team_id = models.CharField(max_length=16, blank=True)
    app_id = models.CharField(max_length=16, blank=True)
    node_id = models.CharField(max_length=16, blank=True)
    data = models.JSONField(default=dict)
    seq = models.BigIntegerField(null=True, unique=True)
    previous = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["team_id", "-id"], name="audit_team"),
            models.Index(fields=["app_id", "-id"], name="audit_app"),
            models.Index(fields=["id"], name="audit_unsealed", condition=models.Q(seq=None)),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.message}"


class AuditHead(models.Model):
    """The end of the audit's chain: one row, locked by whoever seals."""

    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.seq} {self.hash}"
