"""Who leads. One row with holder, expiry by the database's clock, and a term that only grows."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import NamedTuple, Protocol

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from console.common.prepared import Prepared, PreparedUpdate
from console.controller.models import Lease

LIFETIME = timedelta(seconds=6)
_TERM: Prepared[int] = Prepared(lambda: Lease.objects.filter(id=1).values_list("term", flat=True))


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
            if not _TERM():
                Lease.objects.get_or_create(id=1)
            self._there = True
        with transaction.atomic():
            if not _updates(LIFETIME).take(self.holder):
                return False
            [self.term] = _TERM()
        return True

    def renew(self) -> None:
        if not _updates(LIFETIME).renew(self.holder, self.term):
            raise LeaseLost(f"{self.holder} no longer leads (term {self.term})")

    def release(self) -> None:
        Lease.objects.filter(id=1, holder=self.holder, term=self.term).update(expires_at=None, holder="")


class _Updates(NamedTuple):
    take: PreparedUpdate
    renew: PreparedUpdate


@cache
def _updates(lifetime: timedelta) -> _Updates:
    return _Updates(
        take=PreparedUpdate(
            lambda holder: Lease.objects.filter(_free(holder), id=1),
            lambda holder: {"holder": holder, "term": F("term") + 1, "expires_at": _expiry(lifetime)},
        ),
        renew=PreparedUpdate(
            lambda holder, term: Lease.objects.filter(id=1, holder=holder, term=term),
            lambda _holder, _term: {"expires_at": _expiry(lifetime)},
        ),
    )


def _expiry(lifetime: timedelta) -> Combinable:
    return ExpressionWrapper(Now() + Value(lifetime), output_field=DateTimeField())


def _free(holder: str) -> Q:
    return Q(expires_at=None) | Q(expires_at__lt=Now()) | Q(holder=holder)
