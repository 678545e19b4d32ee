"""Work that nobody waits for."""

from __future__ import annotations

from celery import shared_task

from console.workloads.retention import sweep_old_rows


@shared_task
def sweep() -> dict[str, int]:
    """Delete history past its retention; answers with the number of rows by kind."""
    return sweep_old_rows()
