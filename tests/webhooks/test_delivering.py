"""From an event that is committed to an answer that is noted, with a real receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.accounts.enums import Role
from console.api.outputs.history import EventOutput
from console.common import events
from console.common.errors import Conflict
from console.common.models import AuditEntry, Event
from console.webhooks import delivering, services
from console.webhooks.delivering import LEASE, RETRIES, claim, deliver, pause_after, settle
from console.webhooks.enums import DeliveryState, Failure, WebhookState
from console.webhooks.models import Delivery, Webhook, WebhookSecret
from console.webhooks.retention import sweep_deliveries
from console.webhooks.routing import route
from console.webhooks.sending import Answer
from tests import factories
from tests.webhooks.receiver import Receiver

BROKEN = Answer(Failure.STATUS, "", 500)


def hook(owner: Access, receiver: Receiver, **given: Any) -> tuple[Webhook, str]:
    """A webhook for `test` events."""
    values = {"name": "chat", "url": receiver.url, "kinds": ["test"], **given}
    return services.create_webhook(owner, **values)


def happen(owner: Access, kind: str = "test.done", **more: Any) -> Event:
    values = {"team": owner.team.pk, **more}
    return events.record(kind, "It is done", actor="test", **values)


def due_now(**chosen: Any) -> None:
    Delivery.objects.filter(state="pending", **chosen).update(next_at=timezone.now())


def verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As the documentation tells receivers to."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, each) for each in headers["webhook-signature"].split())


def test_an_event_arrives_signed(owner: Access, receiver: Receiver) -> None:
    webhook, secret = hook(owner, receiver)
    event = happen(owner, data={"replicas": 3}, warning=True)
    assert deliver() == 1
    (got,) = receiver.got
    delivery = Delivery.objects.get()
    assert got.headers["webhook-id"] == delivery.pk
    assert abs(int(got.headers["webhook-timestamp"]) - timezone.now().timestamp()) < 10
    assert verify(secret, got.headers, got.body)
    assert not verify(secret, got.headers, got.body + b" ")
    body = json.loads(got.body)
    event.refresh_from_db()
    assert body["data"] == {**json.loads(json.dumps(EventOutput(event).data)), "team": "home"}
    assert (body["type"], body["timestamp"]) == ("test.done", body["data"]["at"])
    assert got.body.decode() == delivery.body
    assert (delivery.state, delivery.attempts, delivery.status, delivery.answer) == (
        "delivered",
        1,
        200,
        "ok",
    )
    assert delivery.next_at is None
    assert delivery.ended_at
    webhook.refresh_from_db()
    assert (webhook.state, webhook.delivered_at is not None) == (WebhookState.ACTIVE, True)
    assert deliver() == 0


@pytest.mark.django_db(transaction=True)
def test_only_what_is_committed_is_sent_and_all_of_it(receiver: Receiver) -> None:
    owner = factories.make_member(factories.make_team("home"))
    hook(owner, receiver)
    with transaction.atomic():
        happen(owner)
        transaction.set_rollback(True)
    assert deliver() == 0
    newest = happen(owner)
    assert deliver() == 1
    # One whose id was given out earlier and that commits later is not passed over.
    late = Event.objects.create(
        pk=newest.pk + 1000, at=timezone.now(), team_id=owner.team.pk, kind="test.high", message="", actor="x"
    )
    assert deliver() == 1
    Event.objects.create(
        pk=late.pk - 500, at=timezone.now(), team_id=owner.team.pk, kind="test.low", message="", actor="x"
    )
    assert deliver() == 1
    assert [json.loads(got.body)["type"] for got in receiver.got] == ["test.done", "test.high", "test.low"]
    assert not Event.objects.filter(dispatched=False).exists()


@pytest.mark.thorough
def test_events_come_in_order_one_at_a_time(owner: Access, receiver: Receiver) -> None:
    hook(owner, receiver)
    for number in range(30):
        happen(owner, f"test.n{'x' * number}")
    assert deliver() == 30
    lengths = [len(json.loads(got.body)["type"]) for got in receiver.got]
    assert lengths == sorted(lengths)


def test_who_gets_what(owner: Access, receiver: Receiver) -> None:
    other = factories.make_member(factories.make_team("away"))
    chosen: dict[str, dict[str, Any]] = {
        "all": {"kinds": []},
        "one": {"kinds": ["app.deploy"]},
        "some": {"kinds": ["app", "nod"]},
        "of an app": {"kinds": [], "apps": ["a1"]},
        "warnings": {"kinds": [], "warnings_only": True},
        "paused": {"kinds": [], "active": False},
    }
    hooks = {name: hook(owner, receiver, **{**given, "name": name})[0] for name, given in chosen.items()}
    hooks["foreign"] = hook(other, receiver, name="foreign", kinds=[])[0]
    route()
    Delivery.objects.all().delete()
    happen(owner, "app.deploy", app="a1")
    happen(owner, "app.deploys", app="a2")
    happen(owner, "application")
    happen(owner, "node.down", team="", node="n1", warning=True)
    assert route() == 4 + 1 + 2 + 1 + 1 + 1
    got = {
        name: sorted(Delivery.objects.filter(webhook=one).values_list("kind", flat=True))
        for name, one in hooks.items()
    }
    assert got == {
        "all": ["app.deploy", "app.deploys", "application", "node.down"],
        "one": ["app.deploy"],
        "some": ["app.deploy", "app.deploys"],
        "of an app": ["app.deploy"],
        "warnings": ["node.down"],
        "paused": [],
        "foreign": ["node.down"],
    }


def test_what_fails_is_tried_again_under_its_id_with_growing_pauses(
    owner: Access, receiver: Receiver
) -> None:
    _webhook, secret = hook(owner, receiver)
    receiver.answer(500, b"no").answer(302).answer(200)
    happen(owner)
    assert deliver() == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.status, delivery.answer) == ("pending", 1, 500, "no")
    assert delivery.failure == Failure.STATUS
    assert delivery.attempted_at
    assert delivery.next_at
    pause = delivery.next_at - delivery.attempted_at
    assert RETRIES[0] <= pause <= RETRIES[0] * 1.2
    assert Webhook.objects.get().state == WebhookState.FAILING
    assert deliver() == 0, "it is not due yet"
    due_now()
    assert deliver() == 1
    due_now()
    assert deliver() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.failure) == ("delivered", 3, "")
    assert {got.headers["webhook-id"] for got in receiver.got} == {delivery.pk}
    assert len({got.body for got in receiver.got}) == 1
    assert all(verify(secret, got.headers, got.body) for got in receiver.got)
    assert Webhook.objects.get().state == WebhookState.ACTIVE


def test_one_that_fails_holds_up_no_other(owner: Access, receiver: Receiver) -> None:
    hook(owner, receiver)
    receiver.answer(500).answer(200)
    happen(owner, "test.first")
    happen(owner, "test.second")
    assert deliver() == 2
    assert [(one.kind, one.state) for one in Delivery.objects.order_by("event_id")] == [
        ("test.first", "pending"),
        ("test.second", "delivered"),
    ]


def test_the_plan_of_pauses() -> None:
    pauses = [pause_after(attempts, BROKEN) for attempts in range(1, len(RETRIES) + 2)]
    assert pauses[-1] is None
    for planned, pause in zip(RETRIES, pauses, strict=False):
        assert pause is not None
        assert planned <= pause <= planned * 1.2
    assert timedelta(days=3) < sum(RETRIES, timedelta()) < timedelta(days=3.2)
    slow = Answer(Failure.STATUS, "", 429, retry_after=3600)
    assert pause_after(1, slow) == timedelta(hours=1)
    assert pause_after(1, Answer(Failure.STATUS, "", 429, retry_after=10**8)) == timedelta(days=1)
    assert pause_after(1, Answer(Failure.GONE, "", 410)) is None


def test_410_disables_at_once(owner: Access, receiver: Receiver) -> None:
    webhook, _secret = hook(owner, receiver)
    receiver.answer(410)
    happen(owner)
    deliver()
    webhook.refresh_from_db()
    assert (webhook.active, webhook.disabled_by, webhook.state) == (False, "gone", WebhookState.DISABLED)
    assert Delivery.objects.get().state == "failed"
    event = Event.objects.get(kind="webhook.disabled")
    assert (event.warning, event.actor) == (True, events.CONTROLLER)
    assert event.message == "Webhook “chat” disabled: its receiver answered 410 (Gone)"
    happen(owner)
    assert deliver() == 0
    receiver.answers = []
    services.change_webhook(owner, webhook, active=True)
    webhook.refresh_from_db()
    assert (webhook.state, webhook.disabled_by, webhook.disabled_at) == (WebhookState.ACTIVE, "", None)
    happen(owner)
    assert deliver() == 1, "what came while it was disabled is passed over"


def test_three_days_of_failures_disable(owner: Access, receiver: Receiver) -> None:
    webhook, _secret = hook(owner, receiver)
    happen(owner)
    route()
    began = timezone.now()
    at = began
    with pytest.MonkeyPatch.context() as patch:
        for _attempt in range(len(RETRIES) + 1):
            patch.setattr(timezone, "now", lambda at=at: at)
            (delivery,) = claim(1)
            settle(delivery, BROKEN)
            webhook.refresh_from_db()
            delivery.refresh_from_db()
            if delivery.next_at:
                assert webhook.active
                at = delivery.next_at
    assert (delivery.state, delivery.attempts) == ("failed", 11)
    assert timedelta(days=3) < at - began < timedelta(days=4)
    assert (webhook.active, webhook.disabled_by) == (False, "failing")
    assert Event.objects.get(kind="webhook.disabled").data["status"] == 500


def test_a_success_between_keeps_it(owner: Access, receiver: Receiver) -> None:
    webhook, _secret = hook(owner, receiver)
    happen(owner)
    route()
    (delivery,) = claim(1)
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=9))
    settle(delivery, Answer("", "", 200))
    happen(owner)
    route()
    (delivery,) = claim(1)
    settle(delivery, BROKEN)
    webhook.refresh_from_db()
    assert (webhook.active, webhook.state) == (True, WebhookState.FAILING)


def test_redelivering_sends_the_same_message(owner: Access, receiver: Receiver) -> None:
    hook(owner, receiver)
    happen(owner)
    deliver()
    delivery = Delivery.objects.get()
    services.redeliver(owner, delivery)
    assert deliver() == 1
    first, second = receiver.got
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("delivered", 1)


def test_a_ping_goes_to_the_one_webhook(owner: Access, receiver: Receiver) -> None:
    webhook, _secret = hook(owner, receiver, kinds=["nothing"])
    hook(owner, receiver, name="other", kinds=[])
    route()
    Delivery.objects.all().delete()
    services.ping(owner, webhook)
    assert deliver() == 1
    assert json.loads(receiver.got[0].body)["type"] == "webhook.pinged"
    services.change_webhook(owner, webhook, active=False)
    with pytest.raises(Conflict):
        services.ping(owner, webhook)


def test_during_a_rotation_both_secrets_sign(owner: Access, receiver: Receiver, settings: Settings) -> None:
    webhook, old = hook(owner, receiver)
    new = services.rotate_secret(owner, webhook)
    happen(owner)
    deliver()
    got = receiver.got[-1]
    assert len(got.headers["webhook-signature"].split()) == 2
    assert verify(old, got.headers, got.body)
    assert verify(new, got.headers, got.body)
    WebhookSecret.objects.exclude(expires_at=None).update(expires_at=timezone.now())
    happen(owner)
    deliver()
    got = receiver.got[-1]
    assert (verify(old, got.headers, got.body), verify(new, got.headers, got.body)) == (False, True)
    newest = services.rotate_secret(owner, webhook, overlap_hours=0)
    happen(owner)
    deliver()
    got = receiver.got[-1]
    assert (verify(new, got.headers, got.body), verify(newest, got.headers, got.body)) == (False, True)
    sweep_deliveries()
    assert WebhookSecret.objects.count() == 1


def test_what_waits_for_a_paused_webhook_is_sent_later(owner: Access, receiver: Receiver) -> None:
    webhook, _secret = hook(owner, receiver)
    receiver.answer(500).answer(200)
    happen(owner)
    deliver()
    services.change_webhook(owner, webhook, active=False)
    due_now()
    assert deliver() == 0
    services.change_webhook(owner, webhook, active=True)
    assert deliver() == 1
    assert Delivery.objects.get().state == "delivered"


def test_a_turn_is_one_workers_until_its_lease_ends(owner: Access, receiver: Receiver) -> None:
    hook(owner, receiver)
    happen(owner)
    happen(owner)
    route()
    (first,) = claim(5)
    assert claim(5) == [], "another worker keeps away"
    Webhook.objects.update(busy_until=timezone.now() - timedelta(seconds=1))
    assert claim(5) == [first], "the first one died: the same is sent again"
    assert timedelta(minutes=1) < LEASE
    settle(first, Answer("", "", 200))
    assert [one.pk for one in claim(5)] != [first.pk]


def test_turns_go_round(owner: Access, receiver: Receiver) -> None:
    hooks = [hook(owner, receiver, name=str(number))[0] for number in range(3)]
    for _each in range(2):
        happen(owner)
    route()
    turns = []
    for _each in range(6):
        (delivery,) = claim(1)
        turns.append(delivery.webhook_id)
        settle(delivery, BROKEN)
    assert sorted(turns[:3]) == sorted(turns[3:]) == sorted(one.pk for one in hooks)


def test_what_is_deleted_meanwhile_stays_so(owner: Access, receiver: Receiver) -> None:
    webhook, _secret = hook(owner, receiver)
    happen(owner)
    route()
    (delivery,) = claim(1)
    services.delete_webhook(owner, webhook)
    settle(delivery, BROKEN)
    assert (Delivery.objects.count(), Webhook.objects.count()) == (0, 0)


def test_one_run_at_a_time_in_a_process(owner: Access, receiver: Receiver) -> None:
    hook(owner, receiver)
    happen(owner)
    with delivering._running:
        assert deliver() == 0
    assert deliver() == 1


def test_a_secret_that_cannot_be_opened_is_told(owner: Access, receiver: Receiver) -> None:
    hook(owner, receiver)
    WebhookSecret.objects.update(sealed=b"x")
    happen(owner)
    assert deliver() == 1
    delivery = Delivery.objects.get()
    assert (delivery.failure, receiver.got) == (Failure.SECRET, [])
    assert "not readable" in delivery.detail


def test_what_nobody_foresaw_counts_and_stops_no_other(
    owner: Access, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    webhook, _secret = hook(owner, receiver)
    hook(owner, receiver, name="other")
    Webhook.objects.filter(pk=webhook.pk).update(url="https://canary.example/\x01")
    happen(owner)
    assert deliver() == 2
    assert len(receiver.got) == 1
    odd = Delivery.objects.get(webhook=webhook)
    assert (odd.failure, odd.attempts, odd.state) == (Failure.BROKEN, 1, "pending")
    assert odd.pk in caplog.text
    assert "canary" not in caplog.text + odd.detail


def test_old_deliveries_go(owner: Access, receiver: Receiver, settings: Settings) -> None:
    hook(owner, receiver)
    happen(owner)
    deliver()
    happen(owner)
    deliver()
    assert sweep_deliveries() == 0
    old = timezone.now() - timedelta(days=settings.RETENTION_DAYS, minutes=1)
    Delivery.objects.filter(pk=Delivery.objects.all()[0].pk).update(created_at=old)
    assert (sweep_deliveries(), Delivery.objects.count()) == (1, 1)


def test_secrets_are_under_the_newest_master_key(
    owner: Access, receiver: Receiver, settings: Settings, tmp_path: Any
) -> None:
    from console.accounts import keyring
    from console.accounts.envelope import key_of

    settings.MASTER_KEY_FILE = str(tmp_path / "keys")
    keyring.make_file(tmp_path / "keys")
    _webhook, secret = hook(owner, receiver)
    before = key_of(bytes(WebhookSecret.objects.get().sealed))
    call_command("rotate_master_key", "--drop-old")
    assert key_of(bytes(WebhookSecret.objects.get().sealed)) != before
    happen(owner)
    deliver()
    assert verify(secret, receiver.got[0].headers, receiver.got[0].body)


def test_a_secret_is_in_no_log_event_audit_or_plain_column(
    owner: Access, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook, secret = hook(owner, receiver, url=receiver.url + "&key=canary-4711", kinds=[])
    secrets = [secret, services.rotate_secret(owner, webhook)]
    receiver.answer(500).answer(200)
    happen(owner)
    deliver()
    due_now()
    deliver()
    services.redeliver(owner, Delivery.objects.all()[0])
    services.change_webhook(owner, webhook, url=receiver.url + "&key=canary-4712")
    dump = _dump()
    for one in secrets:
        plain = one.removeprefix("whsec_")
        for form in (plain, base64.b64decode(plain).hex(), repr(base64.b64decode(plain))):
            assert form not in dump
            assert form not in caplog.text
    told = [*Event.objects.values(), *AuditEntry.objects.values(), *Delivery.objects.values()]
    assert "canary" not in json.dumps(told, default=str), "nor is more of the address told than its host"
    assert "canary" not in caplog.text


def _dump() -> str:
    """Every value of every column of the database."""
    with connection.cursor() as cursor:
        text = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            text.append(repr([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cursor]))
    return "\n".join(text)


def test_only_owners(owner: Access, receiver: Receiver) -> None:
    webhook, _secret = hook(owner, receiver)
    delivery = services.ping(owner, webhook)
    for role in (Role.DEVELOPER, Role.VIEWER):
        other = factories.make_member(owner.team, role)
        for act in (
            lambda: services.change_webhook(other, webhook, active=False),  # noqa: B023
            lambda: services.delete_webhook(other, webhook),  # noqa: B023
            lambda: services.rotate_secret(other, webhook),  # noqa: B023
            lambda: services.ping(other, webhook),  # noqa: B023
            lambda: services.redeliver(other, delivery),  # noqa: B023
            lambda: hook(other, receiver),  # noqa: B023
        ):
            with pytest.raises(Exception, match="owner"):
                act()
    assert Webhook.objects.get().active
    assert Delivery.objects.get().state == DeliveryState.PENDING


@pytest.fixture(autouse=True)
def _unlocked() -> Iterator[None]:
    yield
    assert not delivering._running.locked()
