"""Invitations, teams, and the platform's users."""

from __future__ import annotations

import pytest
from django.core import mail
from django.test import Client
from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks, Settings

from console.accounts.models import Invitation, Membership, Team, User
from console.accounts.secrets import digest
from tests import factories
from tests.api.caller import Caller, People

INVITATIONS = "/teams/home/invitations"


def test_an_owner_invites_and_sees_the_link_once(people: People) -> None:
    answer = people.owner.post(INVITATIONS, {"email": "New@Example.com", "role": "viewer"})
    assert (answer.status, answer.body["invitation"]["role"]) == (201, "viewer")
    secret = answer.body["url"].rstrip("/").rpartition("/")[2]
    assert Invitation.objects.get().digest == digest(secret)
    listed = people.owner.get(INVITATIONS)
    assert [one["email"] for one in listed.body["items"]] == ["New@example.com"]
    assert secret not in str(listed.body)
    again = people.owner.post(INVITATIONS, {"email": "new@example.com"})
    assert (again.status, Invitation.objects.count()) == (201, 1)
    assert people.owner.delete(f"{INVITATIONS}/{again.body['invitation']['id']}").status == 204
    assert (
        Client().get(f"/invitations/{again.body['url'].rstrip('/').rpartition('/')[2]}/").status_code == 404
    )


def test_the_links_host_is_the_installations_own(people: People, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    answer = people.owner.send(
        "POST", INVITATIONS, {"email": "a@b.org"}, headers={"host": "evil.example.com"}
    )
    assert answer.body["url"].startswith(f"{settings.BERTH_URL}/invitations/")


def test_an_invitation_is_mailed_where_there_is_a_server(
    people: People,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    with django_capture_on_commit_callbacks(execute=True):
        answer = people.owner.post(INVITATIONS, {"email": "a@b.org"})
    (message,) = mail.outbox
    assert (message.to, answer.body["url"] in message.body) == (["a@b.org"], True)


def test_invitations_are_the_owners(people: People) -> None:
    made = people.owner.post(INVITATIONS, {"email": "a@b.org"}).body["invitation"]["id"]
    for caller in (people.developer, people.viewer):
        assert caller.get(INVITATIONS).status == 403
        assert caller.post(INVITATIONS, {"email": "x@b.org"}).status == 403
        assert caller.delete(f"{INVITATIONS}/{made}").status == 403
    for body, code in (
        ({"email": "not an address"}, "invalid"),
        ({"email": "x@b.org", "role": "god"}, "invalid"),
        ({"email": "viewer@example.com"}, "member_exists"),
    ):
        assert people.owner.post(INVITATIONS, body).error["code"] == code


def test_teams_are_made_by_administrators_or_by_everybody(
    people: People, administrator: Caller, settings: Settings
) -> None:
    assert people.owner.post("/teams", {"slug": "fresh"}).status == 403
    made = administrator.post("/teams", {"slug": "fresh", "name": "Fresh  Team"})
    assert (made.status, made.body["name"]) == (201, "Fresh Team")
    owner = Membership.objects.get(team__slug="fresh")
    assert (owner.role, owner.user.is_staff) == ("owner", True)
    assert administrator.post("/teams", {"slug": "fresh"}).error["code"] == "name_taken"
    for wrong in ("F", "-a", "a/b", "", "x" * 41):
        assert administrator.post("/teams", {"slug": wrong}).status == 400, wrong
    settings.TEAMS_BY_EVERYONE = True
    assert people.viewer.post("/teams", {"slug": "mine"}).status == 201
    assert people.anonymous.post("/teams", {"slug": "x"}).status == 401


def test_an_owner_renames_the_team(people: People) -> None:
    assert people.owner.post("/teams/home", {"name": "Harbour"}).body["name"] == "Harbour"
    assert people.developer.post("/teams/home", {"name": "x"}).status == 403
    assert people.owner.post("/teams/home", {"name": " "}).status == 400
    assert Team.objects.get(slug="home").name == "Harbour"


def test_administrators_see_and_change_users(people: People, administrator: Caller) -> None:
    listed = {one["email"]: one for one in administrator.get("/users").body["items"]}
    viewer = listed["viewer@example.com"]
    assert (viewer["active"], viewer["administrator"], viewer["teams"]) == (True, False, ["home"])
    path = f"/users/{viewer['id']}"
    assert administrator.post(path, {"administrator": True}).body["administrator"] is True
    assert administrator.post(path, {"administrator": False, "active": False}).body["active"] is False
    assert people.viewer.get("/me").status == 401
    assert administrator.post(path, {"active": True}).status == 200
    assert people.viewer.get("/me").status == 200
    assert administrator.get("/users/nobody").status == 404
    for method, address in (("GET", "/users"), ("GET", path), ("POST", path)):
        assert people.owner.send(method, address, {"administrator": True}).status == 403
        assert people.anonymous.send(method, address, {}).status == 401
    assert not User.objects.get(email="viewer@example.com").is_staff


@pytest.mark.parametrize("change", [{"administrator": False}, {"active": False}])
def test_the_last_administrator_stays(administrator: Caller, change: dict[str, bool]) -> None:
    own = User.objects.get(is_staff=True)
    factories.make_user(administrator=True).delete()
    answer = administrator.post(f"/users/{own.pk}", change)
    assert (answer.status, answer.error["code"]) == (409, "last_administrator")
    own.refresh_from_db()
    assert (own.is_staff, own.is_active) == (True, True)
