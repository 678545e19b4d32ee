from __future__ import annotations

from console.workloads.models import Release
from tests import factories
from tests.api.caller import Caller, People

QUOTA, SIZES = "/teams/home/quota", "/teams/home/sizes"
NONE = {"apps": None, "containers": None, "cpu": None, "memory": None}
MIB = 1024**2


def test_members_see_it_and_administrators_settle_it(people: People, administrator: Caller) -> None:
    factories.make_app(people.access, "shop")
    used = {"apps": 1, "containers": 1, "cpu": 1000, "memory": 512 * MIB}
    assert people.viewer.get(QUOTA).body == {"used": used, "allowed": NONE, "priority": 0}
    for caller in (people.viewer, people.developer, people.owner):
        assert caller.post(QUOTA, {"apps": 1}).status == 403
    assert administrator.post(QUOTA, {"apps": 1, "cpu": 4000}).body["allowed"] == {
        **NONE,
        "apps": 1,
        "cpu": 4000,
    }
    compose = "services: {web: {image: berth/demo}}"
    answer = people.developer.post("/teams/home/apps", {"name": "two", "compose": compose})
    assert (answer.status, answer.error["code"]) == (422, "quota_exceeded")
    assert answer.error["data"]["lacking"] == ["apps"]
    assert answer.error["data"]["allowed"]["apps"] == 1
    people.assert_outside("GET", QUOTA)


def test_priorities_go_as_high_as_administrators_say(people: People, administrator: Caller) -> None:
    compose = "services: {web: {image: berth/demo, x-berth: {priority: 10}}}"
    app = {"name": "shop", "compose": compose}
    refused = people.developer.post("/teams/home/apps", app)
    assert (refused.status, refused.error["code"]) == (422, "quota_exceeded")
    assert "up to 0 here; web asks for 10" in refused.error["message"]
    assert refused.error["data"]["allowed"] == {"priority": 0}
    assert people.developer.post("/teams/home/apps?dry_run=true", app).status == 422
    assert administrator.post(QUOTA, {"priority": 10}).body["priority"] == 10
    assert people.developer.post("/teams/home/apps", app).status == 202
    assert list(administrator.post(QUOTA, {"priority": 1001}).error["fields"]) == ["priority"]


def test_wrong_numbers_name_the_field(administrator: Caller) -> None:
    for change in ({"apps": -1}, {"cpu": "x"}, {"memory": 2**70}, {"team": "away"}):
        answer = administrator.post(QUOTA, change)
        assert (answer.status, list(answer.error["fields"])) == (400, list(change)), change


def test_sizes_give_limits_that_a_file_leaves_out(people: People, administrator: Caller) -> None:
    usual = [one["name"] for one in people.viewer.get(SIZES).body["items"]]
    assert usual == ["small", "medium", "large"]
    tiny = {"name": "tiny", "cpu": 100, "memory": 64 * MIB, "default": True}
    assert people.owner.post(SIZES, tiny).status == 403
    assert administrator.post(SIZES, tiny).body == tiny
    assert administrator.post(SIZES, {"name": "big", "cpu": 2000, "memory": 1024 * MIB}).status == 201
    compose = """\
services:
  usual: {image: berth/demo}
  big: {image: berth/demo, x-berth: {size: big}}
  own: {image: berth/demo, mem_limit: 200m, x-berth: {size: big}}
"""
    assert people.developer.post("/teams/home/apps", {"name": "shop", "compose": compose}).status == 202
    services = Release.objects.get().project.services
    found = {name: (one.resources.cpu, one.resources.memory // MIB) for name, one in services.items()}
    assert found == {"usual": (100, 64), "big": (2000, 1024), "own": (2000, 200)}
    wrong = people.developer.post(
        "/teams/home/compose/check",
        {"compose": "services: {a: {image: x, x-berth: {size: huge}}}"},
    )
    assert "tiny, big" in str(wrong.body)
    assert administrator.delete(f"{SIZES}/big").status == 204
    assert administrator.delete(f"{SIZES}/big").status == 404
