from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.db.models import QuerySet

from console.accounts import factors
from console.accounts.enums import Role
from console.accounts.models import ApiToken, AppRole, Invitation, Membership, Team, User


def members_of(team: Team) -> list[Membership]:
    """People, by address. Service accounts are listed by themselves."""
    rows = Membership.objects.select_related("user").filter(team=team, user__service_of=None)
    return list(rows.order_by("user__email"))


def without_factor(user_ids: Iterable[str]) -> set[str]:
    """Those among them who have no second factor."""
    users = set(user_ids)
    having = Authenticator.objects.filter(factors.REAL, user_id__in=users).values_list("user_id", flat=True)
    return users - set(having)


def service_accounts_of(team: Team) -> list[Membership]:
    rows = Membership.objects.select_related("user").filter(team=team, user__service_of=team)
    return list(rows.order_by("user__name"))


def tokens_of(user: User, team: Team) -> list[ApiToken]:
    """Somebody's own."""
    return list(_tokens(team).filter(user=user))


def tokens_in(team: Team) -> list[ApiToken]:
    """Everybody's, service accounts' too."""
    return list(_tokens(team))


def _tokens(team: Team) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(team=team).select_related("user").order_by("-created_at")


@dataclass(frozen=True, slots=True)
class AppMember:
    """A member or service account, and the role that holds in one app."""

    membership: Membership
    role: Role

    @property
    def differs(self) -> bool:
        return self.role != self.membership.role


def app_members(team: Team, app_id: str) -> list[AppMember]:
    """Everybody in the team, people first."""
    rows = AppRole.objects.filter(membership__team=team, app_id=app_id)
    own = dict(rows.values_list("membership_id", "role"))
    everybody = [*members_of(team), *service_accounts_of(team)]
    return [AppMember(one, Role(own.get(one.pk, one.role))) for one in everybody]


def app_roles_of(team: Team) -> list[AppRole]:
    """All roles in single apps."""
    rows = AppRole.objects.filter(membership__team=team).select_related("membership__user")
    return list(rows.order_by("membership__user__email", "app_id"))


def invitations_of(team: Team) -> list[Invitation]:
    """Those that are open, and those that ran out and were not revoked."""
    return list(Invitation.objects.filter(team=team).order_by("email"))


def people() -> list[User]:
    """Everybody with an account, by address; service accounts are the teams'."""
    rows = User.objects.filter(service_of=None).prefetch_related("memberships__team")
    return list(rows.order_by("email"))
