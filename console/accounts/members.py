"""Members of a team and its service accounts: their roles, in the team and in single apps, and their going."""

from __future__ import annotations

import re
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access, App
from console.accounts.enums import Role
from console.accounts.models import AppRole, Membership, Team, User
from console.accounts.tokens import end_tokens
from console.common import audit, events
from console.common.errors import BerthError, Conflict, NotFound

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def find_member(access: Access, user_id: str) -> Membership:
    """The team's member (a person) with this user's id or address."""
    return _find(access, user_id, service_of=None)


def find_service_account(access: Access, name: str) -> Membership:
    """The team's service account with this name or id."""
    return _find(access, name, service_of=access.team)


def find_principal(access: Access, name: str) -> Membership:
    """A member, or else a service account."""
    try:
        return find_member(access, name)
    except NotFound:
        return find_service_account(access, name)


def _find(access: Access, key: str, *, service_of: Team | None) -> Membership:
    rows = Membership.objects.select_related("user", "team")
    rows = rows.filter(team=access.team, user__service_of=service_of)
    name = "user__name" if service_of else "user__email__iexact"
    found = rows.filter(**{name: key}).first() or rows.filter(user_id=key).first()
    if found is None:
        raise NotFound(
            _("There is no such service account.") if service_of else _("There is no such member.")
        )
    return found


@transaction.atomic
def set_role(access: Access, member: Membership, *, role: Role) -> Membership:
    """Another role in the team. The last owner stays one. Roles in single apps that it swallows end."""
    access.require_owner()
    member = _lock(access, member)
    before, roles = Role(member.role), _roles(member)
    if before == role:
        return member
    _keep_an_owner(member, gone=role is not Role.OWNER)
    member.role = role
    member.save(update_fields=["role"])
    swallowed = AppRole.objects.filter(membership=member)
    (swallowed if role is Role.OWNER else swallowed.filter(role=role)).delete()
    events.record(
        "member.role",
        f"{member.user.actor} is {role.value} (before: {before.value})",
        actor=access.actor,
        team=access.team.id,
        data=audit.change(roles, _roles(member), member=member.user.actor),
    )
    return member


@transaction.atomic
def set_app_role(access: Access, member: Membership, app: App, *, role: Role | None) -> None:
    """A role in one app that is not the one in the team; None, or the team's own, ends the difference."""
    access.require_owner()
    member = _lock(access, member)
    if member.role == Role.OWNER:
        raise Conflict(_("An owner of the team owns all of its apps."), code="member_is_owner")
    if role is Role.OWNER:
        message = _("An app has developers and viewers; owners are the team's.")
        raise BerthError(message, fields={"role": [message]})
    rows = AppRole.objects.filter(membership=member, app_id=app.pk)
    before = rows.values_list("role", flat=True).first()
    after = None if role is None or role == member.role else role.value
    if before == after:
        return
    rows.delete()
    if after:
        AppRole.objects.create(membership=member, app_id=app.pk, role=after)
    text = f"is {after} of {app}" if after else f"has the team's role in {app} again"
    events.record(
        "member.app_role",
        f"{member.user.actor} {text}",
        actor=access.actor,
        team=access.team.id,
        app=str(app.pk),
        data=audit.change({"role": before}, {"role": after}, member=member.user.actor),
    )


@transaction.atomic
def remove_member(access: Access, member: Membership) -> None:
    """Take somebody out of the team; their tokens in it end at once. The last owner stays."""
    access.require_owner()
    _leave(access, _lock(access, member), "member.removed", "{} removed from the team")


@transaction.atomic
def leave_team(access: Access) -> None:
    """Go from a team. Its last owner stays."""
    access.require_person()
    _leave(access, _lock(access, find_member(access, access.user.pk)), "member.left", "{} left the team")


def _leave(access: Access, member: Membership, kind: str, text: str) -> None:
    _keep_an_owner(member, gone=True)
    roles, tokens = _roles(member), end_tokens(member)
    member.delete()
    events.record(
        kind,
        text.format(member.user.actor),
        actor=access.actor,
        team=access.team.id,
        data=audit.change(roles, None, member=member.user.actor, tokens=tokens),
    )


@transaction.atomic
def create_service_account(access: Access, *, name: str, role: Role) -> Membership:
    """A principal of the team without a person. It acts by tokens, which owners make for it."""
    access.require_owner()
    if not _NAME.fullmatch(name):
        message = _("Use up to 40 lower-case letters, digits and inner hyphens.")
        raise BerthError(message, fields={"name": [message]})
    address = f"{name}@{access.team.id}.service.invalid"
    try:
        with transaction.atomic():
            user = User.objects.create_user(address, name=name, service_of=access.team)
    except IntegrityError as error:
        message = _("The team has a service account of this name.")
        raise Conflict(message, code="name_taken", fields={"name": [message]}) from error
    member = Membership.objects.create(user=user, team=access.team, role=role)
    events.record(
        "service_account.created",
        f"Service account {name} created as {role.value}",
        actor=access.actor,
        team=access.team.id,
        data=audit.change(None, {"name": name, **_roles(member)}, member=user.actor),
    )
    return member


@transaction.atomic
def delete_service_account(access: Access, account: Membership) -> None:
    """The account and its tokens are gone at once; what it did stays in history."""
    access.require_owner()
    account = _lock(access, account)
    roles, tokens, user = _roles(account), end_tokens(account), account.user
    user.delete()
    events.record(
        "service_account.deleted",
        f"Service account {user.name} deleted",
        actor=access.actor,
        team=access.team.id,
        data=audit.change({"name": user.name, **roles}, None, member=user.actor, tokens=tokens),
    )


def forget_app(app_id: str) -> None:
    """Roles in an app end with it. In the caller's transaction."""
    AppRole.objects.filter(app_id=app_id).delete()


def _roles(member: Membership) -> dict[str, Any]:
    """In the team, and by app where it differs there."""
    apps = AppRole.objects.filter(membership=member).order_by("app_id")
    return {"role": str(member.role), "app_roles": dict(apps.values_list("app_id", "role"))}


def _lock(access: Access, member: Membership) -> Membership:
    """The membership as it is now. The team's row is locked, so that two owners cannot go at the same time."""
    Team.objects.select_for_update(no_key=True).get(pk=access.team.pk)
    found = Membership.objects.select_related("user", "team").filter(pk=member.pk, team=access.team).first()
    if found is None:
        raise NotFound(_("There is no such member."))
    return found


def _keep_an_owner(member: Membership, *, gone: bool) -> None:
    """A team without an owner could not be mended by its members: one who can sign in stays."""
    if not gone or member.role != Role.OWNER or member.user.service_of_id or not member.user.is_active:
        return
    owners = Membership.objects.filter(
        team=member.team_id, role=Role.OWNER, user__service_of=None, user__is_active=True
    )
    if not owners.exclude(pk=member.pk).exists():
        raise Conflict(
            _("The team's last owner stays. Make somebody else an owner first."), code="last_owner"
        )
