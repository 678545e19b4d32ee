"""Who someone is to a team. Everything a face does begins here; a foreign team does not exist.

`Access` is the one place that decides: the role in the team, the role in one app where that differs, and what
the token that somebody came with holds of it. Services ask it, each for its verb.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from console.accounts import factors
from console.accounts.enums import Role, Verb, Verbs
from console.accounts.models import ApiToken, AppRole, Membership, Team, User
from console.accounts.secrets import digest
from console.common.errors import Forbidden, NotFound

_USED_RESOLUTION = timedelta(minutes=1)
_NONE: Verbs = frozenset()
_REFUSALS = {
    Verb.READ: _("This token is for some apps alone; it sees nothing else of the team."),
    Verb.READ_SECRETS: _("Your role in this team sees no values that may be secret."),
    Verb.DEPLOY: _("Your role in this team may look, not change. Ask an owner for the developer role."),
    Verb.WRITE: _("Your role in this team may look, not change. Ask an owner for the developer role."),
    Verb.EXEC: _(
        "Your role in this team runs nothing inside containers. Ask an owner for the developer role."
    ),
    Verb.ADMIN: _("Only an owner of the team may do this."),
}


class FactorRequired(Forbidden):
    """A person must set up a second factor first."""

    code = "two_factor_required"


class App(Protocol):
    """An app, of which nothing but its key is known here."""

    @property
    def pk(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Access:
    """A user in a team, with the role held right now, and the token that brought the request, if any."""

    user: User
    team: Team
    role: Role
    token: ApiToken | None = None

    @property
    def actor(self) -> str:
        return self.user.actor

    @property
    def apps(self) -> frozenset[str] | None:
        """Ids of the apps that the token is for; None: the whole team."""
        return None if self.token is None or self.token.apps is None else frozenset(self.token.apps)

    @property
    def administrator(self) -> bool:
        """Whether platform administration is open: to a person, or a token with all of that person's rights."""
        return self.user.is_staff and (self.token is None or self.token.is_full)

    def role_in(self, app: App) -> Role:
        """The role in one app: the team's, unless the app has another for this member. Owners own all."""
        if self.role is Role.OWNER:
            return self.role
        own = AppRole.objects.filter(membership__user=self.user, membership__team=self.team, app_id=app.pk)
        found = own.values_list("role", flat=True).first()
        return Role(found) if found else self.role

    def inside(self, app: App) -> Self:
        """This access with the role that holds in the app, for what shows or changes that app alone."""
        return replace(self, role=self.role_in(app))

    def sees(self, app_id: str) -> bool:
        """Whether the app exists at all to whoever asks."""
        return self.apps is None or app_id in self.apps

    def verbs(self, app: App | None = None) -> Verbs:
        """What may be done to the app, or without one to the team."""
        role = self.role_in(app) if app else self.role
        if self.token is None:
            return role.verbs
        if self.apps is not None and (app is None or app.pk not in self.apps):
            return _NONE
        return role.verbs & self.token.scope

    def may(self, verb: Verb, app: App | None = None) -> bool:
        return verb in self.verbs(app)

    def require(self, verb: Verb, app: App | None = None) -> None:
        """Raises `Forbidden`, which says whether the role or the token falls short."""
        if self.may(verb, app):
            return
        role = self.role_in(app) if app else self.role
        if verb in role.verbs and self.token is not None:
            raise Forbidden(
                _("This token is not for that: it lacks “%(verb)s” here.") % {"verb": verb.value},
                code="token_scope",
            )
        raise Forbidden(_REFUSALS[verb])

    def require_whole_team(self) -> None:
        """What is about the team as a whole is not for tokens of single apps."""
        self.require(Verb.READ)

    def require_secrets(self, app: App | None = None) -> None:
        self.require(Verb.READ_SECRETS, app)

    def require_deploy(self, app: App | None = None) -> None:
        self.require(Verb.DEPLOY, app)

    def require_write(self, app: App | None = None) -> None:
        self.require(Verb.WRITE, app)

    def require_exec(self, app: App | None = None) -> None:
        self.require(Verb.EXEC, app)

    def require_owner(self) -> None:
        self.require(Verb.ADMIN)

    def require_person(self) -> None:
        """For what belongs to people alone, such as leaving a team. Raises `Forbidden`."""
        if self.token is not None:
            raise Forbidden(_("This needs a person who is signed in, not a token."), code="token_scope")


def team_access(user: User | AnonymousUser, slug: str, token: ApiToken | None = None) -> Access:
    """The user's access to the team `slug`; a team that is not theirs, or not the token's, is not found. Raises
    `FactorRequired` for a person without the second factor that the team or the platform asks for."""
    membership = (
        Membership.objects.select_related("team", "user").filter(user_id=user.pk, team__slug=slug).first()
        if user.is_authenticated
        else None
    )
    if membership is None or not membership.user.is_active:
        raise NotFound(_("There is no such team."))
    if token is not None and (token.team_id != membership.team_id or token.user_id != membership.user_id):
        raise NotFound(_("There is no such team."))
    if token is None:
        require_factor(membership.user, membership.team)
    return Access(membership.user, membership.team, Role(membership.role), token)


def factor_demanded(user: User, team: Team | None = None) -> bool:
    """Whether this person comes in (to the team, or to what is no team's) with a second factor alone."""
    whom = settings.REQUIRE_TWO_FACTOR
    by_platform = whom == "everybody" or (whom == "administrators" and user.is_staff)
    return by_platform or (team is not None and team.two_factor_required)


def require_factor(user: User, team: Team | None = None) -> None:
    """Of somebody who came by a session. Tokens are no sign-ins: each was made by somebody who had come in. Raises
    `FactorRequired`."""
    if factor_demanded(user, team) and not factors.has_one(user.pk):
        raise FactorRequired(
            _("Set up a second factor first, under Account → Security: “%(whom)s” asks for one.")
            % {"whom": team.name if team and team.two_factor_required else "Berth"}
        )


def require_administrator(user: User, token: ApiToken | None = None) -> None:
    """For what is the platform's and no team's. Raises `Forbidden`."""
    if token is None:
        require_factor(user)
    if not user.is_staff or not (token is None or token.is_full):
        raise Forbidden(_("Only a platform administrator may do this."))


def teams_of(user: User) -> list[Team]:
    return list(Team.objects.filter(memberships__user=user).order_by("name"))


def live_tokens(now: datetime) -> Q:
    """Tokens that have not expired, and whose holder's account is not disabled."""
    return Q(user__is_active=True) & (Q(expires_at=None) | Q(expires_at__gt=now))


def token_user(token: str, now: datetime) -> ApiToken | None:
    """The live token that this secret stands for; its last use is noted to the minute."""
    found = (
        ApiToken.objects.select_related("user", "team").filter(live_tokens(now), digest=digest(token)).first()
    )
    if found and (found.last_used_at is None or now - found.last_used_at > _USED_RESOLUTION):
        ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


def renewed_access(user_id: str, token_id: str, team_id: str, now: datetime) -> Access:
    """The present access of somebody who came in before: by this token, or (it is empty) as the user alone.

    Raises NotFound once the membership, the user's account or the token is gone.
    """
    token = None
    if token_id:
        tokens = ApiToken.objects.filter(live_tokens(now), pk=token_id, user_id=user_id, team_id=team_id)
        token = tokens.first()
        if token is None:
            raise NotFound(_("The token was revoked or has expired."))
    user, team = User.objects.filter(pk=user_id).first(), Team.objects.filter(pk=team_id).first()
    if user is None or team is None:
        raise NotFound(_("There is no such team."))
    return team_access(user, team.slug, token)
