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


class HoldState(models.TextChoices):
    """Of a node after the database was restored."""

    CHECK = "check", _("To be looked at")
    HELD = "held", _("Waits for a confirmation")
    CONFIRMED = "confirmed", _("Confirmed")


class JobKind(models.TextChoices):
    PULL = "pull", _("Pull")
    ENSURE = "ensure", _("Start")
    STOP = "stop", _("Stop")
    REMOVE = "remove", _("Remove")
    SYNC = "sync", _("Sync")
    SWARM = "swarm", _("Overlay")
    NETWORK = "network", _("Network")
    TIDY = "tidy", _("Tidy up")


class JoinTokenState(models.TextChoices):
    OPEN = "open", _("Open")
    USED = "used", _("Used")
    EXPIRED = "expired", _("Expired")
    REVOKED = "revoked", _("Revoked")

    @property
    def tone(self) -> str:
        return {"open": "info", "used": "success", "expired": "muted", "revoked": "danger"}[self.value]

    @property
    def icon(self) -> str:
        return {"open": "key", "used": "circle-check", "expired": "clock", "revoked": "circle-x"}[self.value]


class CredentialEnd(models.TextChoices):
    """Why a link token holds no more."""

    REMOVED = "removed", _("Node removed")
    REVOKED = "revoked", _("Revoked")
    RENEWED = "renewed", _("Replaced by newer ones")
