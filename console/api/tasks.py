"""Work that nobody waits for."""

from __future__ import annotations

from celery import shared_task

from console.api.idempotency import forget_old


@shared_task
def forget_kept_answers() -> int:
    """Delete answers to idempotent writes past their time; answers with their number."""
    return forget_old()
