from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class WebhookState(models.TextChoices):
    """How a webhook stands: what people wanted of it, and how its last deliveries went."""

    ACTIVE = "active", _("Active")
    FAILING = "failing", _("Failing")
    PAUSED = "paused", _("Paused")
    DISABLED = "disabled", _("Disabled")

    @property
    def tone(self) -> str:
        return {"active": "success", "failing": "warning", "paused": "muted", "disabled": "danger"}[
            self.value
        ]

    @property
    def icon(self) -> str:
        return {
            "active": "circle-check",
            "failing": "alert-triangle",
            "paused": "player-pause",
            "disabled": "circle-x",
        }[self.value]


class DeliveryState(models.TextChoices):
    PENDING = "pending", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")

    @property
    def tone(self) -> str:
        return {"pending": "info", "delivered": "success", "failed": "danger"}[self.value]

    @property
    def icon(self) -> str:
        return {"pending": "clock", "delivered": "circle-check", "failed": "circle-x"}[self.value]


class Failure(models.TextChoices):
    """Why an attempt was none that counts."""

    STATUS = "status", _("The answer was no success (2xx).")
    REDIRECT = "redirect", _("The answer was a redirect. Redirects are not followed: give the final address.")
    GONE = "gone", _("The receiver answered 410: it wants no more deliveries.")
    UNRESOLVED = "unresolved", _("The host's name could not be resolved.")
    REFUSED = "address_refused", _("The host's address is not a public one, or takes plain http only.")
    UNREACHABLE = "unreachable", _("No connection came about.")
    TLS = "tls", _("The receiver's certificate is not accepted.")
    TIMEOUT = "timeout", _("There was no whole answer in time.")
    BROKEN = "broken", _("The connection broke, or the answer was no HTTP.")
    SECRET = "secret", _("The signing secret cannot be opened.")


class DisabledBy(models.TextChoices):
    """Why Berth itself stopped a webhook."""

    GONE = "gone", _("The receiver answered 410 (Gone).")
    FAILING = "failing", _("Nothing was delivered for three days.")
