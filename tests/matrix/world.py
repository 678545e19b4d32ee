"""Two teams with one of everything in each, and nine principals who come to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http.cookies import SimpleCookie
from typing import Any

from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.client import ClientHandler
from django.utils import timezone

from console.accounts.access import Access
from console.accounts.addresses import secret_for
from console.accounts.enums import ALL_VERBS, Role, Verb
from console.accounts.invitations import invite
from console.accounts.members import create_service_account
from console.accounts.models import ApiToken, Team
from console.accounts.quotas import set_size
from console.accounts.secrets import digest
from console.accounts.services import create_sign_in_link
from console.accounts.tokens import create_token, revoke_token
from console.cluster.joining import create_join_token
from console.cluster.models import Hold, Node
from console.cluster.services import add_node
from console.images.services import store_credential
from console.webhooks.services import create_webhook, ping
from console.workloads import rollouts, services
from console.workloads.enums import OperationState, RolloutState
from console.workloads.models import App, Operation, Rollout
from console.workloads.secretstore import store_secret
from tests import factories

_HANDLER = ClientHandler(enforce_csrf_checks=False)
"""One for all, since each loads the whole stack of middleware."""


class Who(StrEnum):
    ANONYMOUS = "anonymous"
    OUTSIDER = "outsider"
    VIEWER = "viewer"
    DEVELOPER = "developer"
    OWNER = "owner"
    ADMINISTRATOR = "administrator"
    NODE = "node"
    APP_TOKEN = "app token"
    REVOKED = "revoked token"


NOBODY = (Who.ANONYMOUS, Who.NODE, Who.REVOKED)
"""Whom the API does not know."""

PASSWORD = "a long enough password"


class Principal:
    """Somebody at the door: with a browser's session, with a bearer token, or with nothing."""

    def __init__(self, access: Access | None = None, bearer: str = "") -> None:
        self.access, self.bearer = access, bearer
        self._client = Client(raise_request_exception=False)
        self._client.handler = _HANDLER
        if access is not None:
            access.user.set_password(PASSWORD)
            access.user.save()
            self._client.force_login(access.user)
        self._cookies = self._client.cookies.output(header="", sep=";")

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={one.value}" for name, one in SimpleCookie(self._cookies).items())

    def ask(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponseBase:
        """As at the first time: what an answer sets or takes of cookies is forgotten."""
        self._client.cookies = SimpleCookie(self._cookies)
        given = {"authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        return self._client.generic(method, path, content, kind, headers={**given, **(headers or {})})


@dataclass(frozen=True)
class Side:
    """A team, somebody who owns it, and what its objects are called in a path."""

    owner: Access
    names: dict[str, Any]

    @property
    def app(self) -> App:
        return App.objects.select_related("team").get(team=self.owner.team, name="shop", deleting=False)


class World:
    """`home` is the principals' own team, `away` the other one; the outsider belongs to a third."""

    def __init__(self) -> None:
        self.node = add_node(name="link", actor="test")
        home, away = factories.make_team("home"), factories.make_team("away")
        viewer, developer = (factories.make_member(home, role) for role in (Role.VIEWER, Role.DEVELOPER))
        administrator = factories.make_member(home, Role.DEVELOPER, administrator=True)
        outsider = factories.make_member(factories.make_team("apart"), email="outsider@example.com")
        self.owner = factories.make_member(home)
        self.home = _fill(home, "east", self.owner, outsider, administrator)
        self.away = _fill(away, "west", factories.make_member(away), outsider, administrator)
        self.blog = _other_app(self.owner)
        """Of another app of the own team: what a token of `shop` alone must not see."""
        self.principals = {
            Who.ANONYMOUS: Principal(),
            Who.OUTSIDER: Principal(outsider),
            Who.VIEWER: Principal(viewer),
            Who.DEVELOPER: Principal(developer),
            Who.OWNER: Principal(self.owner),
            Who.ADMINISTRATOR: Principal(administrator),
            Who.NODE: Principal(bearer=self.node.token),
            Who.APP_TOKEN: Principal(bearer=self._app_token()),
            Who.REVOKED: Principal(bearer=_revoked_token(self.owner)),
        }

    def _app_token(self) -> str:
        """Of somebody who may do everything, so that the token alone is what bounds it."""
        holder = factories.make_member(self.home.owner.team, Role.OWNER, administrator=True)
        verbs = ALL_VERBS - {Verb.ADMIN}
        return create_token(holder, name="app", verbs=verbs, apps=[self.home.app.pk])[1]


def _other_app(owner: Access) -> dict[str, str]:
    app, node = factories.make_app(owner, "blog"), factories.make_node()
    factories.make_ready(app.releases.get())
    return {
        "app": "blog",
        "container": factories.make_container(app, node).pk,
        "operation": factories.operation_of(app).pk,
        "volume": factories.make_volume(app, node).pk,
    }


def _revoked_token(access: Access) -> str:
    secret = factories.make_token(access)
    revoke_token(access, ApiToken.objects.get(digest=digest(secret)).pk)
    return secret


def _fill(team: Team, place: str, owner: Access, outsider: Access, administrator: Access) -> Side:
    """One of everything in the team, and nodes of its own, so that what is done to one side spoils nothing of the
    other."""
    here, spare = factories.make_node(f"{place}-1"), factories.make_node(f"{place}-2")
    app = factories.make_app(owner, "shop")
    factories.make_ready(app.releases.get())
    set_size(administrator, name=f"{place}-size", cpu=500, memory=64 * 1024**2)
    store_secret(owner, None, name="of-team", value="v")
    store_secret(owner, app, name="of-app", value="v")
    account = create_service_account(owner, name="robot", role=Role.DEVELOPER)
    token = factories.make_token(owner, "of-owner")
    member = factories.make_member(team, Role.VIEWER, email=f"member@{place}.example.com")
    invitation, link = invite(owner, email=outsider.user.email, role=Role.VIEWER)
    webhook, _secret = create_webhook(owner, name="chat", url="https://example.com/chat")
    joining = create_join_token(actor="test", name=f"{place}-3")
    names = {
        "team": team.slug,
        "app": "shop",
        "service": "web",
        "node": here.name,
        "spare": spare.name,
        "container": factories.make_container(app, here).pk,
        "operation": factories.operation_of(app).pk,
        "volume": factories.make_volume(app, here).pk,
        "registry": store_credential(owner, host="r.io", username="u", password="p").pk,
        "size": f"{place}-size",
        "token": ApiToken.objects.get(digest=digest(token)).pk,
        "member": member.user.pk,
        "account": account.user.pk,
        "user": member.user.pk,
        "invitation": invitation.pk,
        "invitation_link": link,
        "address_link": secret_for(owner.user, f"{place}-new@example.com"),
        "sign_in_link": create_sign_in_link(member.user),
        "webhook": webhook.pk,
        "delivery": ping(owner, webhook).pk,
        "join_token": joining.token.pk,
        "join_secret": joining.secret,
        "index": 1,
        "number": 1,
        "session": 0,
        "secret": "of-app",
        "team_secret": "of-team",
    }
    return Side(owner, names)


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# What some routes need to be so before they can succeed, for each of the two teams.


def stopped(side: Side) -> None:
    """Nothing of the app runs, so that its volume may go."""
    app = side.app
    App.objects.filter(pk=app.pk).update(stopped=True)
    app.containers.update(removed_at=timezone.now())


def paused(side: Side) -> None:
    rollouts.pause_rollout(side.owner, side.app)


def second_rollout(side: Side) -> None:
    """A release that was rolled out well, and the next one under way."""
    app = side.app
    Rollout.objects.filter(app=app).update(state=RolloutState.SUCCEEDED)
    services.create_release(side.owner, app, compose=NEXT)


def restarting(side: Side) -> None:
    """The operation of the path is one that can be cancelled."""
    Rollout.objects.filter(app=side.app).update(state=RolloutState.SUCCEEDED)
    Operation.objects.filter(pk=side.names["operation"]).update(
        kind="restart", target="", state=OperationState.RUNNING
    )


def node_down(side: Side) -> None:
    Node.objects.filter(name=side.names["node"]).update(state="down")


def node_held(side: Side) -> None:
    node = Node.objects.get(name=side.names["node"])
    Hold.objects.create(node=node, state="held", at=timezone.now())


def cordoned(side: Side) -> None:
    Node.objects.filter(name=side.names["spare"]).update(cordoned=True)


NEXT = factories.COMPOSE.replace("berth/demo", "berth/demo:2")
