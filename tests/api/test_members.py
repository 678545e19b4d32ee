from __future__ import annotations

from django.test import Client

from console.accounts.models import ApiToken, Membership, User
from tests import factories
from tests.api.caller import BASE, Caller, People


def _id(email: str) -> str:
    return str(User.objects.get(email=email).pk)


def test_an_owner_changes_roles(people: People) -> None:
    path = f"/teams/home/members/{_id('viewer@example.com')}"
    assert people.viewer.get(path).body["role"] == "viewer"
    answer = people.owner.post(path, {"role": "developer"})
    assert (answer.status, answer.body["role"]) == (200, "developer")
    for caller in (people.developer, people.viewer):
        assert caller.post(path, {"role": "owner"}).status == 403
        assert caller.delete(path).status == 403
    assert people.owner.post(path, {"role": "god"}).status == 400
    assert people.owner.get("/teams/home/members/nobody").status == 404


def test_the_last_owner_stays(people: People) -> None:
    path = f"/teams/home/members/{_id('owner@example.com')}"
    for answer in (people.owner.post(path, {"role": "viewer"}), people.owner.delete(path)):
        assert (answer.status, answer.error["code"]) == (409, "last_owner")
    other = f"/teams/home/members/{_id('developer@example.com')}"
    assert people.owner.post(other, {"role": "owner"}).status == 200
    assert people.owner.post(path, {"role": "viewer"}).status == 200
    assert people.owner.post(other, {"role": "viewer"}).status == 403


def test_a_disabled_or_artificial_owner_does_not_count(people: People) -> None:
    people.owner.post("/teams/home/service-accounts", {"name": "ci", "role": "owner"})
    other = factories.make_member(people.access.team)
    other.user.is_active = False
    other.user.save()
    answer = people.owner.delete(f"/teams/home/members/{people.access.user.pk}")
    assert answer.error["code"] == "last_owner"


def test_who_is_removed_takes_nothing_along(people: People) -> None:
    assert ApiToken.objects.filter(user__email="viewer@example.com").exists()
    assert people.owner.delete(f"/teams/home/members/{_id('viewer@example.com')}").status == 204
    assert people.viewer.get("/me").status == 401
    assert not ApiToken.objects.filter(user__email="viewer@example.com").exists()


def test_people_leave_by_themselves_and_tokens_do_not(people: People) -> None:
    assert people.developer.post("/teams/home/leave").error["code"] == "token_scope"
    for email, status in (("developer@example.com", 204), ("owner@example.com", 409)):
        client = Client()
        client.force_login(User.objects.get(email=email))
        response = client.post(f"{BASE}/teams/home/leave", {}, content_type="application/json")
        assert response.status_code == status
    assert not Membership.objects.filter(user__email="developer@example.com").exists()
    assert people.developer.get("/me").status == 401


def test_a_role_in_one_app(people: People) -> None:
    factories.make_app(people.access, "shop")
    path = "/teams/home/apps/shop/members"
    scale = "/teams/home/apps/shop/services/web/scale"
    assert people.viewer.post(scale, {"replicas": 2}).status == 403
    answer = people.owner.post(path, {"member": "viewer@example.com", "role": "developer"})
    assert answer.status == 200
    found = {one["member"]: (one["role"], one["team_role"]) for one in people.viewer.get(path).body["items"]}
    assert found["viewer@example.com"] == ("developer", "viewer")
    assert people.viewer.post(scale, {"replicas": 2}).status == 202
    secret = ("/teams/home/apps/shop/secrets", {"name": "key", "value": "v"})
    assert people.viewer.post(*secret).status == 201
    assert people.owner.post(path, {"member": "developer@example.com", "role": "viewer"}).status == 200
    assert people.developer.post(*secret).status == 403
    assert people.viewer.post("/teams/home/apps", {"name": "b", "compose": factories.COMPOSE}).status == 403
    for caller in (people.developer, people.viewer):
        assert caller.post(path, {"member": "viewer@example.com", "role": None}).status == 403
    assert people.owner.post(path, {"member": "viewer@example.com", "role": None}).status == 200
    assert people.viewer.post(scale, {"replicas": 2}).status == 403
    owner = people.owner.post(path, {"member": "owner@example.com", "role": "viewer"})
    assert owner.error["code"] == "member_is_owner"
    assert people.owner.post(path, {"member": "nobody", "role": "viewer"}).status == 404
    assert people.owner.post(path, {"member": "viewer@example.com", "role": "owner"}).status == 400


def test_strangers_change_nothing(people: People) -> None:
    for path in ("/teams/home/members", "/teams/home/service-accounts"):
        people.assert_outside("GET", path)
    people.assert_outside("POST", f"/teams/home/members/{_id('viewer@example.com')}", {"role": "owner"})
    assert isinstance(people.stranger, Caller)
