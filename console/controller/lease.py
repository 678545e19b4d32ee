"""Who leads. One row with holder, expiry by the database's clock, and a term that only grows."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from console.controller.models import Lease

LIFETIME = timedelta(seconds=6)


class LeaseLost(Exception):
    """Another controller leads. The transaction that noticed must not commit."""


class Leadership(Protocol):
    def acquire(self) -> bool:
        """Try to lead; whether this one leads now, with a new term."""

    def renew(self) -> None:
        """First statement of each transaction; raises `LeaseLost` unless this term still holds."""

    def release(self) -> None:
        """Step down, so that a standby need not wait for the expiry."""


class DatabaseLease:
    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.term = 0
        self._there = False
        """The row was made, and nothing deletes it."""

    def acquire(self) -> bool:
        if not self._there:
            Lease.objects.get_or_create(id=1)
            self._there = True
        free = Q(expires_at=None) | Q(expires_at__lt=Now()) | Q(holder=self.holder)
        with transaction.atomic():
            taken = Lease.objects.filter(free, id=1).update(
                holder=self.holder, term=F("term") + 1, expires_at=_expiry()
            )
            if not taken:
                return False
            self.term = Lease.objects.get(id=1).term
        return True

    def renew(self) -> None:
        held = Lease.objects.filter(id=1, holder=self.holder, term=self.term).update(expires_at=_expiry())
        if not held:
            raise LeaseLost(f"{self.holder} no longer leads (term {self.term})")

    def release(self) -> None:
        Lease.objects.filter(id=1, holder=self.holder, term=self.term).update(expires_at=None, holder="")


def _expiry() -> Combinable:
    return ExpressionWrapper(Now() + Value(LIFETIME), output_field=DateTimeField())
