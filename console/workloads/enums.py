"""Words that people see for the states that the scheduler's tables define."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Toned(models.TextChoices):
    """A status with a tone and an icon beside its word: never colour alone."""

    @property
    def tone(self) -> str:
        return _LOOKS[self.value][0]

    @property
    def icon(self) -> str:
        return _LOOKS[self.value][1]


class ContainerState(Toned):
    """As in scheduler/lifecycle.py (a test holds the two together)."""

    PENDING = "pending", _("Pending")
    ASSIGNED = "assigned", _("Assigned")
    PREPARING = "preparing", _("Preparing")
    STARTING = "starting", _("Starting")
    RUNNING = "running", _("Running")
    STOPPING = "stopping", _("Stopping")
    EXITED = "exited", _("Exited")
    FAILED = "failed", _("Failed")
    LOST = "lost", _("Lost")


ENDED = (ContainerState.EXITED, ContainerState.FAILED, ContainerState.LOST)
"""States in which a container does nothing more."""


class Health(Toned):
    NONE = "none", _("No check")
    STARTING = "starting", _("Checking")
    HEALTHY = "healthy", _("Healthy")
    UNHEALTHY = "unhealthy", _("Unhealthy")
    RESTARTING = "restarting", _("Restarting")
    """It ended and its engine waits before it starts it again: to the lifecycle it runs, but it is not well."""


class ReleaseState(Toned):
    RESOLVING = "resolving", _("Resolving images")
    PREPARING = "preparing", _("Running its release command")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")


class RolloutState(Toned):
    RUNNING = "running", _("Rolling out")
    PAUSED = "paused", _("Paused")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    ROLLED_BACK = "rolled_back", _("Rolled back")
    SUPERSEDED = "superseded", _("Superseded")


UNDER_WAY = (RolloutState.RUNNING, RolloutState.PAUSED)


class OperationState(Toned):
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    SUPERSEDED = "superseded", _("Superseded")


class OperationKind(models.TextChoices):
    DEPLOY = "deploy", _("Deploy")
    ROLLBACK = "rollback", _("Roll back")
    SCALE = "scale", _("Scale")
    RESTART = "restart", _("Restart")
    STOP = "stop", _("Stop")
    START = "start", _("Start")
    DELETE = "delete", _("Delete")
    VOLUME = "volume", _("Delete volume")


class AppState(Toned):
    """One word for a whole app, derived from what is wanted and what is seen."""

    RUNNING = "running", _("Running")
    DEPLOYING = "deploying", _("Deploying")
    PAUSED = "paused", _("Paused")
    """Its rollout is."""
    DEGRADED = "degraded", _("Degraded")
    FAILED = "failed", _("Failed")
    STOPPED = "stopped", _("Stopped")
    DELETING = "deleting", _("Deleting")


_LOOKS = {
    "pending": ("warning", "clock"),
    "assigned": ("info", "loader"),
    "preparing": ("info", "download"),
    "starting": ("info", "loader"),
    "running": ("success", "circle-check"),
    "stopping": ("info", "loader"),
    "exited": ("muted", "circle-off"),
    "failed": ("danger", "alert-circle"),
    "lost": ("danger", "plug-off"),
    "none": ("muted", "minus"),
    "healthy": ("success", "heart"),
    "unhealthy": ("danger", "heart-broken"),
    "restarting": ("warning", "refresh"),
    "resolving": ("info", "loader"),
    "ready": ("success", "circle-check"),
    "succeeded": ("success", "circle-check"),
    "superseded": ("muted", "arrow-right"),
    "paused": ("warning", "player-pause"),
    "rolled_back": ("danger", "arrow-back-up"),
    "deploying": ("info", "rocket"),
    "degraded": ("warning", "alert-triangle"),
    "stopped": ("muted", "player-stop"),
    "deleting": ("warning", "trash"),
}
