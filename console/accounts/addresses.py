"""Addresses of accounts. Nobody takes one unproven: invitations are for an address, and OpenID Connect finds by it.

With a mail server a new address is confirmed by a link that is mailed to it. Without one, nothing could prove it, so
platform administrators alone change addresses.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.common import audit
from console.common.errors import BerthError, Forbidden, NotFound

logger = logging.getLogger(__name__)

LIFETIME = timedelta(hours=24)
_SALT = "console.accounts.addresses"


def may_change(user: User) -> bool:
    """One's own: where a mail can prove the new one, or as an administrator, whose word counts."""
    return bool(settings.EMAIL_HOST) or user.is_staff


def change_own(user: User, email: str) -> bool:
    """Whether the address is changed now; else a link to the new one was mailed. Raises `Forbidden`, `BerthError`."""
    if not may_change(user):
        raise Forbidden(
            _("This installation sends no mail that would prove an address: ask a platform administrator.")
        )
    email = _checked(user, email)
    if not settings.EMAIL_HOST:
        set_address(user, email, actor=user.actor)
        return True
    link = settings.BERTH_URL + reverse("web:address", args=[secret_for(user, email)])
    audit.write(
        "account.address_asked",
        "Another address asked for",
        actor=user.actor,
        data=audit.change({"email": user.email}, {"email": email}),
    )
    subject = _("Confirm this address for Berth")
    lines = (
        _("%(who)s wants to sign in to Berth by this address from now on.") % {"who": user.email},
        link,
        _("The link works once, for 24 hours. If you did not expect it, do nothing."),
    )
    transaction.on_commit(lambda: _mail(subject, lines, email))
    return False


def secret_for(user: User, email: str) -> str:
    """What the link holds: good for 24 hours, for this account, as long as it has its present address."""
    return signing.dumps([user.pk, user.email, email], salt=_SALT)


def asked_address(user: User, secret: str) -> str:
    """The address that the link is for. Raises `NotFound` for another's, and for one that was used or is too old."""
    try:
        key, before, email = signing.loads(secret, salt=_SALT, max_age=LIFETIME)
    except (signing.BadSignature, ValueError):
        key = before = email = None
    if (key, before) != (user.pk, user.email) or not email:
        raise NotFound(_("This link has been used or has expired, or is for somebody else's account."))
    return str(email)


@transaction.atomic
def confirm(user: User, secret: str) -> User:
    """Take the address that the link, mailed to it, is for."""
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    return set_address(user, asked_address(user, secret), actor=user.actor)


@transaction.atomic
def set_address(user: User, email: str, *, actor: str) -> User:
    """The account's only address from now on, proven or vouched for by `actor`. The old one is told."""
    before, email = user.email, _checked(user, email)
    if before == email:
        return user
    take(user, email)
    data = audit.change({"email": before}, {"email": email})
    audit.write("account.address", f"Address of {before} is now {email}", actor=actor, data=data)
    if settings.EMAIL_HOST:
        subject = _("Your address on Berth was changed")
        lines = (
            _("The account %(before)s on Berth now has the address %(after)s.")
            % {"before": before, "after": email},
            _("If you did not expect it, tell an administrator of your installation."),
        )
        transaction.on_commit(lambda: _mail(subject, lines, before))
    return user


def take(user: User, email: str) -> None:
    """Both where we and where allauth look for it. In the caller's transaction. Raises `BerthError`."""
    try:
        with transaction.atomic():
            user.email = email
            user.save(update_fields=["email"])
    except IntegrityError as error:
        raise _taken() from error
    EmailAddress.objects.filter(user=user).delete()
    EmailAddress.objects.filter(email__iexact=email).delete()
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)


def _checked(user: User, email: str) -> str:
    email = User.objects.normalize_email(email.strip())
    try:
        validate_email(email)
    except ValidationError as error:
        raise BerthError(str(error.messages[0]), fields={"email": error.messages}) from error
    if User.objects.filter(email__iexact=email).exclude(pk=user.pk).exists():
        raise _taken()
    return email


def _taken() -> BerthError:
    return BerthError(_("This address is taken."), fields={"email": [_("This address is taken.")]})


def _mail(subject: str, lines: Any, to: str) -> None:
    try:
        send_mail(subject, "\n\n".join(lines), None, [to])
    except OSError:
        logger.exception("The mail “%s” to %s could not be sent", subject, to)
