"""Who leads, by one row of the real database."""

from __future__ import annotations

import threading
from datetime import timedelta
from time import sleep

import pytest
from django.db import transaction
from django.utils import timezone

from console.accounts.access import Access
from console.controller import lease
from console.controller.broker import BrokerUsers
from console.controller.lease import DatabaseLease, LeaseLost
from console.controller.loop import Controller, run
from console.controller.models import Cursor, Lease
from console.workloads.models import Container
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeWire, World
from tests.controller.test_loop import DEMO, deploy

pytestmark = pytest.mark.django_db


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> timedelta:
    monkeypatch.setattr(lease, "LIFETIME", timedelta(seconds=0.2))
    return lease.LIFETIME


def test_one_leads_and_the_other_stands_by() -> None:
    first, second = DatabaseLease("first"), DatabaseLease("second")
    assert first.acquire() is True
    assert second.acquire() is False
    first.renew()
    with pytest.raises(LeaseLost):
        second.renew()


def test_the_standby_takes_over_after_the_expiry_and_the_term_grows(short: timedelta) -> None:
    first, second = DatabaseLease("first"), DatabaseLease("second")
    first.acquire()
    sleep(short.total_seconds() + 0.1)
    assert second.acquire() is True
    assert (first.term, second.term) == (1, 2)
    assert first.acquire() is False


@pytest.mark.thorough
def test_a_leader_that_renews_is_not_taken_over_from(short: timedelta) -> None:
    first, second = DatabaseLease("first"), DatabaseLease("second")
    first.acquire()
    for _time in range(4):
        sleep(short.total_seconds() / 2)
        first.renew()
        assert second.acquire() is False


def test_who_steps_down_is_followed_at_once() -> None:
    first, second = DatabaseLease("first"), DatabaseLease("second")
    first.acquire()
    first.release()
    assert second.acquire() is True
    first.release()
    assert Lease.objects.get().holder == "second"


def test_a_leader_that_was_started_anew_has_another_term() -> None:
    before, after = DatabaseLease("first"), DatabaseLease("first")
    before.acquire()
    assert after.acquire() is True
    with pytest.raises(LeaseLost):
        before.renew()


@pytest.mark.thorough
def test_a_paused_old_leader_decides_nothing(
    access: Access, world: World, agents: MakeAgents, short: timedelta
) -> None:
    agents(1)
    old, new = DatabaseLease("old"), DatabaseLease("new")
    old.acquire()
    paused = Controller(world.wire, old)
    paused.step(world.now)
    deploy(access, DEMO % 1)
    sleep(short.total_seconds() + 0.1)
    new.acquire()
    before = Cursor.objects.get().position, len(world.wire.sent)
    with pytest.raises(LeaseLost):
        paused.step(world.now + timedelta(seconds=1))
    assert Container.objects.count() == 0
    assert (Cursor.objects.get().position, len(world.wire.sent)) == before
    Controller(world.wire, new).step(world.now + timedelta(seconds=1))
    assert Container.objects.count() == 1


def test_what_a_leader_did_in_a_transaction_of_a_lost_term_is_undone(short: timedelta) -> None:
    old, new = DatabaseLease("old"), DatabaseLease("new")
    old.acquire()
    sleep(short.total_seconds() + 0.1)
    new.acquire()

    @transaction.atomic
    def decide() -> None:
        Cursor.objects.create(id=1, position="9-0")
        old.renew()

    with pytest.raises(LeaseLost):
        decide()
    assert Cursor.objects.count() == 0


class _NoUsers(BrokerUsers):
    def keep(self, time: float) -> None:
        return None


class _Stopping(FakeWire):
    """Ends the loop after that many waits; the term is taken away in the first of them."""

    def __init__(self, stop: threading.Event, waits: int) -> None:
        super().__init__()
        self.stop, self.left = stop, waits

    def wait(self, position: str, seconds: float) -> None:
        self.left -= 1
        if self.left == 1:
            Lease.objects.update(holder="other", term=7, expires_at=timezone.now() - timedelta(seconds=1))
        elif self.left == 0:
            self.stop.set()


def test_the_loop_that_lost_its_term_stands_by_and_leads_again_with_a_new_one() -> None:
    stop = threading.Event()
    mine = DatabaseLease("mine")
    run(Controller(_Stopping(stop, 2), mine), _NoUsers(), stop)
    assert mine.term == 8
    assert Lease.objects.get().holder == ""
