"""Deliveries are kept as long as history is, also those that wait for a webhook that stays paused."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from console.webhooks.models import Delivery
from console.webhooks.secretbox import drop_expired

BATCH = 1000


def sweep_deliveries() -> int:
    """Delete in batches what is older, and secrets that sign no more; how many deliveries there were."""
    drop_expired()
    old = Delivery.objects.filter(created_at__lt=timezone.now() - timedelta(days=settings.RETENTION_DAYS))
    count = 0
    while ids := list(old.values_list("pk", flat=True)[:BATCH]):
        Delivery.objects.filter(pk__in=ids).delete()
        count += len(ids)
    return count
