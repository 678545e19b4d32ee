"""Work that nobody waits for."""

from __future__ import annotations

from celery import shared_task

from console.webhooks.delivering import deliver
from console.webhooks.retention import sweep_deliveries


@shared_task
def send_webhooks() -> int:
    """Send what is due; answers with the number of attempts."""
    return deliver()


@shared_task
def sweep() -> int:
    """Delete deliveries past their retention; answers with how many."""
    return sweep_deliveries()
