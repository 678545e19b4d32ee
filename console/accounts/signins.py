"""Coming in and going out, second factors and passwords, in the audit. Django and allauth say so by signals,
whichever way somebody comes in."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount import signals as social
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import get_user, signals
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest

from console.accounts.models import User
from console.common import audit, origin


def listen() -> None:
    signals.user_logged_in.connect(_signed_in, dispatch_uid="audit")
    signals.user_logged_out.connect(_signed_out, dispatch_uid="audit")
    signals.user_login_failed.connect(_refused, dispatch_uid="audit")
    account.password_changed.connect(_password, dispatch_uid="audit")
    account.password_set.connect(_password, dispatch_uid="audit")
    account.password_reset.connect(_password, dispatch_uid="audit")
    account.user_signed_up.connect(_signed_up, dispatch_uid="audit")
    mfa.authenticator_added.connect(_factor_added, dispatch_uid="audit")
    mfa.authenticator_removed.connect(_factor_removed, dispatch_uid="audit")
    mfa.authentication_failed.connect(_factor_refused, dispatch_uid="audit")
    mfa.authenticator_reset.connect(_factor_added, dispatch_uid="audit")
    social.social_account_added.connect(_linked, dispatch_uid="audit")
    social.social_account_removed.connect(_unlinked, dispatch_uid="audit")


def _signed_in(sender: Any, request: HttpRequest, user: User, **more: Any) -> None:  # noqa: ARG001
    """The session is kept in a list, so that it can be seen and ended elsewhere."""
    UserSession.objects.create_from_request(request, user=user)
    audit.write("session.opened", f"{user.actor} signed in", actor=user.actor)


def _signed_out(sender: Any, request: HttpRequest, user: User | None, **more: Any) -> None:  # noqa: ARG001
    if user is not None:
        audit.write("session.closed", f"{user.actor} signed out", actor=user.actor)


def _refused(sender: Any, credentials: dict[str, Any], **more: Any) -> None:  # noqa: ARG001
    """The word given as an address is a stranger's: kept short, and never with the password."""
    given = next((credentials[key] for key in ("email", "username", "login") if credentials.get(key)), "")
    audit.write("session.refused", "Sign-in refused", actor=origin.plain(str(given)))


def _password(sender: Any, request: HttpRequest, user: User, **more: Any) -> None:  # noqa: ARG001
    """Nothing of either password is told."""
    audit.write("account.password", "Password changed", actor=user.actor, data={"changed": True})


def _signed_up(sender: Any, request: HttpRequest, user: User, **more: Any) -> None:  # noqa: ARG001
    login = more.get("sociallogin")
    audit.write(
        "account.created",
        f"Account {user.email} made",
        actor=user.actor,
        data=audit.change(
            None, {"email": user.email, "name": user.name, **(_identity(login.account) if login else {})}
        ),
    )


def _linked(sender: Any, request: HttpRequest, sociallogin: SocialLogin, **more: Any) -> None:  # noqa: ARG001
    """By somebody who is signed in, or at the first sign-in with a confirmed address, which ends the password."""
    user, asked = sociallogin.user, sociallogin.state.get("process") == AuthProcess.CONNECT
    address = "" if asked else sociallogin._did_authenticate_by_email or ""
    how = "found by its address" if address else "by its holder"
    audit.write(
        "account.linked",
        f"Account {user.email} linked to an identity of {sociallogin.account.provider}, {how}",
        actor=user.actor,
        data=audit.change(None, _identity(sociallogin.account), address=address),
    )


def _unlinked(sender: Any, request: HttpRequest, socialaccount: SocialAccount, **more: Any) -> None:  # noqa: ARG001
    audit.write(
        "account.unlinked",
        f"Account {socialaccount.user.email} unlinked from an identity of {socialaccount.provider}",
        actor=socialaccount.user.actor,
        data=audit.change(_identity(socialaccount), None),
    )


def _identity(account: SocialAccount) -> dict[str, str]:
    return {"provider": origin.plain(str(account.provider)), "subject": origin.plain(str(account.uid))}


def _factor_added(sender: Any, user: User, authenticator: Authenticator, **more: Any) -> None:  # noqa: ARG001
    kind = authenticator.type
    data = audit.change(None, {"type": kind})
    audit.write("account.factor_added", f"Second factor set up: {kind}", actor=user.actor, data=data)


def _factor_removed(sender: Any, user: User, authenticator: Authenticator, **more: Any) -> None:  # noqa: ARG001
    kind = authenticator.type
    data = audit.change({"type": kind}, None)
    audit.write("account.factor_removed", f"Second factor removed: {kind}", actor=user.actor, data=data)


def _factor_refused(sender: Any, user: User, **more: Any) -> None:  # noqa: ARG001
    audit.write("session.refused", "Second factor refused", actor=user.actor)


def session_holds(key: str, user_id: str) -> bool:
    """Whether this session is there still, and the user's. What stays open for long asks again and again."""
    if not key:
        return False
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    return user.is_authenticated and str(user.pk) == user_id


@transaction.atomic
def end_sessions(user: User, sessions: Iterable[UserSession], *, actor: str = "") -> None:
    """End these sessions of the user; they are refused from their next request on."""
    ended = list(sessions)
    Session.objects.filter(pk__in=[one.session_key for one in ended]).delete()
    UserSession.objects.filter(pk__in=[one.pk for one in ended]).delete()
    if ended:
        text = f"{len(ended)} session{'s' * (len(ended) != 1)} of {user.actor} ended"
        data = audit.change({"from": [one.ip for one in ended]}, None, user=user.actor)
        audit.write("session.ended", text, actor=actor or user.actor, data=data)
