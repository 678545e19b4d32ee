"""Invitations into a team: a link for one address, used once, which ends by itself."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import Invitation, Membership, Team, User
from console.accounts.secrets import digest, new_secret
from console.common import audit, events
from console.common.errors import BerthError, Conflict, Forbidden, NotFound

logger = logging.getLogger(__name__)

LIFETIME = timedelta(days=7)


def address_of(secret: str) -> str:
    """The link. Its host is the installation's own, never one that a request named."""
    return settings.BERTH_URL + reverse("web:invitation", args=[secret])


@transaction.atomic
def invite(access: Access, *, email: str, role: Role) -> tuple[Invitation, str]:
    """An invitation and its secret, which is not kept; one for the same address that is open ends. For owners."""
    access.require_owner()
    email = User.objects.normalize_email(email.strip())
    try:
        validate_email(email)
    except ValidationError as error:
        raise BerthError(str(error.messages[0]), fields={"email": error.messages}) from error
    if Membership.objects.filter(team=access.team, user__email__iexact=email).exists():
        message = _("%(email)s is in the team already.") % {"email": email}
        raise Conflict(message, code="member_exists", fields={"email": [message]})
    Team.objects.select_for_update(no_key=True).get(pk=access.team.pk)
    former = Invitation.objects.filter(team=access.team, email__iexact=email)
    before = [_as_data(one) for one in former]
    former.delete()
    secret = new_secret("invite")
    invitation = Invitation.objects.create(
        team=access.team,
        email=email,
        role=role,
        digest=digest(secret),
        created_by=access.actor,
        expires_at=timezone.now() + LIFETIME,
    )
    events.record(
        "invitation.created",
        f"{email} invited as {role.value}",
        actor=access.actor,
        team=access.team.id,
        data=audit.change(before[0] if before else None, _as_data(invitation), email=email),
    )
    if settings.EMAIL_HOST:
        transaction.on_commit(lambda: _mail(invitation, secret))
    return invitation, secret


def _mail(invitation: Invitation, secret: str) -> None:
    """Send the link. The inviter has it as well, so a mail server that is away spoils nothing."""
    subject = _("Invitation to the team %(team)s on Berth") % {"team": invitation.team.name}
    lines = (
        _("%(who)s invites you to the team %(team)s on Berth.")
        % {"who": invitation.created_by, "team": invitation.team.name},
        address_of(secret),
        _("The link works once, until %(until)s. If you did not expect it, do nothing.")
        % {"until": f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC"},
    )
    try:
        send_mail(" ".join(subject.split()), "\n\n".join(lines), None, [invitation.email])
    except OSError:
        logger.exception("The invitation of %s could not be mailed", invitation.email)


@transaction.atomic
def revoke_invitation(access: Access, invitation_id: str) -> None:
    access.require_owner()
    invitation = Invitation.objects.filter(team=access.team, pk=invitation_id).first()
    if invitation is None:
        raise NotFound(_("There is no such invitation."))
    invitation.delete()
    events.record(
        "invitation.revoked",
        f"Invitation of {invitation.email} revoked",
        actor=access.actor,
        team=access.team.id,
        data=audit.change(_as_data(invitation), None, email=invitation.email),
    )


def _as_data(invitation: Invitation) -> dict[str, str]:
    return {"role": str(invitation.role), "expires_at": invitation.expires_at.isoformat()}


def find_invitation(secret: str) -> Invitation:
    """The open invitation of this secret."""
    rows = Invitation.objects.select_related("team").filter(digest=digest(secret))
    invitation = rows.filter(expires_at__gt=timezone.now()).first()
    if invitation is None:
        raise NotFound(_("This invitation has been used, was revoked, or has expired. Ask for a new one."))
    return invitation


def is_known(invitation: Invitation) -> bool:
    """Whether the address has an account already."""
    return User.objects.filter(email__iexact=invitation.email).exists()


@transaction.atomic
def accept(secret: str, user: User) -> Team:
    """The invited user joins. Raises `NotFound`, `Forbidden` for anybody else."""
    invitation = _take(secret)
    if invitation.email.lower() != user.email.lower() or not user.is_active:
        raise Forbidden(
            _("This invitation is for %(email)s. Sign in as that user.") % {"email": invitation.email}
        )
    return _join(invitation, user)


@transaction.atomic
def accept_as_new(secret: str, *, name: str, password: str) -> tuple[User, Team]:
    """An account for the invited address, which joins. Raises `NotFound`, `Forbidden`, `Conflict`, `BerthError`."""
    if settings.SIGN_UP == "closed":
        raise Forbidden(_("This installation takes no new accounts. Ask its administrator."))
    invitation = _take(secret)
    user = User(email=invitation.email, name=name.strip()[:100])
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BerthError(_("Choose a better password."), fields={"password": list(error.messages)}) from error
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise Conflict(_("This address has an account. Sign in with it.")) from error
    audit.write(
        "account.created",
        f"Account {user.email} made, invited by {invitation.created_by}",
        actor=user.actor,
        team=invitation.team_id,
        data=audit.change(None, {"email": user.email, "name": user.name}, invited_by=invitation.created_by),
    )
    return user, _join(invitation, user)


def _take(secret: str) -> Invitation:
    """The invitation, which nobody else can use any more. In the caller's transaction."""
    invitation = find_invitation(secret)
    deleted, _rows = Invitation.objects.filter(pk=invitation.pk).delete()
    if not deleted:
        raise NotFound(_("This invitation has just been used."))
    return invitation


def _join(invitation: Invitation, user: User) -> Team:
    Membership.objects.get_or_create(user=user, team=invitation.team, defaults={"role": invitation.role})
    events.record(
        "member.joined",
        f"{user.email} joined as {invitation.role}, invited by {invitation.created_by}",
        actor=user.email,
        team=invitation.team_id,
        data=audit.change(None, {"role": invitation.role}, member=user.email),
    )
    return invitation.team
