"""What the loop itself remembers: who leads, and how far it has read."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """One row. Whoever renews it by term leads; its conditional update fences each transaction."""

    id = models.IntegerField(primary_key=True)
    holder = models.CharField(max_length=100, blank=True)
    term = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.holder} (term {self.term})"


class Cursor(models.Model):
    """One row: the last entry of the report stream that is taken in, and the epoch it belongs to."""

    id = models.IntegerField(primary_key=True)
    epoch = models.CharField(max_length=40, blank=True)
    position = models.CharField(max_length=40, default="0-0")

    def __str__(self) -> str:
        return self.position


class Wake(models.Model):
    """An app to look at again at a time, though nothing changed (a back-off, a monitor time)."""

    app_id = models.CharField(max_length=16, primary_key=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.app_id} at {self.at}"
