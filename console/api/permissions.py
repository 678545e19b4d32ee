"""The first gate of every view: someone is there, and the team in the path is theirs."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.models import AnonymousUser
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from console.accounts.access import Access, team_access
from console.accounts.models import ApiToken, User
from console.common.errors import NotFound


def enter(user: User | AnonymousUser, token: ApiToken | None, team: str) -> Access:
    """The user's access to the team; through another team's token, and for a stranger, it is not found."""
    if token is not None and token.team.slug != team:
        raise NotFound(_("There is no such team."))
    return team_access(user, team)


class TeamPermission(BasePermission):
    """Signed in, and of the team where the path names one. Leaves the access in `view.access`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        if "team" in view.kwargs:
            view.access = enter(request.user, cast("ApiToken | None", request.auth), view.kwargs["team"])
        return True
