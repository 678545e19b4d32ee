"""From events to deliveries. A committed event whose `dispatched` is false is the outbox: in one transaction it gets
its deliveries and the mark, so that none is lost and none is sent before its own transaction committed."""

from __future__ import annotations

import msgspec
from django.db import transaction

from console.common.models import Event
from console.webhooks.models import Delivery, Webhook

BATCH = 500


def route() -> int:
    """Make the deliveries of events that have none yet; how many. Others who do so meanwhile wait."""
    made = 0
    while Event.objects.filter(dispatched=False).exists():
        made += _route_batch()
    return made


@transaction.atomic
def _route_batch() -> int:
    events = list(Event.objects.select_for_update().filter(dispatched=False).order_by("pk")[:BATCH])
    webhooks = list(Webhook.objects.filter(active=True).select_related("team"))
    deliveries = [
        made_from(webhook, event) for event in events for webhook in webhooks if webhook.wants(event)
    ]
    Delivery.objects.bulk_create(deliveries, batch_size=BATCH, ignore_conflicts=True)
    Event.objects.filter(pk__in=[event.pk for event in events]).update(dispatched=True)
    return len(deliveries)


def made_from(webhook: Webhook, event: Event) -> Delivery:
    """Not saved. Its body stays as it is, whatever becomes of the event."""
    return Delivery(webhook=webhook, event_id=event.pk, kind=event.kind, body=_body(webhook, event))


def _body(webhook: Webhook, event: Event) -> str:
    """`data` is the event as the API shows it, with the team's slug."""
    at = event.at.isoformat().replace("+00:00", "Z")
    data = {
        "id": event.pk,
        "at": at,
        "kind": event.kind,
        "message": event.message,
        "actor": event.actor,
        "team": webhook.team.slug,
        "app": event.app_id,
        "node": event.node_id,
        "warning": event.warning,
        "details": event.data,
    }
    return msgspec.json.encode({"type": event.kind, "timestamp": at, "data": data}).decode()
