"""Work that nobody waits for."""

from __future__ import annotations

from celery import shared_task

from console.workloads import metrics
from console.workloads.logsweep import sweep_stored_logs
from console.workloads.retention import sweep_old_rows


@shared_task
def sweep() -> dict[str, int]:
    """Delete history past its retention; answers with the number of rows by kind."""
    return sweep_old_rows()


@shared_task
def sweep_logs() -> dict[str, int]:
    """Delete stored logs past their teams' retention or beyond their teams' share; answers with numbers of files."""
    return sweep_stored_logs()


@shared_task
def record_metrics() -> int:
    """Take down what containers and nodes used in the steps that have ended; answers with how many those were."""
    return metrics.record_new()
