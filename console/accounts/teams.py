"""Teams: made, and renamed."""

from __future__ import annotations

import re

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import ApiToken, Membership, Team, User
from console.common import audit, events
from console.common.errors import BerthError, Conflict, Forbidden

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def may_create_teams(user: User) -> bool:
    return user.is_staff or settings.TEAMS_BY_EVERYONE


def create_team(user: User, *, slug: str, name: str = "", token: ApiToken | None = None) -> Team:
    """A team with this user as its owner. For administrators, or for everybody where the operator says so."""
    if not may_create_teams(user) or not (token is None or token.is_full):
        raise Forbidden(_("Only a platform administrator may make a team."))
    if not _SLUG.fullmatch(slug):
        message = _("Use up to 40 lower-case letters, digits and inner hyphens.")
        raise BerthError(message, fields={"slug": [message]})
    try:
        with transaction.atomic():
            team = Team.objects.create(slug=slug, name=_clean(name) or slug)
            Membership.objects.create(user=user, team=team, role=Role.OWNER)
            events.record(
                "team.created",
                f"Team “{team.name}” created",
                actor=user.actor,
                team=team.id,
                data=audit.change(None, {"slug": slug, "name": team.name}),
            )
    except IntegrityError as error:
        message = _("A team of this address exists.")
        raise Conflict(message, code="name_taken", fields={"slug": [message]}) from error
    return team


@transaction.atomic
def rename_team(access: Access, *, name: str) -> Team:
    """Another name; the address stays. For owners."""
    access.require_owner()
    name = _clean(name)
    if not name:
        message = _("Give the team a name.")
        raise BerthError(message, fields={"name": [message]})
    team = Team.objects.select_for_update(no_key=True).get(pk=access.team.pk)
    before, team.name = team.name, name
    if before != name:
        team.save(update_fields=["name"])
        events.record(
            "team.renamed",
            f"Team “{before}” renamed to “{name}”",
            actor=access.actor,
            team=team.id,
            data=audit.change({"name": before}, {"name": name}),
        )
    return team


def _clean(name: str) -> str:
    return " ".join(name.split())[:100]
