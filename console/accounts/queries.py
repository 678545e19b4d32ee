from __future__ import annotations

from console.accounts.models import ApiToken, Membership, Team, User


def members_of(team: Team) -> list[Membership]:
    return list(Membership.objects.select_related("user").filter(team=team).order_by("user__email"))


def tokens_of(user: User, team: Team) -> list[ApiToken]:
    return list(ApiToken.objects.filter(user=user, team=team).order_by("-created_at"))
