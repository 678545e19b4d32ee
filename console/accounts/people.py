"""Everybody with an account: who administers the platform, whose account is disabled. For administrators."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.accounts.signins import end_sessions
from console.common import audit
from console.common.errors import Conflict, NotFound


def find_person(user_id: str) -> User:
    """By id or address."""
    people = User.objects.filter(service_of=None)
    found = people.filter(pk=user_id).first() or people.filter(email__iexact=user_id).first()
    if found is None:
        raise NotFound(_("There is no such user."))
    return found


@transaction.atomic
def set_administrator(user: User, *, administrator: bool, actor: str) -> User:
    """Whether the user administers the platform. The last one who can sign in stays one."""
    user = _lock(user)
    if user.is_staff == administrator:
        return user
    user.is_staff = administrator
    user.save(update_fields=["is_staff"])
    _keep_an_administrator()
    _note(user, "user.administrator", "administrator", administrator, actor)
    return user


@transaction.atomic
def set_active(user: User, *, active: bool, actor: str) -> User:
    """A disabled account: nobody signs in to it, its sessions and tokens work no more. Nothing is deleted."""
    user = _lock(user)
    if user.is_active == active:
        return user
    user.is_active = active
    user.save(update_fields=["is_active"])
    _keep_an_administrator()
    _note(user, "user.active", "active", active, actor)
    if not active:
        end_sessions(user, UserSession.objects.filter(user=user), actor=actor)
    return user


def _lock(user: User) -> User:
    """All administrators' rows are locked, so that two cannot go at the same time."""
    list(User.objects.select_for_update().filter(is_staff=True).order_by("pk"))
    return User.objects.select_for_update().get(pk=user.pk)


def _keep_an_administrator() -> None:
    if not User.objects.filter(is_staff=True, is_active=True).exists():
        raise Conflict(
            _("The last platform administrator stays. Make somebody else one first."),
            code="last_administrator",
        )


def _note(user: User, kind: str, name: str, value: bool, actor: str) -> None:
    audit.write(
        kind,
        f"{user.email}: {name} is now {'yes' if value else 'no'}",
        actor=actor,
        data=audit.change({name: not value}, {name: value}, user=user.email),
    )
