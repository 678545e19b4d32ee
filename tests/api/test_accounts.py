from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from console.accounts.enums import Role
from console.accounts.models import ApiToken, Team
from console.common.models import Event
from tests import factories
from tests.api.caller import BASE, Caller, People


def test_me_names_the_user_the_token_and_its_team_alone(people: People) -> None:
    factories.join(people.access.user, Team.objects.get(slug="away"), Role.VIEWER)
    answer = people.owner.get("/me")
    assert answer.status == 200
    assert answer.body["user"]["email"] == "owner@example.com"
    assert answer.body["user"]["administrator"] is False
    assert answer.body["token"]["name"] == "test"
    assert [team["slug"] for team in answer.body["teams"]] == ["home"]
    assert [team["slug"] for team in people.owner.get("/teams").body["items"]] == ["home"]


def test_a_session_reaches_all_teams_of_its_user(people: People) -> None:
    factories.join(people.access.user, Team.objects.get(slug="away"), Role.VIEWER)
    client = Client()
    client.force_login(people.access.user)
    body = client.get(f"{BASE}/me").json()
    assert body["token"] is None
    assert [team["slug"] for team in body["teams"]] == ["away", "home"]
    assert client.get(f"{BASE}/teams/away").json()["role"] == "viewer"


def test_a_session_needs_the_csrf_token_to_change_something(people: People) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.access.user)
    response = client.post(f"{BASE}/teams/home/tokens", {"name": "x"}, content_type="application/json")
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "forbidden"
    assert ApiToken.objects.filter(name="x").count() == 0


def test_me_refuses_whoever_is_nobody(people: People) -> None:
    for caller, code in ((people.anonymous, "not_authenticated"), (people.revoked, "authentication_failed")):
        for path in ("/me", "/teams"):
            answer = caller.get(path)
            assert (answer.status, answer.error["code"]) == (401, code)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="berth"'


def test_a_team_shows_ones_role_and_its_members(people: People) -> None:
    body = people.viewer.get("/teams/home").body
    assert (body["slug"], body["role"]) == ("home", "viewer")
    assert [(member["email"], member["role"]) for member in body["members"]] == [
        ("developer@example.com", "developer"),
        ("owner@example.com", "owner"),
        ("viewer@example.com", "viewer"),
    ]
    people.assert_outside("GET", "/teams/home")


def test_a_token_of_one_team_finds_no_other_team_of_its_owner(people: People) -> None:
    factories.join(people.access.user, Team.objects.get(slug="away"), Role.OWNER)
    answer = people.owner.get("/teams/away")
    assert (answer.status, answer.error["code"]) == (404, "not_found")


def test_a_token_is_shown_once_works_and_ends(people: People) -> None:
    made = people.viewer.post("/teams/home/tokens", {"name": "ci"})
    assert made.status == 201
    secret = made.body["secret"]
    assert secret.startswith(made.body["token"]["hint"])
    holder = Caller(secret)
    assert holder.get("/me").body["token"]["name"] == "ci"
    listed = people.viewer.get("/teams/home/tokens")
    assert [token["name"] for token in listed.body["items"]] == ["ci", "test"]
    assert secret not in str(listed.body)
    assert people.developer.delete(f"/teams/home/tokens/{made.body['token']['id']}").status == 404
    assert people.viewer.delete(f"/teams/home/tokens/{made.body['token']['id']}").status == 204
    assert holder.get("/me").status == 401


def test_an_expired_token_is_refused(people: People) -> None:
    later = timezone.now() + timedelta(hours=1)
    made = people.owner.post("/teams/home/tokens", {"name": "short", "expires_at": later.isoformat()})
    holder = Caller(made.body["secret"])
    assert holder.get("/me").status == 200
    ApiToken.objects.filter(name="short").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert holder.get("/me").status == 401


def test_wrong_tokens_name_the_field(people: People) -> None:
    past = (timezone.now() - timedelta(hours=1)).isoformat()
    for body, field in (
        ({}, "name"),
        ({"name": "x", "expires_at": past}, "expires_at"),
        ({"name": "x", "n": 1}, "n"),
    ):
        answer = people.owner.post("/teams/home/tokens", body)
        assert (answer.status, answer.error["code"], list(answer.error["fields"])) == (
            400,
            "invalid",
            [field],
        )
    people.assert_outside("POST", "/teams/home/tokens", {"name": "x"})


def test_an_inactive_users_token_ends(people: People) -> None:
    people.access.user.is_active = False
    people.access.user.save()
    assert people.owner.get("/me").status == 401


def test_an_owner_sets_how_long_logs_are_kept(people: People) -> None:
    assert people.viewer.get("/teams/home").body["log_retention_days"] == 7
    answer = people.owner.post("/teams/home", {"log_retention_days": 30})
    assert (answer.status, answer.body["log_retention_days"]) == (200, 30)
    assert people.owner.post("/teams/home", {"log_retention_days": 30}).status == 200
    event = Event.objects.get(kind="team.changed")
    assert event.message == "Logs of ended containers are kept for 30 days (before: 7)"
    assert event.actor == "owner@example.com"
    for caller in (people.developer, people.viewer):
        assert caller.post("/teams/home", {"log_retention_days": 1}).status == 403
    for wrong in (-1, 366, "long"):
        refused = people.owner.post("/teams/home", {"log_retention_days": wrong})
        assert (refused.status, list(refused.error["fields"])) == (400, ["log_retention_days"])
    assert people.viewer.get("/teams/home").body["log_retention_days"] == 30
    people.assert_outside("POST", "/teams/home", {"log_retention_days": 1})
