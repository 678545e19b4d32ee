"""A team's own webhooks. They are its owners': an address and an answer may hold what opens something else."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access
from console.common.errors import NotFound
from console.webhooks.models import Delivery, Webhook


def find_webhook(access: Access, webhook_id: str) -> Webhook:
    access.require_owner()
    webhook = Webhook.objects.filter(team=access.team, pk=webhook_id).select_related("team").first()
    if webhook is None:
        raise NotFound(_("There is no such webhook."))
    return webhook


def find_delivery(access: Access, webhook_id: str, delivery_id: str) -> Delivery:
    webhook = find_webhook(access, webhook_id)
    found = Delivery.objects.filter(webhook=webhook, pk=delivery_id).select_related("webhook__team").first()
    if found is None:
        raise NotFound(_("There is no such delivery."))
    return found
