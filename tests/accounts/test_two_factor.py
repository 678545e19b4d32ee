"""A team, or the platform, asks for a second factor: who has none is led to set one up, and gets nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client
from pytest_django.fixtures import Settings

from console.accounts.access import Access, FactorRequired, renewed_access, team_access
from console.accounts.enums import Role
from console.accounts.members import create_service_account
from console.accounts.models import Team, User
from console.accounts.services import set_two_factor_required
from console.accounts.tokens import create_token
from console.common.models import AuditEntry
from tests import factories
from tests.accounts.test_allauth import PASSWORD, _code
from tests.api.caller import BASE, Caller

pytestmark = pytest.mark.django_db
SEED = "SEEDSEEDSEEDSEED"
LED = "/account/second-factor/?team=ours"


@pytest.fixture
def owner() -> Access:
    """Of a team that asks for a second factor; has one."""
    access = factories.make_member(factories.make_team("ours"), email="owner@example.com")
    TOTP.activate(access.user, SEED)
    set_two_factor_required(access, required=True)
    return access


@pytest.fixture
def ann(owner: Access) -> Access:
    """A developer without one."""
    user = factories.make_user("ann@example.com")
    user.set_password(PASSWORD)
    user.save()
    TOTP.activate(user, SEED)
    found = factories.join(user, owner.team, Role.DEVELOPER)
    Authenticator.objects.filter(user=user).delete()
    return found


def _inside(who: User) -> Client:
    client = Client()
    client.force_login(who)
    return client


def _error(client: Client, path: str) -> tuple[int, str]:
    answer = client.get(BASE + path)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]


def test_pages_lead_to_setting_one_up_and_open_once_it_is(ann: Access) -> None:
    client = _inside(ann.user)
    for path in ("/t/ours/", "/t/ours/apps/", "/t/ours/settings/members/"):
        assert client.get(path).headers["location"] == LED
    assert client.post("/t/ours/apps/new/", {"name": "x"}).headers["location"] == LED
    part = client.get("/t/ours/apps/", headers={"HX-Request": "true"})
    assert part.headers["HX-Redirect"] == LED
    page = client.get(LED).content.decode()
    assert ("The team Ours asks" in page, "/account/two-factor/totp/activate/" in page) == (True, True)

    client.post("/account/confirm/", {"password": PASSWORD})
    client.get("/account/two-factor/totp/activate/")
    code = _code(client.session["mfa.totp.secret"])
    assert client.post("/account/two-factor/totp/activate/", {"code": code}).status_code == 302
    assert client.get("/t/ours/").status_code == 200
    assert client.get(LED).headers["location"] == "/t/ours/"


def test_the_api_tells_sessions_by_a_code_of_its_own(ann: Access, owner: Access) -> None:
    client = _inside(ann.user)
    refused = (403, "two_factor_required")
    for path in ("", "/apps", "/members", "/events/stream", "/audit"):
        assert _error(client, f"/teams/ours{path}") == refused
    assert _error(client, "/me") == (200, "")
    assert _error(client, "/teams/other") == (404, "not_found")
    assert _error(_inside(owner.user), "/teams/ours/apps") == (200, "")


def test_tokens_go_on_working(ann: Access, owner: Access) -> None:
    assert Caller(factories.make_token(ann)).get("/teams/ours/apps").status == 200
    account = create_service_account(owner, name="ci", role=Role.DEVELOPER)
    _token, secret = create_token(owner, name="ci", service_account=account.user)
    assert Caller(secret).get("/teams/ours/apps").status == 200


def test_a_team_that_asks_for_none_stays_open(ann: Access) -> None:
    other = factories.make_team("other")
    factories.join(ann.user, other, Role.VIEWER)
    client = _inside(ann.user)
    assert client.get("/t/other/").status_code == 200
    assert 'href="/t/other/"' in client.get(LED).content.decode()


def test_recovery_codes_alone_are_no_second_factor(ann: Access) -> None:
    RecoveryCodes.activate(ann.user)
    with pytest.raises(FactorRequired):
        team_access(ann.user, "ours")


def test_it_holds_for_what_is_open_already(ann: Access) -> None:
    """Terminals and live sockets ask again."""
    with pytest.raises(FactorRequired):
        renewed_access(ann.user.pk, "", ann.team.pk, ann.user.created_at)


def test_an_owner_without_one_asks_nobody_for_one() -> None:
    access = factories.make_member(factories.make_team("ours"))
    client = Caller(factories.make_token(access))
    refused = client.post("/teams/ours", {"two_factor_required": True})
    assert (refused.status, refused.error["code"]) == (409, "two_factor_first")
    _inside(access.user).post("/t/ours/settings/second-factor/", {"required": "1"})
    assert Team.objects.get().two_factor_required is False
    TOTP.activate(access.user, SEED)
    assert client.post("/teams/ours", {"two_factor_required": True}).body["two_factor_required"] is True
    row = AuditEntry.objects.get(kind="team.changed")
    assert row.data == {"before": {"two_factor_required": False}, "after": {"two_factor_required": True}}


def test_a_service_account_asks_for_it_once_an_owner_has_one() -> None:
    access = factories.make_member(factories.make_team("ours"))
    account = create_service_account(access, name="ci", role=Role.OWNER)
    _token, secret = create_token(access, name="ci", service_account=account.user)
    asks: Any = lambda: Caller(secret).post("/teams/ours", {"two_factor_required": True}).status  # noqa: E731
    assert asks() == 409
    TOTP.activate(access.user, SEED)
    assert asks() == 200


def test_only_owners_ask_for_it(ann: Access, owner: Access) -> None:
    assert Caller(factories.make_token(ann)).post("/teams/ours", {"two_factor_required": False}).status == 403
    TOTP.activate(ann.user, SEED)
    assert _inside(ann.user).post("/t/ours/settings/second-factor/", {"required": "0"}).status_code == 403
    _inside(owner.user).post("/t/ours/settings/second-factor/", {"required": "0"})
    assert Team.objects.get(slug="ours").two_factor_required is False


def test_who_gives_the_last_one_up_is_led_back(owner: Access) -> None:
    client = _inside(owner.user)
    assert client.get("/t/ours/").status_code == 200
    Authenticator.objects.filter(user=owner.user).delete()
    assert client.get("/t/ours/").headers["location"] == LED
    assert client.get(LED).status_code == 200


def test_owners_see_who_has_none(ann: Access, owner: Access) -> None:
    assert (
        _inside(owner.user).get("/t/ours/settings/members/").content.decode().count("no second factor") == 1
    )
    TOTP.activate(ann.user, SEED)
    assert "no second factor" not in _inside(ann.user).get("/t/ours/settings/members/").content.decode()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("whom", "person", "administrator"),
    [("nobody", 200, 200), ("administrators", 200, 403), ("everybody", 403, 403)],
)
def test_the_platform_asks_for_it(settings: Settings, whom: str, person: int, administrator: int) -> None:
    settings.REQUIRE_TWO_FACTOR = "nobody"
    team = factories.make_team("free")
    plain, staff = factories.make_member(team), factories.make_member(team, administrator=True)
    settings.REQUIRE_TWO_FACTOR = whom
    for access, status in ((plain, person), (staff, administrator)):
        client = _inside(access.user)
        assert {_error(client, path)[0] for path in ("/me", "/teams", "/teams/free/apps")} == {status}
        page = client.get("/t/free/")
        assert page.status_code == (302 if status == 403 else 200)
        assert client.get("/account/security/").status_code == 200
        if status == 403:
            assert "This installation asks" in client.get(page.headers["location"]).content.decode()
    assert _error(_inside(staff.user), "/users")[0] == administrator
    TOTP.activate(staff.user, SEED)
    assert _error(_inside(staff.user), "/users") == (200, "")
    text = _inside(staff.user).get("/t/free/settings/platform/").content.decode()
    assert text.count("no second factor") == 1
    assert (f"BERTH_REQUIRE_TWO_FACTOR={whom}" in text) is (whom != "nobody")
