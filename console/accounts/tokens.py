"""API tokens: made with some of one's rights, shown once, ended."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access
from console.accounts.enums import ALL_VERBS, Verb, with_included
from console.accounts.models import ApiToken, Membership, User
from console.accounts.secrets import digest, new_secret
from console.common import audit, events
from console.common.errors import BerthError, Forbidden, NotFound


@transaction.atomic
def create_token(
    access: Access,
    *,
    name: str,
    expires_at: datetime | None = None,
    verbs: Collection[Verb] | None = None,
    apps: Collection[str] | None = None,
    service_account: User | None = None,
) -> tuple[ApiToken, str]:
    """A new token of this user, or (owners) of a service account, and its secret, which is not kept.

    `verbs`: all when None. `apps`: ids; the whole team when None. Raises `Forbidden`, or `BerthError` with fields.
    """
    _check_made_through(access)
    name = name.strip()
    scope = ALL_VERBS if verbs is None else with_included(verbs)
    if apps is not None and verbs is None:
        scope -= {Verb.ADMIN}
    _check(name, expires_at, scope, apps)
    _check_within(access, scope, apps, expires_at)
    if service_account is not None:
        access.require_owner()
    holder = service_account or access.user
    secret = new_secret("berth")
    token = ApiToken.objects.create(
        user=holder,
        team=access.team,
        name=name[:100],
        digest=digest(secret),
        hint=secret[:10],
        expires_at=expires_at,
        verbs=[verb.value for verb in Verb if verb in scope],
        apps=None if apps is None else sorted(set(apps)),
        created_by=access.actor,
    )
    whose = f" of {holder.actor}" if service_account else ""
    events.record(
        "token.created",
        f"API token “{token.name}”{whose} created",
        actor=access.actor,
        team=access.team.id,
        data=audit.change(None, _as_data(token), token=token.id, holder=holder.actor),
    )
    return token, secret


def _check(
    name: str, expires_at: datetime | None, scope: Collection[Verb], apps: Collection[str] | None
) -> None:
    if not name:
        raise BerthError(_("Give the token a name."), fields={"name": [_("Give the token a name.")]})
    if expires_at and expires_at <= timezone.now():
        raise BerthError(
            _("The expiry lies in the past."), fields={"expires_at": [_("Choose a later time.")]}
        )
    if apps is not None and not apps:
        message = _("Name at least one app, or leave this out for the whole team.")
        raise BerthError(message, fields={"apps": [message]})
    if apps is not None and Verb.ADMIN in scope:
        message = _("“admin” is for the whole team: it does not go with named apps.")
        raise BerthError(message, fields={"verbs": [message]})


def _check_made_through(access: Access) -> None:
    """A token that leaked must not be able to make itself a successor."""
    if access.token is not None and Verb.ADMIN not in access.token.scope:
        raise Forbidden(
            _("This token makes no tokens: it lacks “%(verb)s”.") % {"verb": Verb.ADMIN.value},
            code="token_scope",
        )


def _check_within(
    access: Access, scope: Collection[Verb], apps: Collection[str] | None, expires_at: datetime | None
) -> None:
    """What a token makes holds no more, and no longer, than the token itself."""
    own = access.token
    if own is None:
        return
    wider = not own.scope.issuperset(scope) or (
        access.apps is not None and (apps is None or not access.apps.issuperset(apps))
    )
    longer = own.expires_at is not None and (expires_at is None or expires_at > own.expires_at)
    if wider or longer:
        raise Forbidden(
            _("A token makes none that may do more, or that is valid longer, than itself."),
            code="token_scope",
        )


@transaction.atomic
def revoke_token(access: Access, token_id: str) -> None:
    """End a token of one's own; an owner ends any of the team's. Through a token: itself, or with “admin”."""
    token = ApiToken.objects.select_related("user").filter(team=access.team, pk=token_id).first()
    own = token is not None and token.user_id == access.user.pk
    if token is None or not (own or access.may(Verb.ADMIN)):
        raise NotFound(_("There is no such token."))
    if access.token is not None and access.token.pk != token.pk:
        _check_made_through(access)
    token.delete()
    whose = "" if own else f" of {token.user.actor}"
    events.record(
        "token.revoked",
        f"API token “{token.name}”{whose} revoked",
        actor=access.actor,
        team=access.team.id,
        data=audit.change(_as_data(token), None, token=token_id, holder=token.user.actor),
    )


def _as_data(token: ApiToken) -> dict[str, Any]:
    expires = token.expires_at.isoformat() if token.expires_at else None
    return {"name": token.name, "verbs": token.verbs, "apps": token.apps, "expires_at": expires}


def end_tokens(membership: Membership) -> int:
    """Delete the tokens of a member who goes, in the caller's transaction; how many there were."""
    tokens = ApiToken.objects.filter(user=membership.user_id, team=membership.team_id)
    return tokens.delete()[0]
