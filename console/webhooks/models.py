"""Webhooks of teams, the secrets that sign for them, and what is delivered."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db import models
from django.utils import timezone

from console.accounts.models import Team
from console.common.ids import IdField
from console.common.models import Event
from console.webhooks.enums import DeliveryState, DisabledBy, Failure, WebhookState


class Webhook(models.Model):
    """Where a team's events are sent. `busy_until` is the turn of the worker that delivers to it just now."""

    id = IdField()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True)
    url = models.CharField(max_length=2000)
    kinds = models.JSONField(default=list)
    """Kinds of events, each also for all that begin with it and a dot; none: every kind."""
    apps = models.JSONField(null=True)
    """Ids of the apps whose events it is for; null: the whole team, and the shared nodes."""
    warnings_only = models.BooleanField(default=False)
    active = models.BooleanField(default=True)
    disabled_by = models.CharField(max_length=16, choices=DisabledBy.choices, blank=True)
    disabled_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now_add=True)
    failing_since = models.DateTimeField(null=True)
    """The first failed attempt after the last good one."""
    delivered_at = models.DateTimeField(null=True)
    busy_until = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> WebhookState:
        if not self.active:
            return WebhookState.DISABLED if self.disabled_by else WebhookState.PAUSED
        return WebhookState.FAILING if self.failing_since else WebhookState.ACTIVE

    @property
    def host(self) -> str:
        """What may be shown of the address: the rest may be a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def wants(self, event: Event) -> bool:
        """What a webhook may have is what its team's history shows: the team's own, and that of shared nodes."""
        if self.apps is None:
            if event.team_id not in ("", self.team_id):
                return False
        elif event.team_id != self.team_id or event.app_id not in self.apps:
            return False
        if self.warnings_only and not event.warning:
            return False
        return not self.kinds or any(f"{event.kind}.".startswith(f"{kind}.") for kind in self.kinds)


class WebhookSecret(models.Model):
    """A sealed signing secret. After a rotation the old one signs as well until it expires."""

    id = IdField()
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="secrets")
    sealed = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"secret of {self.webhook_id}"


class Delivery(models.Model):
    """One event for one webhook, and how its last attempt went. Its id is the message's, in every attempt."""

    id = IdField()
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.BigIntegerField()
    kind = models.CharField(max_length=64)
    body = models.TextField()
    state = models.CharField(
        max_length=16, choices=DeliveryState.choices, default=DeliveryState.PENDING.value
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    """Since it was last asked for."""
    created_at = models.DateTimeField(auto_now_add=True)
    next_at = models.DateTimeField(null=True, default=timezone.now)
    attempted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    milliseconds = models.PositiveIntegerField(null=True)
    failure = models.CharField(max_length=16, choices=Failure.choices, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    answer = models.TextField(blank=True)
    """How the receiver's answer begins."""

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["webhook", "event_id"], name="delivery_unique")]
        indexes = [
            models.Index(fields=["webhook", "-created_at", "-id"], name="delivery_newest"),
            models.Index(
                fields=["next_at"], name="delivery_due", condition=models.Q(state=DeliveryState.PENDING.value)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.webhook_id}"

    @property
    def shown_state(self) -> DeliveryState:
        return DeliveryState(self.state)
