"""Sending what is due: who is next, and what an answer means.

A webhook gets one delivery at a time, the oldest first; its turn is a lease in its row, so that a worker that died
loses nothing but time. What was sent and not noted is sent again, under the same id.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min, Q
from django.utils import timezone

from console.common import events
from console.common.errors import BerthError
from console.webhooks import secretbox, signing
from console.webhooks.enums import DeliveryState, DisabledBy, Failure
from console.webhooks.models import Delivery, Webhook
from console.webhooks.routing import route
from console.webhooks.sending import Answer, Message, send

logger = logging.getLogger(__name__)

RETRIES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 120, 600, 3600, 3 * 3600, 8 * 3600, 12 * 3600, 24 * 3600, 24 * 3600)
)
"""What passes before the second attempt and each that follows, and up to a fifth more: three days in all."""
PATIENCE = timedelta(days=3)
"""A webhook to which nothing was delivered for so long is disabled."""
LONGEST_WAIT = timedelta(days=1)
"""That a receiver can ask for with Retry-After."""
SLOTS = 16
"""Attempts under way at once; each takes 10 seconds at most, and its name's resolution."""
LEASE = timedelta(minutes=2)
LONGEST_RUN = 20.0
AGENT = "Berth-Webhooks/1"
_running = threading.Lock()
_random = random.SystemRandom()


def deliver() -> int:
    """Route new events and send what is due, until nothing is or some time is over; how many attempts were made.

    One run at a time in a process: it must not take all of the worker's threads.
    """
    if not _running.acquire(blocking=False):
        return 0
    try:
        with ThreadPoolExecutor(SLOTS, thread_name_prefix="webhook") as pool:
            return _pump(pool)
    finally:
        _running.release()


def _pump(pool: ThreadPoolExecutor) -> int:
    """The database is this thread's alone; the pool's do nothing but HTTP."""
    under_way: dict[Future[Answer], Delivery] = {}
    made, until = 0, time.monotonic() + LONGEST_RUN
    while True:
        if time.monotonic() < until:
            route()
            for delivery in claim(SLOTS - len(under_way)):
                under_way[pool.submit(_attempt, delivery.pk, message_of(delivery))] = delivery
        if not under_way:
            return made
        done, _rest = wait(under_way, timeout=1, return_when=FIRST_COMPLETED)
        for future in done:
            settle(under_way.pop(future), future.result())
            made += 1


def claim(room: int) -> list[Delivery]:
    """At most so many deliveries that are due, of as many webhooks: those that had no turn for longest."""
    now = timezone.now()
    due = Delivery.objects.filter(state=DeliveryState.PENDING, next_at__lte=now)
    free = Q(webhook__active=True, webhook__busy_until__lte=now)
    turns = due.filter(free).values("webhook").annotate(turn=Min("webhook__busy_until")).order_by("turn")
    found: list[Delivery] = []
    for webhook in list(turns.values_list("webhook", flat=True)[: max(room, 0)]):
        mine = Webhook.objects.filter(pk=webhook, active=True, busy_until__lte=now)
        if mine.update(busy_until=now + LEASE):
            oldest = due.filter(webhook=webhook).select_related("webhook").order_by("next_at", "event_id")
            found += oldest[:1]
    return found


def message_of(delivery: Delivery) -> Message | Answer:
    """The signed request; an Answer where its secret cannot be opened."""
    try:
        keys = secretbox.live_secrets(delivery.webhook)
    except BerthError as error:
        return Answer(Failure.SECRET, str(error)[:300])
    body = delivery.body.encode()
    signed = signing.headers(keys, delivery.pk, int(time.time()), body)
    headers = {"Content-Type": "application/json", "User-Agent": AGENT, **signed}
    return Message(delivery.webhook.url, headers, body)


def _attempt(delivery: str, message: Message | Answer) -> Answer:
    """What nobody foresaw counts as an attempt, or it would be tried for ever. Its text may hold the address."""
    if isinstance(message, Answer):
        return message
    try:
        return send(message)
    except Exception as error:  # noqa: BLE001  (the edge of an attempt)
        logger.error("Delivery %s could not be tried: %s", delivery, type(error).__name__)
        return Answer(Failure.BROKEN, type(error).__name__)


def pause_after(attempts: int, answer: Answer) -> timedelta | None:
    """Until the next attempt, after so many of which the last failed so. None: there is none."""
    if answer.failure == Failure.GONE or attempts > len(RETRIES):
        return None
    planned = RETRIES[attempts - 1] * _random.uniform(1, 1.2)
    return max(planned, min(timedelta(seconds=answer.retry_after), LONGEST_WAIT))


@transaction.atomic
def settle(delivery: Delivery, answer: Answer) -> None:
    """Note how an attempt went. What was deleted meanwhile stays so."""
    now = timezone.now()
    webhook = Webhook.objects.select_for_update(no_key=True).filter(pk=delivery.webhook_id).first()
    row = Delivery.objects.select_for_update(no_key=True).filter(pk=delivery.pk).first()
    if webhook is None:
        return
    webhook.busy_until = now
    if row is not None:
        _note(row, answer, now)
        row.save()
    if answer.failure:
        webhook.failing_since = webhook.failing_since or now
        _give_up(webhook, answer, now)
    else:
        webhook.failing_since, webhook.delivered_at = None, now
    webhook.save()
    events.announce(webhook.team_id, "webhook", webhook.pk)


def _note(row: Delivery, answer: Answer, now: datetime) -> None:
    row.attempts += 1
    row.attempted_at, row.status, row.milliseconds = now, answer.status, answer.milliseconds
    row.failure, row.detail, row.answer = answer.failure, answer.detail, answer.text
    pause = pause_after(row.attempts, answer) if answer.failure else None
    if pause is not None:
        row.next_at = now + pause
        return
    row.state = DeliveryState.FAILED if answer.failure else DeliveryState.DELIVERED
    row.next_at, row.ended_at = None, now


def _give_up(webhook: Webhook, answer: Answer, now: datetime) -> None:
    """Disable a webhook whose receiver is gone, or that has failed for as long as is borne."""
    failing = webhook.failing_since is not None and now - webhook.failing_since >= PATIENCE
    if not webhook.active or not (failing or answer.failure == Failure.GONE):
        return
    webhook.active, webhook.disabled_at = False, now
    webhook.disabled_by = DisabledBy.GONE if answer.failure == Failure.GONE else DisabledBy.FAILING
    why = "its receiver answered 410 (Gone)" if answer.failure == Failure.GONE else "it failed for three days"
    events.record(
        "webhook.disabled",
        f"Webhook “{webhook.name}” disabled: {why}",
        actor=events.CONTROLLER,
        team=webhook.team_id,
        data={"webhook": webhook.pk, "reason": webhook.disabled_by, "status": answer.status},
        warning=True,
    )
