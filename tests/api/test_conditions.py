from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.api import conditions
from console.workloads.models import App, Container
from tests import factories
from tests.api.caller import Answer, Caller, People

SHOP = "/teams/home/apps/shop"


def scaled(caller: Caller, tag: str, replicas: int = 3) -> Answer:
    return caller.send(
        "POST", f"{SHOP}/services/web/scale", {"replicas": replicas}, headers={"If-Match": tag}
    )


@pytest.mark.parametrize("path", ["/teams", "/teams/home", "/teams/home/apps", SHOP, f"{SHOP}/releases"])
def test_a_reader_that_has_it_gets_304_until_it_changes(people: People, path: str) -> None:
    factories.make_app(people.access, "shop")
    first = people.owner.get(path)
    tag = first.headers["ETag"]
    for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = people.owner.get(path, headers={"If-None-Match": header})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert "Content-Type" not in again.headers
    other = people.owner.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status, other.body) == (200, first.body)


def test_a_change_gives_another_tag(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    first = people.owner.get(SHOP).headers["ETag"]
    factories.make_container(app, factories.make_node())
    second = people.owner.get(SHOP).headers["ETag"]
    people.owner.post(f"{SHOP}/services/web/scale", {"replicas": 2})
    third = people.owner.get(SHOP).headers["ETag"]
    assert len({first, second, third}) == 3
    assert people.owner.get(SHOP, headers={"If-None-Match": second}).status == 200


def test_a_write_that_was_decided_on_something_else_is_refused(people: People) -> None:
    factories.make_app(people.access, "shop")
    tag = people.owner.get(SHOP).headers["ETag"]
    assert scaled(people.owner, tag).status == 202
    late = scaled(people.developer, tag, 5)
    assert (late.status, late.error["code"]) == (412, "precondition_failed")
    assert people.owner.get(SHOP).body["app"]["desired"]["replicas"] == 3
    assert scaled(people.developer, people.owner.get(SHOP).headers["ETag"], 5).status == 202
    for wrong in (f"W/{people.owner.get(SHOP).headers['ETag']}", '"x"', "x", '"-"'):
        assert scaled(people.owner, wrong).status == 412, wrong
    assert scaled(people.owner, "*").status == 202


def test_what_was_seen_meanwhile_does_not_refuse_a_write(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    container = factories.make_container(app, factories.make_node())
    tag = people.owner.get(SHOP).headers["ETag"]
    Container.objects.filter(pk=container.pk).update(restarts=4)
    assert people.owner.get(SHOP).headers["ETag"] != tag
    assert scaled(people.owner, tag).status == 202


def test_every_change_of_what_is_wanted_refuses(people: People) -> None:
    factories.make_app(people.access, "shop")
    changes = [
        ("POST", f"{SHOP}/releases", {"compose": factories.COMPOSE}),
        ("POST", f"{SHOP}/restart", {}),
        ("POST", f"{SHOP}/services/web/stop", {}),
        ("POST", f"{SHOP}/stop", {}),
        ("POST", f"{SHOP}/rollout/pause", {}),
    ]
    for method, path, body in changes:
        tag = people.owner.get(SHOP).headers["ETag"]
        assert people.owner.send(method, path, body).status == 202, path
        refused = people.owner.send("DELETE", SHOP, headers={"If-Match": tag})
        assert refused.status == 412, path
    assert not App.objects.get(name="shop").deleting


def test_another_resource_goes_by_its_own_tag(people: People) -> None:
    tag = people.owner.get("/teams/home").headers["ETag"]
    body = {"log_retention_days": 3}
    assert people.owner.send("POST", "/teams/home", body, headers={"If-Match": tag}).status == 200
    assert people.owner.send("POST", "/teams/home", body, headers={"If-Match": tag}).status == 412


@given(st.binary(), st.text("abcdef0123456789", min_size=1))
def test_a_tag_says_its_version(content: bytes, version: str) -> None:
    tag = conditions.etag(content, version)
    assert conditions.version_in(tag.strip('"')) == version
    assert conditions.version_in(conditions.etag(content).strip('"')) == ""
    assert conditions.is_known(f'"a", {tag}', tag)
    assert conditions.strong_tags(f"W/{tag}, {tag}") == [tag.strip('"')]
