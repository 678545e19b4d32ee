"""Who someone is to a team. Everything a face does begins here; a foreign team does not exist."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from console.accounts.enums import Role
from console.accounts.models import ApiToken, Membership, Team, User
from console.accounts.secrets import digest
from console.common.errors import Forbidden, NotFound

_USED_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Access:
    """A user in a team, with the role held right now."""

    user: User
    team: Team
    role: Role

    @property
    def actor(self) -> str:
        return self.user.email

    def require_write(self) -> None:
        if not self.role.may_write:
            raise Forbidden(
                _("Your role in this team may look, not change. Ask an owner for the developer role.")
            )

    def require_exec(self) -> None:
        if not self.role.may_exec:
            raise Forbidden(
                _(
                    "Your role in this team runs nothing inside containers. Ask an owner for the developer role."
                )
            )

    def require_owner(self) -> None:
        if not self.role.may_own:
            raise Forbidden(_("Only an owner of the team may do this."))


def team_access(user: User | AnonymousUser, slug: str) -> Access:
    """The user's access to the team `slug`; a team that is not theirs is not found."""
    membership = (
        Membership.objects.select_related("team", "user").filter(user_id=user.pk, team__slug=slug).first()
        if user.is_authenticated
        else None
    )
    if membership is None or not membership.user.is_active:
        raise NotFound(_("There is no such team."))
    return Access(membership.user, membership.team, Role(membership.role))


def teams_of(user: User) -> list[Team]:
    return list(Team.objects.filter(memberships__user=user).order_by("name"))


def token_user(token: str, now: datetime) -> ApiToken | None:
    """The live token that this secret stands for; its last use is noted to the minute."""
    found = (
        ApiToken.objects.select_related("user", "team")
        .filter(digest=digest(token), user__is_active=True)
        .filter(Q(expires_at=None) | Q(expires_at__gt=now))
        .first()
    )
    if found and (found.last_used_at is None or now - found.last_used_at > _USED_RESOLUTION):
        ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


def renewed_access(user_id: str, token_id: str, team_id: str, now: datetime) -> Access:
    """The present access of somebody who came in before: by this token, or (it is empty) as the user alone.

    Raises NotFound once the membership, the user's account or the token is gone.
    """
    tokens = ApiToken.objects.filter(pk=token_id, user_id=user_id, team_id=team_id)
    if token_id and not tokens.filter(Q(expires_at=None) | Q(expires_at__gt=now)).exists():
        raise NotFound(_("The token was revoked or has expired."))
    user, team = User.objects.filter(pk=user_id).first(), Team.objects.filter(pk=team_id).first()
    if user is None or team is None:
        raise NotFound(_("There is no such team."))
    return team_access(user, team.slug)
