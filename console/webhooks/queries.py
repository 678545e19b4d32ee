from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from console.accounts.access import Access
from console.webhooks.models import Delivery, Webhook


def list_webhooks(access: Access) -> Sequence[Webhook]:
    """The team's, by name. For owners."""
    access.require_owner()
    return list(Webhook.objects.filter(team=access.team).select_related("team"))


def deliveries_of(
    webhook: Webhook, *, state: str = "", kind: str = "", since: datetime | None = None
) -> QuerySet[Delivery]:
    """The newest first. `kind` also finds what begins with `kind.`."""
    rows = Delivery.objects.filter(webhook=webhook).order_by("-created_at", "-id")
    if state:
        rows = rows.filter(state=state)
    if kind:
        rows = rows.filter(Q(kind=kind) | Q(kind__startswith=f"{kind}."))
    return rows.filter(created_at__gte=since) if since else rows
