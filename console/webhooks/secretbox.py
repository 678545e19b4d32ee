"""Signing secrets as they are kept: sealed, each bound to its webhook and row."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from console.accounts import envelope
from console.webhooks import signing
from console.webhooks.models import Webhook, WebhookSecret


def add_secret(webhook: Webhook) -> str:
    """A new one, which signs from now on; in the caller's transaction. It is shown this once."""
    secret = signing.new_secret()
    row = WebhookSecret(webhook=webhook)
    row.sealed = envelope.seal(secret.encode(), *_binding(row))
    row.save()
    return secret


def live_secrets(webhook: Webhook) -> list[str]:
    """Those that sign, the newest first. Raises `envelope.CannotOpen`."""
    return [
        envelope.open_sealed(bytes(row.sealed), *_binding(row)).decode()
        for row in WebhookSecret.objects.filter(_live(timezone.now()), webhook=webhook).order_by(
            "-created_at"
        )
    ]


def expire_others(webhook: Webhook, at: datetime) -> None:
    """The secret that signs now does so until then; older ones no more."""
    newest = webhook.secrets.order_by("-created_at").first()
    webhook.secrets.exclude(pk=newest.pk if newest else "").delete()
    webhook.secrets.update(expires_at=at)


def drop_expired() -> int:
    return WebhookSecret.objects.filter(expires_at__lte=timezone.now()).delete()[0]


def rewrapped(row: WebhookSecret) -> bytes | None:
    """Its envelope under the newest master key; None when it is. Raises `envelope.CannotOpen`."""
    return envelope.rewrap(bytes(row.sealed), *_binding(row))


def _binding(row: WebhookSecret) -> tuple[str, ...]:
    return "webhook", row.webhook_id, row.pk


def _live(now: datetime) -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=now)
