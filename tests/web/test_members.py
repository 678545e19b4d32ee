from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import AppRole, Invitation, Membership, User
from console.common import audit
from console.web.views.audit import told
from tests import factories
from tests.web.conftest import Visitors

MEMBERS, TOKENS = "/t/ours/settings/members/", "/t/ours/settings/tokens/"


def _text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def _invite(people: Visitors, email: str) -> str:
    answer = people.owner.post("/t/ours/settings/invitations/", {"email": email, "role": "developer"})
    found = re.search(r'id="invitation-url">[^<]*?(/invitations/[^<]+)<', answer.content.decode())
    assert found
    assert "no-store" in answer.headers["Cache-Control"]
    return found[1]


def test_each_tab_is_for_whom_it_is_for(people: Visitors) -> None:
    for path, allowed in (
        ("/t/ours/settings/", {"owner", "developer", "viewer"}),
        (MEMBERS, {"owner", "developer", "viewer"}),
        (TOKENS, {"owner", "developer", "viewer"}),
        ("/t/ours/settings/audit/", {"owner"}),
        ("/t/ours/settings/audit/?scope=platform", {"owner"}),
        ("/t/ours/settings/platform/", {"owner"}),
    ):
        for name in ("owner", "developer", "viewer"):
            status = getattr(people, name).get(path).status_code
            assert status == (200 if name in allowed else 403), (path, name)
        assert people.stranger.get(path).status_code == 404
        assert people.nobody.get(path).status_code == 302


def test_an_owner_changes_and_removes_members(people: Visitors) -> None:
    viewer = Membership.objects.get(role="viewer")
    role, remove = (f"{MEMBERS}{viewer.user_id}/{what}/" for what in ("role", "remove"))
    for client in (people.developer, people.viewer):
        assert client.post(role, {"role": "owner"}).status_code == 403
        assert client.post(remove).status_code == 403
    people.owner.post(role, {"role": "developer"})
    viewer.refresh_from_db()
    assert viewer.role == "developer"
    people.owner.post(remove)
    assert not Membership.objects.filter(pk=viewer.pk).exists()
    assert people.viewer.get(MEMBERS).status_code == 404
    own = f"{MEMBERS}{people.access.user.pk}/remove/"
    answer = people.owner.post(own, follow=True)
    assert "last owner stays" in answer.content.decode()


def test_leaving(people: Visitors) -> None:
    assert people.developer.post(f"{MEMBERS}leave/").status_code == 302
    assert people.developer.get(MEMBERS).status_code == 404


def test_a_new_person_takes_an_invitation_once(people: Visitors) -> None:
    link = _invite(people, "new@example.com")
    client = Client()
    assert "Make an account and join" in _text(client, link)
    weak = client.post(link, {"name": "New", "password": "short"})
    assert (weak.status_code, 'id="id_password-error"' in weak.content.decode()) == (422, True)
    answer = client.post(link, {"name": "New", "password": "a very long one"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/t/ours/")
    assert Membership.objects.get(user__email="new@example.com").role == "developer"
    assert client.get("/t/ours/").status_code == 200
    assert Client().get(link).status_code == 404
    assert Client().post(link, {"name": "Eve", "password": "a very long one"}).status_code == 404


def test_an_invitation_is_for_its_address_alone(people: Visitors) -> None:
    stranger = Membership.objects.get(team__slug="theirs").user
    link = _invite(people, "other@example.com")
    assert "for another address" in _text(people.stranger, link)
    assert people.stranger.post(link).status_code == 422
    assert Invitation.objects.count() == 1
    own = _invite(people, stranger.email.upper())
    assert ">Join<" in re.sub(r"\s*([<>])\s*", r"\1", _text(people.stranger, own))
    assert "Sign in" in _text(Client(), own)
    taken = Client().post(own, {"name": "Eve", "password": "a very long one"})
    assert taken.status_code in {200, 422}
    assert people.stranger.post(own).status_code == 302
    assert people.stranger.get("/t/ours/").status_code == 200


def test_a_closed_installation_takes_nobody_new(people: Visitors, settings: object) -> None:
    settings.SIGN_UP = "closed"  # type: ignore[attr-defined]
    link = _invite(people, "new@example.com")
    answer = Client().post(link, {"name": "New", "password": "a very long one"})
    assert (answer.status_code, User.objects.filter(email="new@example.com").exists()) == (422, False)


def test_a_token_of_some_verbs_for_a_service_account(people: Visitors) -> None:
    app = factories.make_app(people.access, "shop")
    people.owner.post("/t/ours/settings/service-accounts/", {"name": "ci", "role": "developer"})
    answer = people.owner.post(
        TOKENS, {"name": "CI", "days": "30", "verbs": ["deploy"], "apps": [app.pk], "holder": "ci"}
    )
    assert answer.status_code == 200
    token = factories.token_named("CI")
    assert (token.user.name, token.verbs, token.apps) == ("ci", ["read", "deploy"], [app.pk])
    page = _text(people.owner, TOKENS)
    assert ("service account ci" in page, "shop" in page) == (True, True)
    assert "service account ci" not in _text(people.developer, TOKENS)
    assert people.developer.post(TOKENS, {"name": "x", "days": "30", "holder": "ci"}).status_code == 422
    people.owner.post(f"/t/ours/settings/tokens/{token.pk}/revoke/")
    assert "service account ci" not in _text(people.owner, TOKENS)


def test_a_role_in_one_app(people: Visitors) -> None:
    app = factories.make_app(people.access, "shop")
    viewer = Membership.objects.get(role="viewer")
    change = {"member": viewer.user_id, "app": app.pk, "role": "developer"}
    assert people.developer.post("/t/ours/settings/app-roles/", change).status_code == 403
    assert "Redeploy" not in _text(people.viewer, "/t/ours/apps/shop/")
    people.owner.post("/t/ours/settings/app-roles/", change)
    assert "Redeploy" in _text(people.viewer, "/t/ours/apps/shop/")
    assert people.viewer.post("/t/ours/apps/shop/restart/").status_code == 302
    people.owner.post("/t/ours/settings/app-roles/", {**change, "role": ""})
    assert not AppRole.objects.exists()


def test_the_audit_shows_what_fits(people: Visitors) -> None:
    app = factories.make_app(people.access, "shop")
    people.owner.post("/t/ours/apps/shop/restart/")
    audit.write("session.refused", "Sign-in refused", actor="eve@example.com")
    audit.seal()
    page = _text(people.owner, "/t/ours/settings/audit/")
    assert ("Restart of shop asked for" in page, "eve@example.com" in page) == (True, False)
    assert "eve@example.com" in _text(people.owner, "/t/ours/settings/audit/?scope=platform&kind=session")
    assert "Restart of shop" in _text(people.owner, f"/t/ours/settings/audit/?app={app.pk}")
    assert "Restart of shop" not in _text(people.owner, "/t/ours/settings/audit/?actor=nobody")


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (
            audit.change({"replicas": 1}, {"replicas": 3}, service="web"),
            {"service": "web", "replicas": "1 → 3"},
        ),
        (
            audit.change(None, {"name": "shop", "labels": {"a": "b"}}),
            {"name": "shop", "labels": '{"a": "b"}'},
        ),
        (audit.change({"name": "shop"}, None, apps=None), {"name": "shop → –"}),
        (audit.change({"zone": None}, {"zone": "b"}), {"zone": "– → b"}),
        ({"changed": True}, {"changed": "true"}),
        ({"after": 2}, {}),
        ({}, {}),
    ],
)
def test_the_audit_tells_a_change_field_by_field(data: dict[str, Any], shown: dict[str, str]) -> None:
    assert told(data) == shown


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("target=shop", True),
        ("target=other", False),
        ("token=ci", False),
        ("since=2020-01-01T00:00", True),
        ("until=2020-01-01T00:00", False),
        ("since=2020-01-01T00:00&until=2100-01-01T00:00&kind=app", True),
    ],
)
def test_the_audit_is_narrowed(people: Visitors, query: str, fits: bool) -> None:
    factories.make_app(people.access, "shop")
    people.owner.post("/t/ours/apps/shop/restart/")
    page = _text(people.owner, f"/t/ours/settings/audit/?{query}")
    assert ("Restart of shop asked for" in page) is fits
    for pair in query.split("&"):
        name, value = pair.split("=")
        assert f'name="{name}" value="{value}"' in page


def test_a_wrong_time_is_said_at_its_field_and_shows_no_rows(people: Visitors) -> None:
    factories.make_app(people.access, "shop")
    people.owner.post("/t/ours/apps/shop/restart/")
    answer = people.owner.get("/t/ours/settings/audit/?since=yesterday")
    page = answer.content.decode()
    assert (answer.status_code, "Restart of shop" in page) == (400, False)
    assert 'id="id_since-error"' in page


def test_administrators_change_people(people: Visitors) -> None:
    viewer = Membership.objects.get(role="viewer").user
    path = f"/t/ours/settings/platform/users/{viewer.pk}/"
    assert people.developer.post(path, {"change": "grant"}).status_code == 403
    people.owner.post(path, {"change": "grant"})
    viewer.refresh_from_db()
    assert viewer.is_staff
    people.owner.post(path, {"change": "disable"})
    assert people.viewer.get("/t/ours/").status_code == 302
    made = people.owner.post("/t/ours/settings/platform/teams/", {"name": "Fresh", "slug": "fresh"})
    assert made.headers["Location"] == "/t/fresh/"
    assert (
        people.developer.post("/t/ours/settings/platform/teams/", {"name": "X", "slug": "x"}).status_code
        == 403
    )
