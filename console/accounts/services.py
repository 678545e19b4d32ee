"""Changes of users, teams and their credentials."""

from __future__ import annotations

from datetime import timedelta

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.accounts import addresses, factors
from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import MOST_LOG_DAYS, Membership, SignInLink, Team, User
from console.accounts.secrets import digest, new_secret
from console.common import audit, events, origin
from console.common.errors import BerthError, Conflict, NotFound

LINK_LIFETIME = timedelta(hours=12)


@transaction.atomic
def create_first_owner(*, email: str) -> tuple[User, Team]:
    """The first user, platform administrator and owner of the team `default`. Safe to repeat."""
    team, _made = Team.objects.get_or_create(slug="default", defaults={"name": "Default"})
    owner = Membership.objects.filter(team=team, role=Role.OWNER).select_related("user").first()
    if owner:
        return owner.user, team
    user = User.objects.create_user(email=email, is_staff=True)
    Membership.objects.create(user=user, team=team, role=Role.OWNER)
    data = audit.change(None, {"slug": team.slug, "name": team.name}, owner=user.actor)
    events.record("team.created", "Team “Default” created", actor="bootstrap", team=team.id, data=data)
    return user, team


@transaction.atomic
def set_log_retention(access: Access, *, days: int) -> Team:
    """How many days logs of ended containers are kept, from now on and of those that are kept already."""
    access.require_owner()
    if not 0 <= days <= MOST_LOG_DAYS:
        text = _("Choose a number of days from 0 to %(most)d.") % {"most": MOST_LOG_DAYS}
        raise BerthError(text, fields={"log_retention_days": [text]})
    team = Team.objects.select_for_update().get(pk=access.team.pk)
    before, team.log_retention_days = team.log_retention_days, days
    if before != days:
        team.save(update_fields=["log_retention_days"])
        events.record(
            "team.changed",
            f"Logs of ended containers are kept for {days} days (before: {before})",
            actor=access.actor,
            team=team.id,
            data=audit.change({"log_retention_days": before}, {"log_retention_days": days}),
        )
    return team


@transaction.atomic
def set_two_factor_required(access: Access, *, required: bool) -> Team:
    """Whether members come in with a second factor alone, from their next request on. For owners who have one
    themselves; a service account asks for it once some owner has one."""
    access.require_owner()
    team = Team.objects.select_for_update(no_key=True).get(pk=access.team.pk)
    if required and not _owner_has_factor(access):
        raise Conflict(
            _("Set up a second factor of your own first, under Account → Security."), code="two_factor_first"
        )
    before, team.two_factor_required = team.two_factor_required, required
    if before != required:
        team.save(update_fields=["two_factor_required"])
        events.record(
            "team.changed",
            f"A second factor is {'required' if required else 'no longer required'} of members",
            actor=access.actor,
            team=team.id,
            data=audit.change({"two_factor_required": before}, {"two_factor_required": required}),
        )
    return team


def _owner_has_factor(access: Access) -> bool:
    if access.user.service_of_id is None:
        return factors.has_one(access.user.pk)
    owners = Membership.objects.filter(team=access.team, role=Role.OWNER).values_list("user_id", flat=True)
    return any(factors.has_one(one) for one in owners)


@transaction.atomic
def create_sign_in_link(user: User) -> str:
    """A fresh one-time secret; older links of this user end."""
    SignInLink.objects.filter(user=user).delete()
    secret = new_secret("link")
    link = SignInLink.objects.create(
        user=user, digest=digest(secret), expires_at=timezone.now() + LINK_LIFETIME
    )
    data = audit.change(None, {"expires_at": link.expires_at.isoformat()}, user=user.actor)
    audit.write(
        "link.created", f"One-time sign-in link for {user.actor} made", actor=origin.operator(), data=data
    )
    return secret


def find_sign_in_link(secret: str) -> SignInLink:
    """The unused link of this secret, or not found."""
    link = (
        SignInLink.objects.select_related("user")
        .filter(digest=digest(secret), expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )
    if link is None:
        raise NotFound(
            _("This link has been used or has expired. Run “manage.py sign_in_link” for a new one.")
        )
    return link


@transaction.atomic
def use_sign_in_link(secret: str) -> User:
    """The link's user; the link is gone afterwards, also when two ask at once."""
    link = find_sign_in_link(secret)
    deleted, _rows = SignInLink.objects.filter(pk=link.pk).delete()
    if not deleted:
        raise NotFound(_("This link has just been used."))
    data = audit.change({"expires_at": link.expires_at.isoformat()}, None)
    audit.write("link.used", "One-time sign-in link used", actor=link.user.actor, data=data)
    return link.user


def is_new(user: User) -> bool:
    """Whether nobody has come in to this account but by a one-time link: it has no password and no provider."""
    return not user.has_usable_password() and not SocialAccount.objects.filter(user=user).exists()


@transaction.atomic
def set_up(user: User, *, name: str, email: str, password: str) -> User:
    """Name and password of a new account; an administrator's address as well, which nobody has proven yet."""
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not is_new(user):
        raise Conflict(_("This account is set up already."))
    if password:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise BerthError(
                _("Choose a better password."), fields={"password": list(error.messages)}
            ) from error
        user.set_password(password)
    before = {"name": user.name, "email": user.email}
    user.name = _short(name)
    user.save(update_fields=["name", "password"])
    if user.is_staff and email != user.email:
        addresses.set_address(user, email, actor=user.actor)
    after = {"name": user.name, "email": user.email}
    text = "Own account changed" + (", with a new password" if password else "")
    data = audit.change(before, after, password_changed=bool(password))
    audit.write("account.changed", text, actor=before["email"], data=data)
    return user


@transaction.atomic
def set_name(user: User, name: str) -> User:
    """One's own."""
    before, user.name = user.name, _short(name)
    if before != user.name:
        user.save(update_fields=["name"])
        data = audit.change({"name": before}, {"name": user.name})
        audit.write("account.changed", "Own account changed", actor=user.actor, data=data)
    return user


def _short(name: str) -> str:
    return name.strip()[:100]
