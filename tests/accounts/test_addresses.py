"""Whose an address is: nobody takes one that was not proven, or vouched for, and sessions alone change none."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks, Settings

from console.accounts.enums import Role
from console.accounts.invitations import accept, invite
from console.accounts.models import User
from console.common.errors import Forbidden
from console.common.models import AuditEntry
from tests import factories
from tests.accounts.oidc import Provider
from tests.accounts.test_allauth import _through, idp, urls
from tests.api.caller import Caller

__all__ = ["idp", "urls"]

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
NEW = "ann@elsewhere.example"


def _person(*, administrator: bool = False) -> User:
    team = factories.make_team("ours")
    user = factories.make_member(team, email="ann@example.com", administrator=administrator).user
    user.set_password(PASSWORD)
    user.save()
    return user


def _ask(client: Client, email: str = NEW, **more: str) -> Any:
    return client.post("/account/", {"name": "Ann", "email": email, **more})


def _confirmed(user: User) -> Client:
    """Signed in, and has just given the password again."""
    client = Client()
    client.force_login(user)
    client.post("/account/confirm/", {"password": PASSWORD})
    return client


def _email(user: User) -> str:
    return str(User.objects.get(pk=user.pk).email)


@pytest.fixture
def mailed(settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example"


@pytest.mark.parametrize("administrator", [True, False])
def test_a_session_alone_changes_neither_password_nor_address(
    settings: Settings, administrator: bool
) -> None:
    settings.EMAIL_HOST = "mail.example"
    user = _person(administrator=administrator)
    client = Client()
    client.force_login(user)
    answer = _ask(client, password="a password of the thief")
    assert answer.headers["location"].startswith("/account/confirm/")
    user.refresh_from_db()
    assert (user.email, user.check_password(PASSWORD), mail.outbox) == ("ann@example.com", True, [])
    assert _ask(client, "ann@example.com", password="a password of the thief").headers["location"] == "/"
    user.refresh_from_db()
    assert (user.name, user.check_password(PASSWORD)) == ("Ann", True)


def test_a_password_given_again_goes_on_with_what_was_asked(settings: Settings) -> None:
    user = _person(administrator=True)
    client = Client()
    client.force_login(user)
    where = _ask(client).headers["location"]
    client.post(where, {"password": PASSWORD})
    assert _email(user) == NEW


def test_without_mail_administrators_alone_change_addresses(settings: Settings) -> None:
    user = _person()
    client = _confirmed(user)
    assert "A platform administrator can change it." in client.get("/account/").content.decode()
    _ask(client)
    assert _email(user) == "ann@example.com"
    owner = factories.make_member(factories.make_team("board"), administrator=True)
    administrator = Caller(factories.make_token(owner))
    assert administrator.post(f"/users/{user.pk}", {"email": NEW}).body["email"] == NEW
    row = AuditEntry.objects.get(kind="account.address")
    assert (row.actor, row.data["before"], row.data["after"]) == (
        owner.actor,
        {"email": "ann@example.com"},
        {"email": NEW},
    )
    taken = administrator.post(f"/users/{user.pk}", {"email": owner.user.email.upper()})
    assert (taken.status, list(taken.error["fields"])) == (400, ["email"])


def test_with_mail_the_new_address_is_proven_and_the_old_one_told(
    mailed: None, settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    user = _person()
    client = _confirmed(user)
    with django_capture_on_commit_callbacks(execute=True):
        _ask(client)
    assert _email(user) == "ann@example.com"
    (message,) = mail.outbox
    found = re.search(rf"{re.escape(settings.BERTH_URL)}(/account/address/\S+/)", str(message.body))
    assert (message.to, found is not None) == ([NEW], True)
    link = found[1] if found else ""
    other = Client()
    other.force_login(factories.make_member(factories.make_team()).user)
    assert (other.post(link).status_code, _email(user)) == (404, "ann@example.com")
    assert NEW in client.get(link).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(link).status_code == 302
    assert _email(user) == NEW
    assert mail.outbox[1].to == ["ann@example.com"]
    assert client.post(link).status_code == 404
    assert client.post(f"{link[:-3]}x/").status_code == 404
    (address,) = EmailAddress.objects.filter(user=user)
    assert (address.email, address.verified, address.primary) == (NEW, True, True)


def test_an_invitation_cannot_be_drawn_to_oneself(settings: Settings) -> None:
    """Somebody who finds another's link has no way to take the address that it is for."""
    owner = factories.make_member(factories.make_team("board"))
    _made, secret = invite(owner, email="bob@example.com", role=Role.DEVELOPER)
    thief = _person()
    _ask(_confirmed(thief), "bob@example.com")
    with pytest.raises(Forbidden):
        accept(secret, User.objects.get(pk=thief.pk))


def test_openid_connect_finds_nobody_by_an_address_that_was_left(idp: Provider) -> None:
    user = _person(administrator=True)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    _ask(_confirmed(user))
    assert _email(user) == NEW
    client = Client()
    _through(idp, client)
    assert "_auth_user_id" not in client.session
    idp.claims["email"] = NEW
    _through(idp, client)
    assert client.session["_auth_user_id"] == user.pk
    user.refresh_from_db()
    assert user.has_usable_password()  # the address was vouched for, so the password stays
