"""What each kind of route asks of whoever comes, and so what each principal is told."""

from __future__ import annotations

from enum import StrEnum

from tests.matrix.world import NOBODY, Who


class Right(StrEnum):
    """Of a team's routes each asks for one of the team's verbs, or more; of the others, for nothing or an account."""

    READ = "read"
    WRITE = "write"
    DEPLOY = "deploy"
    EXEC = "exec"
    OWN = "own"
    OWN_ELSE_HIDDEN = "own, else hidden"
    """Somebody else's: to all but owners it does not exist."""
    PERSON = "a member who is no token"
    PLATFORM = "administer the platform"
    PLATFORM_BY_TOKEN = "administer the platform, by an API token"
    PLATFORM_ELSE_HIDDEN = "administer the platform, else hidden"
    SIGNED_IN = "an account"
    INVITED = "the invited account"
    JOIN_TOKEN = "a join token"
    SIGNED_IN_ELSE_SENT_ON = "an account, else sent to sign in"
    GUEST = "no account"
    """Of others: they are in already, and sent on."""
    PUBLIC = "nothing"
    PUBLIC_ELSE_KNOWN = "nothing, or a token that holds"


class Told(StrEnum):
    """What an answer means: done or shown, who are you, you may not, there is no such thing, this is not for you."""

    IN = "in"
    WHO = "401"
    FORBIDDEN = "403"
    MISSING = "404"
    REFUSED = "422"
    SENT_ON = "302"


_WRITERS = {Who.DEVELOPER, Who.OWNER, Who.ADMINISTRATOR}
_MEMBERS = {Who.VIEWER, *_WRITERS}
_MAY: dict[Right, set[Who]] = {
    Right.READ: _MEMBERS,
    Right.WRITE: _WRITERS,
    Right.DEPLOY: _WRITERS,
    Right.EXEC: _WRITERS,
    Right.OWN: {Who.OWNER},
    Right.OWN_ELSE_HIDDEN: {Who.OWNER},
    Right.PERSON: _MEMBERS,
    Right.PLATFORM: {Who.ADMINISTRATOR},
    Right.PLATFORM_ELSE_HIDDEN: {Who.ADMINISTRATOR},
    Right.SIGNED_IN: {Who.OUTSIDER, Who.APP_TOKEN, *_MEMBERS},
}
_HIDING = {Right.OWN_ELSE_HIDDEN, Right.PLATFORM_ELSE_HIDDEN}


def told(right: Right, who: Who, *, app_token: bool, of_team: bool, own: bool, page: bool) -> Told:
    """`app_token`: whether the route lets tokens of single apps in. `of_team`: whether its path begins with a team,
    `own`: with the principal's. `page`: whether it knows sessions alone, so that a bearer token is nobody."""
    nobody = {*NOBODY, Who.APP_TOKEN} if page else set(NOBODY)
    match right:
        case Right.PUBLIC:
            return Told.IN
        case Right.PUBLIC_ELSE_KNOWN:
            return Told.WHO if who in (Who.NODE, Who.REVOKED) else Told.IN
        case Right.GUEST:
            return Told.IN if who in nobody else Told.SENT_ON
        case Right.SIGNED_IN_ELSE_SENT_ON:
            return Told.SENT_ON if who in nobody else Told.IN
        case Right.INVITED:
            return Told.IN if who is Who.OUTSIDER else Told.REFUSED
        case Right.JOIN_TOKEN:
            return Told.FORBIDDEN
        case Right.PLATFORM_BY_TOKEN:
            return Told.FORBIDDEN if who is Who.APP_TOKEN else Told.WHO
    if who in nobody:
        return Told.WHO
    if of_team and (who is Who.OUTSIDER or not own):
        return Told.MISSING
    may = _MAY[right] | ({Who.APP_TOKEN} if app_token else set())
    if who in may:
        return Told.IN
    return Told.MISSING if right in _HIDING and who is not Who.APP_TOKEN else Told.FORBIDDEN
