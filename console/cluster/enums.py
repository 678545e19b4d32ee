from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class NodeState(models.TextChoices):
    """What the console makes of a node's contact. `joining` has never been heard of."""

    JOINING = "joining", _("Joining")
    READY = "ready", _("Ready")
    SUSPECT = "suspect", _("Suspect")
    DOWN = "down", _("Down")

    @property
    def tone(self) -> str:
        return {"joining": "info", "ready": "success", "suspect": "warning", "down": "danger"}[self.value]

    @property
    def icon(self) -> str:
        return {
            "joining": "loader",
            "ready": "circle-check",
            "suspect": "alert-triangle",
            "down": "plug-off",
        }[self.value]


class JobKind(models.TextChoices):
    PULL = "pull", _("Pull")
    ENSURE = "ensure", _("Start")
    STOP = "stop", _("Stop")
    REMOVE = "remove", _("Remove")
    SYNC = "sync", _("Sync")
