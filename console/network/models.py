"""Networks across hosts. Those of one host are made by its agent and need no record."""

from __future__ import annotations

from django.db import models

from console.common.ids import IdField


class AppNetwork(models.Model):
    """One app's network on the overlay: a manager makes it before anything starts on it."""

    id = IdField()
    app_id = models.CharField(max_length=16, db_index=True)
    """No foreign key: it outlives its app until a manager has removed it."""
    name = models.CharField(max_length=128, unique=True)
    """The engines' own."""
    internal = models.BooleanField(default=False)
    asked_at = models.DateTimeField(null=True)
    """When a manager was last asked to make or to remove it."""
    made_at = models.DateTimeField(null=True)
    swarm = models.CharField(max_length=64, blank=True)
    """In which it was made: another one does not have it."""
    error = models.CharField(max_length=500, blank=True)
    """Why the last try failed; told when it changes."""

    def __str__(self) -> str:
        return self.name
