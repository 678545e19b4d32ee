"""The first gate of every view: someone is there, and the team in the path is theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.contrib.auth.models import AnonymousUser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from console.accounts.access import Access, require_factor, team_access
from console.accounts.models import ApiToken, User

OF_ONE_APP = frozenset({"app", "container", "operation"})
"""Names in a path of what belongs to one app, whose access function asks whether the token sees that app."""


def enter(
    user: User | AnonymousUser,
    token: ApiToken | None,
    team: str,
    *,
    names: Iterable[str] = (),
    open_to_app_tokens: bool = False,
) -> Access:
    """The user's access to the team; through another team's token, and for a stranger, it is not found.

    A token of named apps comes in where the path (`names` are those in it) leads to one app, or where the view
    says that it looks to it itself. Raises `NotFound`, `Forbidden`.
    """
    access = team_access(user, team, token)
    if not open_to_app_tokens and OF_ONE_APP.isdisjoint(names):
        access.require_whole_team()
    return access


class TeamPermission(BasePermission):
    """Signed in, and of the team where the path names one. Leaves the access in `view.access`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        if "team" in view.kwargs:
            view.access = enter(
                request.user,
                cast("ApiToken | None", request.auth),
                view.kwargs["team"],
                names=view.kwargs,
                open_to_app_tokens=getattr(view, "open_to_app_tokens", False),
            )
        elif request.auth is None:
            require_factor(request.user)
        return True
