"""What the API remembers of requests."""

from __future__ import annotations

from django.db import models


class KeptAnswer(models.Model):
    """The answer to a write that carried an Idempotency-Key. Sealed: it may hold a secret that is shown once."""

    key = models.CharField(max_length=64, primary_key=True)
    """SHA-256 of who asked, and the key: the key itself, which opens the answer, is not kept."""
    request = models.CharField(max_length=64)
    """SHA-256 of method, address and body."""
    status = models.SmallIntegerField(default=0)
    headers = models.JSONField(default=dict)
    content = models.BinaryField(default=bytes)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.status}"
