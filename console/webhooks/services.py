"""What owners do with webhooks. History names a webhook and its host; the rest of its address may be a secret."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import httpx
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.accounts.models import Team
from console.common import audit, events
from console.common.errors import BerthError, Conflict, NotFound
from console.common.models import Event
from console.webhooks import guard, secretbox
from console.webhooks.enums import DeliveryState
from console.webhooks.models import Delivery, Webhook
from console.webhooks.routing import made_from

MOST_WEBHOOKS = 20
"""Of a team."""
MOST_KINDS = 50
USUAL_OVERLAP, MOST_OVERLAP = 24, 7 * 24
"""Hours in which an old secret signs beside its successor."""
_KIND = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,40})*")
_VISIBLE = re.compile(r"[\x21-\x7e\u00a1-\ud7ff\ue000-\U0010ffff]{1,2000}")
_FIELDS = ("name", "description", "url", "kinds", "apps", "warnings_only", "active")


@transaction.atomic
def create_webhook(
    access: Access,
    *,
    name: str,
    url: str,
    description: str = "",
    kinds: Collection[str] = (),
    apps: Collection[str] | None = None,
    warnings_only: bool = False,
    active: bool = True,
) -> tuple[Webhook, str]:
    """A new one and its signing secret, which is shown this once. `apps`: ids. For owners."""
    access.require_owner()
    Team.objects.select_for_update(no_key=True).get(pk=access.team.pk)
    if Webhook.objects.filter(team=access.team).count() >= MOST_WEBHOOKS:
        message = _("There are %(most)d webhooks already. Delete one first.")
        raise Conflict(message % {"most": MOST_WEBHOOKS}, code="too_many_webhooks")
    webhook = Webhook(team=access.team, created_by=access.actor)
    given = (name, description, url, kinds, apps, warnings_only, active)
    _take(webhook, dict(zip(_FIELDS, given, strict=True)))
    webhook.save()
    secret = secretbox.add_secret(webhook)
    data = audit.change(None, _as_data(webhook))
    _tell(access, webhook, "created", f"Webhook “{webhook.name}” created", **data)
    return webhook, secret


@transaction.atomic
def change_webhook(access: Access, webhook: Webhook, **given: Any) -> Webhook:
    """Of `create_webhook`'s fields, those that are given. One that becomes active begins anew with what waits."""
    access.require_owner()
    webhook = _locked(access, webhook.pk)
    before, was_url, was_active = _as_data(webhook), webhook.url, webhook.active
    _take(webhook, given)
    after = _as_data(webhook)
    if before == after and webhook.url == was_url:
        return webhook
    if webhook.active and not was_active:
        webhook.disabled_by, webhook.disabled_at, webhook.failing_since = "", None, None
    elif not webhook.active and was_active:
        webhook.disabled_by, webhook.disabled_at = "", None
    webhook.updated_at = timezone.now()
    webhook.save()
    data = audit.change(before, after, address_changed=webhook.url != was_url)
    _tell(access, webhook, "changed", f"Webhook “{webhook.name}” changed", **data)
    return webhook


@transaction.atomic
def delete_webhook(access: Access, webhook: Webhook) -> None:
    """With its deliveries."""
    access.require_owner()
    before, key = _as_data(webhook), webhook.pk
    webhook.delete()
    webhook.pk = key
    data = audit.change(before, None)
    _tell(access, webhook, "deleted", f"Webhook “{webhook.name}” deleted", **data)


@transaction.atomic
def rotate_secret(access: Access, webhook: Webhook, *, overlap_hours: int = USUAL_OVERLAP) -> str:
    """A new signing secret, shown this once. For so many hours the old one signs as well."""
    access.require_owner()
    webhook = _locked(access, webhook.pk)
    if not 0 <= overlap_hours <= MOST_OVERLAP:
        message = _("Choose from 0 to %(most)d hours.") % {"most": MOST_OVERLAP}
        raise BerthError(message, fields={"overlap_hours": [message]})
    secretbox.expire_others(webhook, timezone.now() + timedelta(hours=overlap_hours))
    secret = secretbox.add_secret(webhook)
    Webhook.objects.filter(pk=webhook.pk).update(updated_at=timezone.now())
    text = f"Secret of webhook “{webhook.name}” rotated"
    _tell(access, webhook, "rotated", text, changed=True, overlap_hours=overlap_hours)
    return secret


@transaction.atomic
def ping(access: Access, webhook: Webhook) -> Delivery:
    """Send it a test event, whatever it is for. Raises `Conflict` unless it is active."""
    access.require_owner()
    webhook = _active(access, webhook.pk)
    event = _tell(access, webhook, "pinged", f"Webhook “{webhook.name}” tested")
    Event.objects.filter(pk=event.pk).update(dispatched=True)
    delivery = made_from(webhook, event)
    delivery.save()
    return delivery


@transaction.atomic
def redeliver(access: Access, delivery: Delivery) -> Delivery:
    """Send it again, under the same id: its attempts begin anew, or the next one is due now."""
    access.require_owner()
    webhook = _active(access, delivery.webhook_id)
    row = Delivery.objects.select_for_update(no_key=True).filter(webhook=webhook, pk=delivery.pk).first()
    if row is None:
        raise NotFound(_("There is no such delivery."))
    row.state, row.attempts = DeliveryState.PENDING, 0
    row.next_at, row.ended_at = timezone.now(), None
    row.save()
    text = f"{row.kind} is delivered to webhook “{webhook.name}” again"
    _tell(access, webhook, "redelivered", text, delivery=row.pk, event=row.event_id)
    return row


def _take(webhook: Webhook, given: Mapping[str, Any]) -> None:
    """Check what is given and put it into the row. Raises `BerthError` with fields."""
    for name in _FIELDS:
        if name in given:
            setattr(webhook, name, given[name])
    webhook.name, webhook.description = webhook.name.strip()[:100], webhook.description.strip()[:500]
    webhook.kinds = sorted(set(webhook.kinds))
    webhook.apps = None if webhook.apps is None else sorted(set(webhook.apps))
    problems = {
        "name": "" if webhook.name else _("Give the webhook a name."),
        "url": _url_problem(webhook.url),
        "kinds": ""
        if len(webhook.kinds) <= MOST_KINDS and all(map(_KIND.fullmatch, webhook.kinds))
        else _("Name kinds as “app.deploy”, or “app” for all of them; at most %(most)d.")
        % {"most": MOST_KINDS},
        "apps": _("Name at least one app, or leave this out for the whole team.")
        if webhook.apps == []
        else "",
    }
    for field, message in problems.items():
        if message:
            raise BerthError(message, fields={field: [message]})


def _url_problem(url: str) -> str:
    """What the text alone shows; where a name leads is seen with each attempt."""
    try:
        parts = httpx.URL(url) if _VISIBLE.fullmatch(url) else httpx.URL()
        host = (
            parts.raw_host.decode("ascii").strip("[]") if parts.port is None or 0 < parts.port < 65536 else ""
        )
    except (httpx.InvalidURL, ValueError):
        host = ""
    if not host or parts.scheme not in ("https", "http"):
        return _("Give an address such as https://example.com/hooks/berth.")
    if parts.userinfo:
        return _("Put no user or password into the address: deliveries are signed instead.")
    if parts.scheme == "http" and not settings.WEBHOOK_NETWORKS:
        return _("Use https.")
    address = guard.literal(host)
    if address is not None and not guard.is_allowed(address):
        return _("This is not a public address. The operator can allow networks: BERTH_WEBHOOK_NETWORKS.")
    return ""


def _locked(access: Access, webhook_id: str) -> Webhook:
    """As it is now; nobody else changes it in this transaction."""
    rows = Webhook.objects.select_for_update(no_key=True)
    webhook = rows.filter(team=access.team, pk=webhook_id).first()
    if webhook is None:
        raise NotFound(_("There is no such webhook."))
    webhook.team = access.team
    return webhook


def _active(access: Access, webhook_id: str) -> Webhook:
    webhook = _locked(access, webhook_id)
    if not webhook.active:
        raise Conflict(_("The webhook is not active. Activate it first."), code="webhook_inactive")
    return webhook


def _as_data(webhook: Webhook) -> dict[str, Any]:
    shown = {name: getattr(webhook, name) for name in _FIELDS if name != "url"}
    return {**shown, "host": webhook.host}


def _tell(access: Access, webhook: Webhook, what: str, text: str, **data: Any) -> Event:
    return events.record(
        f"webhook.{what}",
        text,
        actor=access.actor,
        team=access.team.id,
        data={"webhook": webhook.pk, **data},
    )
