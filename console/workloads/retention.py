"""What is deleted once it is old: history, ended jobs, records of containers, sessions; and reasons of placements
that no slot points at any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import F, Q
from django.utils import timezone

from console.accounts.models import SignInLink, Team
from console.cluster.models import Job
from console.common.models import Event
from console.workloads.enums import OperationState
from console.workloads.models import Container, Explanation, Operation

BATCH = 1000
"""Rows per statement: a sweep never holds SQLite's writer for long."""


def sweep_old_rows() -> dict[str, int]:
    """Delete in batches what is older than its time; answers with the number of rows by kind."""
    now = timezone.now()
    old = now - timedelta(days=settings.RETENTION_DAYS)
    # What a slot in use held last tells that a task is done, or that trying again is of no use.
    newest = Q(generation=F("slot__generation"), slot__retired=False)
    longer = _with_logs(now, old)
    doomed = {
        "jobs": Job.objects.filter(done_at__lt=now - timedelta(days=1)),
        "containers": Container.objects.filter(removed_at__lt=old).exclude(newest).exclude(longer),
        "explanations": Explanation.objects.filter(slots=None),
        "events": Event.objects.filter(at__lt=old),
        "operations": Operation.objects.filter(ended_at__lt=old).exclude(state=OperationState.RUNNING),
        "sessions": Session.objects.filter(expire_date__lt=now),
        "links": SignInLink.objects.filter(expires_at__lt=now),
    }
    counts = {}
    for kind, rows in doomed.items():
        counts[kind] = 0
        while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
            rows.model._default_manager.filter(pk__in=ids).delete()
            counts[kind] += len(ids)
    return counts


def _with_logs(now: datetime, old: datetime) -> Q:
    """Containers whose logs may be kept for longer than records: without its record a log is not found."""
    keep = Q(pk__in=[])
    for team, days in Team.objects.values_list("id", "log_retention_days"):
        since = now - timedelta(days=days)
        if since < old:
            keep |= Q(app__team=team, removed_at__gte=since)
    return keep
