"""Sign-up policy, second factors, OpenID Connect, attempts and sessions: allauth as we set it up."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.urls import clear_url_caches
from django.utils import timezone
from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks, Settings

from console.accounts import keyring
from console.accounts.enums import Role
from console.accounts.invitations import accept_as_new, invite
from console.accounts.models import Invitation, User
from console.accounts.people import set_active
from console.common.models import AuditEntry
from console.common.origin import operator
from tests import factories
from tests.accounts.oidc import Provider, provider
from tests.api.caller import Caller

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


@pytest.fixture
def ann() -> User:
    user = factories.make_member(factories.make_team("ours"), email="ann@example.com").user
    user.set_password(PASSWORD)
    user.save()
    return user


def _sign_in(client: Client, password: str = PASSWORD, **more: str) -> Any:
    return client.post("/sign-in/", {"login": "ann@example.com", "password": password, **more})


def _inside(client: Client) -> bool:
    return client.get("/t/ours/").status_code == 200


def _code(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time()))))


@pytest.fixture
def urls() -> Iterator[Callable[[], None]]:
    """Addresses depend on settings: built anew with this test's, and again once those are undone: ask for this one
    before `settings`."""

    def build() -> None:
        clear_url_caches()
        for name in ("console.web.entryurls", "console.urls"):
            importlib.reload(sys.modules[name])

    yield build
    build()


def test_signing_up_is_closed_unless_the_operator_opens_it(settings: Settings) -> None:
    given = {"email": "new@example.com", "password1": PASSWORD, "name": "New"}
    for policy in ("invitation", "closed"):
        settings.SIGN_UP = policy
        Client().post("/sign-up/", given)
        assert not User.objects.exists()
    settings.SIGN_UP = "open"
    client = Client()
    assert client.post("/sign-up/", given).status_code == 302
    user = User.objects.get()
    assert (user.email, user.name, user.is_staff) == ("new@example.com", "New", False)
    assert "no team yet" in client.get("/").content.decode()
    assert (
        Client().post("/sign-up/", {**given, "email": "b@example.com", "password1": "short"}).status_code
        == 200
    )
    assert User.objects.count() == 1


def test_a_second_factor_is_asked_for_and_a_code_works_once(
    ann: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    client = Client()
    _sign_in(client)
    client.post("/account/confirm/", {"password": PASSWORD})
    page = client.get("/account/two-factor/totp/activate/").content.decode()
    assert "data:image/svg+xml" in page
    secret = client.session["mfa.totp.secret"]
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/account/two-factor/totp/activate/", {"code": _code(secret)})
    kept = Authenticator.objects.get(user=ann, type="totp")
    assert secret not in str(kept.data)
    assert TOTP(kept).validate_code("000000") is False

    other = Client()
    answer = _sign_in(other)
    assert answer.headers["location"] == "/account/two-factor/authenticate/"
    assert not _inside(other)
    codes = RecoveryCodes(Authenticator.objects.get(user=ann, type="recovery_codes")).get_unused_codes()
    assert other.post("/account/two-factor/authenticate/", {"code": "123"}).status_code == 200
    assert not _inside(other)
    other.post("/account/two-factor/authenticate/", {"code": codes[0]})
    assert _inside(other)
    third = Client()
    _sign_in(third)
    third.post("/account/two-factor/authenticate/", {"code": codes[0]})
    assert not _inside(third)
    kinds = set(AuditEntry.objects.values_list("kind", flat=True))
    assert kinds >= {"account.factor_added", "session.opened", "session.refused"}


def test_seeds_go_along_when_the_master_key_is_rotated(ann: User, settings: Settings, tmp_path: Path) -> None:
    settings.MASTER_KEY_FILE = str(tmp_path / "keys")
    keyring.make_file(tmp_path / "keys")
    TOTP.activate(ann, "SEEDSEEDSEEDSEED")
    kept = RecoveryCodes.activate(ann).get_unused_codes()
    old = keyring.keyring().newest
    call_command("rotate_master_key", "--drop-old")
    ring = keyring.keyring()
    assert old not in ring.keys
    (row,) = AuditEntry.objects.filter(kind="keys.rotated")
    change = {"before": {"newest": old}, "after": {"newest": ring.newest}}
    assert (row.actor, row.data) == (operator(), {**change, "dropped": [old]})
    code = _code("SEEDSEEDSEEDSEED")
    assert TOTP(Authenticator.objects.get(user=ann, type="totp")).validate_code(code)
    assert RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).get_unused_codes() == kept


def test_changing_factors_asks_for_the_password_again(ann: User) -> None:
    client = Client()
    client.force_login(ann)
    answer = client.get("/account/two-factor/totp/activate/")
    assert answer.headers["location"].startswith("/account/confirm/")
    answer = client.post(answer.headers["location"], {"password": PASSWORD})
    assert answer.status_code == 302
    assert client.get("/account/two-factor/totp/activate/").status_code == 200


def test_many_wrong_passwords_hold_up_that_address(ann: User) -> None:
    for _try in range(5):
        assert _sign_in(Client(), "wrong").status_code == 422
    assert "Too many" in _sign_in(Client()).content.decode()
    assert not UserSession.objects.exists()
    other = factories.make_user("bob@example.com")
    other.set_password(PASSWORD)
    other.save()
    answer = Client().post("/sign-in/", {"login": "bob@example.com", "password": PASSWORD})
    assert answer.status_code == 302


def test_unknown_and_known_addresses_are_answered_alike(ann: User) -> None:
    texts = []
    for login in ("ann@example.com", "nobody@example.com"):
        page = Client().post("/sign-in/", {"login": login, "password": "wrong"})
        text = re.sub(r'value="[^"]*"', "", page.content.decode()).replace(login, "")
        texts.append((page.status_code, re.sub(r"csrf\S+", "", text)))
    assert texts[0] == texts[1]


def test_a_service_account_cannot_sign_in(ann: User) -> None:
    bot = User.objects.create_user("ci@x.service.invalid", name="ci", service_of=factories.make_team())
    for password in ("", "!", PASSWORD):
        answer = Client().post("/sign-in/", {"login": bot.email, "password": password})
        assert answer.status_code == 422


def test_many_wrong_tokens_hold_up_wrong_tokens_alone(ann: User, settings: Settings) -> None:
    settings.TOKEN_FAILURES = 3
    right = Caller(factories.make_token(factories.join(ann, factories.make_team("more"), role="owner")))  # type: ignore[arg-type]
    wrong = Caller("berth_guess")
    assert [wrong.get("/me").status for _try in range(4)] == [401, 401, 401, 429]
    held = wrong.get("/me")
    assert (held.status, "Retry-After" in held.headers) == (429, True)
    assert right.get("/me").status == 200


def test_a_session_gets_a_new_key_with_the_sign_in(ann: User) -> None:
    client = Client()
    client.get("/sign-in/")
    client.session["planted"] = "1"
    before = client.session.session_key
    _sign_in(client)
    assert client.session.session_key != before
    assert client.cookies["sessionid"]["httponly"]


def test_signing_in_needs_the_forms_token(ann: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert _sign_in(client).status_code == 403


def test_sessions_are_listed_and_ended(ann: User) -> None:
    here, there = Client(), Client(REMOTE_ADDR="192.0.2.9", headers={"user-agent": "Phone/1"})
    _sign_in(here)
    _sign_in(there)
    page = here.get("/account/security/").content.decode()
    assert ("192.0.2.9" in page, "Phone/1" in page) == (True, True)
    other = UserSession.objects.get(ip="192.0.2.9")
    stranger = Client()
    stranger.force_login(factories.make_user("eve@example.com"))
    stranger.post(f"/account/sessions/{other.pk}/end/")
    assert _inside(there)
    here.post(f"/account/sessions/{other.pk}/end/")
    assert (_inside(there), _inside(here)) == (False, True)
    assert AuditEntry.objects.filter(kind="session.ended", actor="ann@example.com").count() == 1


def test_a_new_password_ends_the_other_sessions(ann: User) -> None:
    here, there = Client(), Client()
    _sign_in(here)
    _sign_in(there)
    new = "another long password"
    here.post("/account/password/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert (_inside(there), _inside(here)) == (False, True)
    assert AuditEntry.objects.filter(kind="account.password").exists()


def test_a_disabled_account_is_out_at_once(ann: User) -> None:
    client = Client()
    _sign_in(client)
    factories.make_user(administrator=True)
    set_active(ann, active=False, actor="test")
    assert not _inside(client)
    assert not UserSession.objects.filter(user=ann).exists()
    assert _sign_in(Client()).headers.get("location") == "/account/inactive/"


def test_a_forgotten_password_is_mailed_a_link_to_the_installation_itself(
    ann: User, urls: Callable[[], None], settings: Settings
) -> None:
    settings.EMAIL_HOST, settings.ALLOWED_HOSTS = "mail.example.com", ["*"]
    urls()
    client = Client(headers={"host": "evil.example.com"})
    assert client.post("/password/reset/", {"email": "ann@example.com"}).status_code == 302
    (message,) = mail.outbox
    found = re.search(r"(http\S+)/password/reset/(\S+)/", str(message.body))
    assert found
    assert found[1] == settings.BERTH_URL
    form = Client()
    page = form.get(f"/password/reset/{found[2]}/", follow=True)
    new = "another long password"
    form.post(page.request["PATH_INFO"], {"password1": new, "password2": new})
    assert _sign_in(Client(), new).status_code == 302


@pytest.fixture
def idp(urls: Callable[[], None], settings: Settings) -> Iterator[Provider]:
    with provider() as found:
        settings.OIDC_URL = found.url
        app = {
            "provider_id": "oidc",
            "name": "Company",
            "client_id": "berth",
            "secret": "s",
            "settings": {"server_url": found.url},
        }
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
        urls()
        found.claims = {"sub": "1", "email": "ann@example.com", "email_verified": True, "name": "Ann"}
        yield found


def _through(idp: Provider, client: Client, onwards: str = "") -> Any:
    asked = client.post("/oidc/oidc/login/?process=login" + (f"&next={onwards}" if onwards else ""))
    sent = parse_qs(urlsplit(asked.headers["location"]).query)
    assert asked.headers["location"].startswith(f"{idp.url}/authorize?")
    idp.challenge = sent["code_challenge"][0]
    return client.get("/oidc/oidc/login/callback/", {"code": "code-1", "state": sent["state"][0]})


def test_openid_connect_brings_in_who_is_there_by_a_confirmed_address(ann: User, idp: Provider) -> None:
    client = Client()
    assert "Sign in with Company" in client.get("/sign-in/").content.decode()
    _through(idp, client)
    assert _inside(client)
    assert User.objects.count() == 1
    ann.refresh_from_db()
    assert not ann.has_usable_password()
    again = Client()
    _through(idp, again, "https://evil.example/")
    assert _inside(again)


@pytest.mark.thorough
def test_openid_connect_without_a_confirmed_address_brings_in_nobody(ann: User, idp: Provider) -> None:
    idp.claims["email_verified"] = False
    client = Client()
    _through(idp, client)
    assert not _inside(client)
    assert User.objects.count() == 1


@pytest.mark.thorough
def test_openid_connect_makes_accounts_by_the_sign_up_policy(idp: Provider, settings: Settings) -> None:
    _through(idp, Client())
    assert not User.objects.exists()
    team = factories.make_team("ours")
    until = timezone.now() + timedelta(days=1)
    Invitation.objects.create(team=team, email="ann@example.com", role="viewer", digest="d", expires_at=until)
    client = Client()
    _through(idp, client)
    made = User.objects.get()
    assert (made.email, made.name, made.is_staff) == ("ann@example.com", "Ann", False)
    idp.claims |= {"sub": "2", "email": "bob@example.com"}
    settings.SIGN_UP = "closed"
    settings.OIDC_SIGN_UP = True
    _through(idp, Client())
    assert User.objects.count() == 1
    settings.SIGN_UP = "invitation"
    _through(idp, Client())
    assert User.objects.count() == 2


def _rows(kind: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(kind=kind).order_by("id"))


@pytest.mark.thorough
def test_identities_that_come_and_go_are_in_the_audit(ann: User, idp: Provider) -> None:
    client = Client()
    _through(idp, client)
    (linked,) = _rows("account.linked")
    identity = {"provider": "oidc", "subject": "1"}
    assert linked.actor == "ann@example.com"
    assert linked.data == {"address": "ann@example.com", "before": None, "after": identity}
    ann.set_password(PASSWORD)
    ann.save()
    client.force_login(ann)
    client.post("/account/confirm/", {"password": PASSWORD})
    client.post("/account/connections/", {"account": SocialAccount.objects.get().pk})
    (unlinked,) = _rows("account.unlinked")
    assert (unlinked.actor, SocialAccount.objects.count()) == (ann.email, 0)
    assert unlinked.data == {"before": identity, "after": None}
    asked = client.post("/oidc/oidc/login/?process=connect")
    sent = parse_qs(urlsplit(asked.headers["location"]).query)
    idp.challenge = sent["code_challenge"][0]
    client.get("/oidc/oidc/login/callback/", {"code": "code-1", "state": sent["state"][0]})
    assert [row.data["address"] for row in _rows("account.linked")] == ["ann@example.com", ""]


@pytest.mark.thorough
def test_accounts_of_all_ways_in_are_in_the_audit(idp: Provider, settings: Settings) -> None:
    owner = factories.make_member(factories.make_team("ours"), email="owner@example.com")
    _made, secret = invite(owner, email="bob@example.com", role=Role.VIEWER)
    accept_as_new(secret, name="Bob", password=PASSWORD)
    settings.OIDC_SIGN_UP = True
    _through(idp, Client())
    by_invitation, by_provider = _rows("account.created")
    bob = {"email": "bob@example.com", "name": "Bob"}
    ann = {"email": "ann@example.com", "name": "Ann", "provider": "oidc", "subject": "1"}
    assert (by_invitation.actor, by_invitation.data) == (
        "bob@example.com",
        {"invited_by": owner.actor, "before": None, "after": bob},
    )
    assert (by_provider.actor, by_provider.data) == ("ann@example.com", {"before": None, "after": ann})


@pytest.mark.thorough
def test_openid_connect_answers_of_another_browser_are_refused(ann: User, idp: Provider) -> None:
    client, victim = Client(), Client()
    asked = client.post("/oidc/oidc/login/?process=login")
    state = parse_qs(urlsplit(asked.headers["location"]).query)["state"][0]
    victim.get("/oidc/oidc/login/callback/", {"code": "code-1", "state": state})
    assert not _inside(victim)


def test_pages_of_allauth_keep_the_policy_and_our_look(ann: User) -> None:
    client = Client()
    _sign_in(client)
    client.post("/account/confirm/", {"password": PASSWORD})
    for path in (
        "/account/",
        "/account/security/",
        "/account/password/",
        "/account/two-factor/",
        "/account/two-factor/totp/activate/",
        "/account/two-factor/recovery-codes/generate/",
        "/account/confirm/",
        "/account/sign-out/",
    ):
        answer = client.get(path, follow=True)
        page = answer.content.decode()
        assert (answer.status_code, "berth.css" in page) == (200, True), path
        assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*(src=|application/json))", page), path
        assert not re.search(r"\son\w+=|\sstyle=", page), path
