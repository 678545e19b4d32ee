"""Coming in and going out, in the audit. Django says so by signals, whichever way somebody comes in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import signals
from django.http import HttpRequest

from console.accounts.models import User
from console.common import audit, origin


def listen() -> None:
    signals.user_logged_in.connect(_signed_in, dispatch_uid="audit")
    signals.user_logged_out.connect(_signed_out, dispatch_uid="audit")
    signals.user_login_failed.connect(_refused, dispatch_uid="audit")


def _signed_in(sender: Any, request: HttpRequest, user: User, **more: Any) -> None:  # noqa: ARG001
    audit.write("session.opened", f"{user.actor} signed in", actor=user.actor)


def _signed_out(sender: Any, request: HttpRequest, user: User | None, **more: Any) -> None:  # noqa: ARG001
    if user is not None:
        audit.write("session.closed", f"{user.actor} signed out", actor=user.actor)


def _refused(sender: Any, credentials: dict[str, Any], **more: Any) -> None:  # noqa: ARG001
    """The word given as an address is a stranger's: kept short, and never with the password."""
    given = next((credentials[key] for key in ("email", "username", "login") if credentials.get(key)), "")
    audit.write("session.refused", "Sign-in refused", actor=origin.plain(str(given)))
