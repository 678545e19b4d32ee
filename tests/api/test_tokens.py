"""Scopes of tokens, service accounts, and what a token may make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.enums import Verb
from console.accounts.models import ApiToken
from console.workloads.models import Rollout
from tests import factories
from tests.api.caller import Caller, People

TOKENS = "/teams/home/tokens"
SHOP, BLOG = "/teams/home/apps/shop", "/teams/home/apps/blog"
RELEASE = {"compose": factories.COMPOSE}


def _holder(maker: Caller, **scope: Any) -> Caller:
    answer = maker.post(TOKENS, {"name": "scoped", **scope})
    assert answer.status == 201, answer.body
    return Caller(answer.body["secret"])


@pytest.fixture
def apps(people: People) -> None:
    for name in ("shop", "blog"):
        factories.make_app(people.access, name, variables={"A": "1"})


def _calls(app: str) -> dict[Verb, tuple[str, str, Any]]:
    """For each verb, one call that needs it."""
    return {
        Verb.READ: ("GET", app, None),
        Verb.DEPLOY: ("POST", f"{app}/releases", RELEASE),
        Verb.WRITE: ("POST", f"{app}/services/web/scale", {"replicas": 2}),
        Verb.ADMIN: (
            "POST",
            "/teams/home/registries",
            {"host": "r.example.com", "username": "u", "password": "p"},
        ),
    }


@pytest.mark.thorough
@pytest.mark.usefixtures("apps")
@pytest.mark.parametrize("held", list(Verb), ids=str)
def test_each_verb_opens_its_own_calls(people: People, held: Verb) -> None:
    holder = _holder(people.owner, verbs=[held.value])
    scope = ApiToken.objects.get(name="scoped").scope
    for verb, (method, path, body) in _calls(SHOP).items():
        answer = holder.send(method, path, body)
        if verb in scope:
            assert answer.status < 300, (verb, answer.body)
        else:
            assert (answer.status, answer.error["code"]) == (403, "token_scope")
    seen = holder.get(f"{SHOP}/releases/1").body["variables"]
    assert seen == {"A": "1" if held is Verb.READ_SECRETS else None}


@pytest.mark.usefixtures("apps")
def test_a_token_of_one_app_finds_no_other(people: People) -> None:
    holder = _holder(people.owner, verbs=["deploy"], apps=["shop"])
    assert [one["name"] for one in holder.get("/teams/home/apps").body["items"]] == ["shop"]
    assert holder.post(f"{SHOP}/releases", RELEASE).status == 202
    assert holder.get(BLOG).status == 404
    assert holder.post(f"{BLOG}/releases", RELEASE).status == 404
    assert {one["app"]["name"] for one in holder.get("/teams/home/operations").body["items"]} == {"shop"}
    other = people.owner.get("/teams/home/operations?app=blog").body["items"][0]["id"]
    assert holder.get(f"/teams/home/operations/{other}").status == 404
    assert holder.get("/teams/home/operations?app=blog").status == 404
    for path in ("", "/members", "/events", "/nodes", "/tokens", "/registries", "/service-accounts"):
        assert holder.get(f"/teams/home{path}").status == 403, path
    assert holder.post("/teams/home/apps", {"name": "new", **RELEASE}).error["code"] == "token_scope"
    assert holder.post("/teams/home/compose/check", RELEASE).status == 200


def test_a_token_makes_none_wider_than_itself(people: People) -> None:
    factories.make_app(people.access, "shop")
    reader = _holder(people.owner, verbs=["read"])
    assert reader.post(TOKENS, {"name": "x", "verbs": ["read"]}).error["code"] == "token_scope"
    until = timezone.now() + timedelta(days=1)
    admin = _holder(people.owner, verbs=["admin"], expires_at=until.isoformat())
    for wider in (
        {},
        {"verbs": ["admin"]},
        {"verbs": ["deploy"], "expires_at": until.isoformat()},
        {"verbs": ["admin"], "expires_at": (until + timedelta(seconds=1)).isoformat()},
    ):
        assert admin.post(TOKENS, {"name": "x", **wider}).error["code"] == "token_scope"
    assert admin.post(TOKENS, {"name": "x", "verbs": ["read"], "expires_at": until.isoformat()}).status == 201
    one = ApiToken.objects.get(name="x")
    assert reader.delete(f"{TOKENS}/{one.pk}").status == 403
    assert admin.delete(f"{TOKENS}/{one.pk}").status == 204
    own = ApiToken.objects.filter(name="scoped").latest("created_at")
    assert admin.delete(f"{TOKENS}/{own.pk}").status == 204
    assert admin.get("/me").status == 401


def test_wrong_scopes_name_their_fields(people: People) -> None:
    factories.make_app(people.access, "shop")
    for body, field in (
        ({"verbs": ["root"]}, "verbs.0"),
        ({"verbs": []}, "verbs"),
        ({"apps": []}, "apps"),
        ({"apps": ["shop"], "verbs": ["admin"]}, "verbs"),
    ):
        answer = people.owner.post(TOKENS, {"name": "x", **body})
        assert (answer.status, list(answer.error["fields"])) == (400, [field])
    assert people.owner.post(TOKENS, {"name": "x", "apps": ["nix"]}).status == 404
    assert people.owner.post(TOKENS, {"name": "x", "service_account": "nix"}).status == 404


def test_what_a_token_may_begin_it_may_cancel(people: People) -> None:
    factories.make_ready(factories.make_app(people.access, "shop").releases.get())
    Rollout.objects.update(state="succeeded")
    holder = _holder(people.owner, verbs=["deploy"])
    restart = people.owner.post(f"{SHOP}/restart").body["operation"]["id"]
    assert holder.post(f"/teams/home/operations/{restart}/cancel").error["code"] == "token_scope"
    deploy = holder.post(f"{SHOP}/releases", RELEASE).body["operation"]["id"]
    cancelled = holder.post(f"/teams/home/operations/{deploy}/cancel")
    assert (cancelled.status, cancelled.body["operation"]["kind"]) == (202, "rollback")


def test_a_service_account_acts_by_its_tokens_with_its_role(people: People) -> None:
    factories.make_app(people.access, "shop")
    made = people.owner.post("/teams/home/service-accounts", {"name": "ci", "role": "developer"})
    assert (made.status, made.body["name"], made.body["role"]) == (201, "ci", "developer")
    holder = _holder(people.owner, service_account="ci", verbs=["write"])
    assert holder.get("/me").body["user"]["name"] == "ci"
    answer = holder.post(f"{SHOP}/releases", RELEASE)
    assert answer.status == 202
    assert holder.get(f"{SHOP}/releases/2").body["created_by"] == "service account ci"
    assert "ci" not in {one["name"] for one in people.viewer.get("/teams/home/members").body["items"]}
    listed = people.owner.get(f"{TOKENS}?all=true").body["items"]
    assert {one["holder"] for one in listed} >= {"service account ci", "viewer@example.com"}
    assert people.owner.post("/teams/home/service-accounts/ci", {"role": "viewer"}).status == 200
    assert holder.post(f"{SHOP}/releases", RELEASE).status == 403
    assert people.owner.delete("/teams/home/service-accounts/ci").status == 204
    assert holder.get("/me").status == 401


def test_service_accounts_are_for_owners(people: People) -> None:
    people.owner.post("/teams/home/service-accounts", {"name": "ci"})
    for caller in (people.developer, people.viewer):
        assert caller.get("/teams/home/service-accounts").status == 200
        assert caller.post("/teams/home/service-accounts", {"name": "b"}).status == 403
        assert caller.post("/teams/home/service-accounts/ci", {"role": "owner"}).status == 403
        assert caller.delete("/teams/home/service-accounts/ci").status == 403
        assert caller.post(TOKENS, {"name": "x", "service_account": "ci"}).status == 403
        assert caller.get(f"{TOKENS}?all=true").status == 403
    assert people.owner.post("/teams/home/service-accounts", {"name": "ci"}).error["code"] == "name_taken"
    for wrong in ({"name": "C I"}, {"name": ""}, {"name": "x", "role": "god"}):
        assert people.owner.post("/teams/home/service-accounts", wrong).status == 400


def test_only_a_token_of_all_rights_carries_platform_administration(
    administrator: Caller, people: People
) -> None:
    made = administrator.post(TOKENS, {"name": "narrow", "verbs": ["write", "exec"]})
    narrow = Caller(made.body["secret"])
    assert narrow.post("/teams/home/nodes", {"name": "n9"}).status == 403
    assert administrator.post("/teams/home/nodes", {"name": "n9"}).status == 201
