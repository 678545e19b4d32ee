"""What would happen, and the moves of a rebalance."""

from __future__ import annotations

from typing import Any

import pytest

from console.cluster.models import Node
from console.common.models import Dirty, Event
from console.workloads.models import App, Container, Release, Rollout, Service
from tests import factories
from tests.api.caller import Caller, People

pytestmark = pytest.mark.thorough

MIB = 1024**2
NODES = "/teams/home/nodes"
ROOM = "/teams/home/apps/shop/services/web/room"
REBALANCE = "/teams/home/rebalance"
COMPOSE = """\
services:
  web: {image: berth/demo, deploy: {replicas: 2, resources: {limits: {cpus: "1", memory: 512M}}}}
  db: {image: berth/demo, volumes: ["data:/data"]}
  every: {image: berth/demo, deploy: {mode: global}}
  job: {image: berth/demo, restart: "no", deploy: {mode: replicated-job}}
volumes: {data: }
"""
PLAIN = COMPOSE.partition("  db")[0]


def make_app(access: Any, name: str, compose: str = COMPOSE) -> App:
    """An app whose only release is ready and was rolled out well."""
    app = factories.make_app(access, name, compose=compose)
    factories.make_ready(Release.objects.get(app=app))
    Rollout.objects.filter(app=app).update(state="succeeded")
    return app


@pytest.fixture
def shop(people: People) -> App:
    """All kinds of services on n1, beside a container of another team; n2 is empty."""
    app, node = make_app(people.access, "shop"), factories.make_node("n1")
    factories.make_node("n2")
    for name, held in (("web", []), ("db", [f"{app.id}/data"]), ("every", []), ("job", [])):
        factories.make_container(app, node, name, volumes=held, ports=[])
    theirs = make_app(factories.make_member(factories.make_team("other")), "secret", PLAIN)
    factories.make_container(theirs, node, ports=[])
    return app


def own(group: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    """Service, target and reason of the team's own containers."""
    return [(one["container"]["service"], one["target"], one["reason"]) for one in group["own"]]


def test_if_a_node_went(people: People, shop: App) -> None:
    body = people.viewer.get(f"{NODES}/n1/what-if").body
    assert (body["node"], body["event"]) == ("n1", "loss")
    assert own(body["moved"]) == [("job", "n2", ""), ("web", "n2", "")]
    assert body["moved"]["total"] == 3
    assert body["waiting"] == {"total": 0, "own": []}
    assert own(body["bound"]) == [
        ("db", None, "its volume is there"),
        ("every", None, "it is a global service's, one for each node"),
    ]
    assert "secret" not in str(body)
    web = Container.objects.get(slot__service__name="web", app=shop)
    assert body["moved"]["own"][1]["container"] == {"id": web.id, "app": "shop", "service": "web", "slot": 1}
    people.assert_outside("GET", f"{NODES}/n1/what-if")


def test_if_a_node_were_drained(people: People, shop: App) -> None:
    body = people.viewer.get(f"{NODES}/n1/what-if?event=drain").body
    assert own(body["moved"]) == [("web", "n2", "")]
    assert own(body["bound"]) == [
        ("db", None, "its volume is there"),
        ("job", None, "it runs to its end there"),
    ]
    assert own(body["ended"]) == [("every", None, "")]
    assert [body[kind]["total"] for kind in ("moved", "waiting", "bound", "ended")] == [2, 0, 2, 1]


def test_what_finds_no_place_says_why_and_what_would_help(people: People, shop: App) -> None:
    Node.objects.filter(name="n2").update(cordoned=True)
    body = people.viewer.get(f"{NODES}/n1/what-if?event=loss").body
    assert body["moved"]["total"] == 0
    assert body["waiting"]["total"] == 3
    for one in body["waiting"]["own"]:
        assert one["target"] is None
        assert one["reason"].startswith("0 of 1 node")


def test_a_node_that_holds_nothing(people: People, shop: App) -> None:
    body = people.viewer.get(f"{NODES}/n2/what-if").body
    assert [body[kind] for kind in ("moved", "waiting", "bound", "ended")] == [{"total": 0, "own": []}] * 4
    wrong = people.viewer.get(f"{NODES}/n2/what-if?event=fire")
    assert (wrong.status, list(wrong.error["fields"])) == (400, ["event"])


def test_how_many_more_fit(people: People, shop: App) -> None:
    body = people.viewer.get(f"{ROOM}?limit=50").body
    before = Container.objects.count()
    assert (body["service"], body["limit"]) == ("web", 50)
    assert [(one["name"], one["count"]) for one in body["nodes"]] == [("n2", 4)]
    assert body["fits"] == 4
    refusal = body["refusal"]
    assert (refusal["nodes"], refusal["fitting"]) == (2, 0)
    assert refusal["summary"].startswith("0 of 2 nodes fit: 2 lack ")
    groups = [(one["filter"].lower(), one["count"], one["names"]) for one in refusal["refused"]]
    assert groups == [("cpu", 2, ["n1", "n2"])]
    assert sorted(one["name"] for one in refusal["verdicts"]) == ["n1", "n2"]
    assert people.viewer.get(f"{ROOM}?limit=3").body["refusal"] is None
    assert Container.objects.count() == before
    people.assert_outside("GET", ROOM)


def test_what_the_quota_allows_bounds_how_many_more_fit(
    people: People, shop: App, administrator: Caller
) -> None:
    memory = people.viewer.get("/teams/home/quota").body["used"]["memory"]
    administrator.post("/teams/home/quota", {"memory": memory + 1600 * MIB})
    body = people.viewer.get(f"{ROOM}?limit=50").body
    # The second node's one of `every` is claimed with the next write.
    assert (body["fits"], body["refusal"], [one["count"] for one in body["nodes"]]) == (2, None, [2])
    assert "memory: " in body["over_quota"]
    scale = "/teams/home/apps/shop/services/web/scale"
    assert people.developer.post(scale, {"replicas": 5}).error["code"] == "quota_exceeded"
    assert people.developer.post(scale, {"replicas": 4}).status == 202
    administrator.post("/teams/home/quota", {"containers": 1})
    body = people.viewer.get(f"{ROOM}?limit=50").body
    assert (body["fits"], body["refusal"], body["nodes"]) == (0, None, [])
    assert "containers: " in body["over_quota"]
    administrator.post("/teams/home/quota", {"containers": 500})
    body = people.viewer.get(f"{ROOM}?limit=50").body
    assert (body["fits"], body["over_quota"]) == (4, "")
    assert body["refusal"]


def test_room_is_of_a_service_that_is_known_and_has_replicas(people: People, shop: App) -> None:
    everywhere = people.viewer.get("/teams/home/apps/shop/services/every/room")
    assert (everywhere.status, everywhere.error["code"]) == (409, "global_service")
    factories.make_app(people.access, "new")
    answer = people.viewer.get("/teams/home/apps/new/services/web/room")
    assert (answer.status, answer.error["code"]) == (409, "release_not_ready")
    for wrong in ("0", "1001", "many"):
        assert list(people.viewer.get(f"{ROOM}?limit={wrong}").error["fields"]) == ["limit"]


@pytest.fixture
def crowded(people: People) -> App:
    """Two replicas on n1, and two of another team's; n2 is empty."""
    app, node = make_app(people.access, "shop", PLAIN), factories.make_node("n1")
    theirs = make_app(factories.make_member(factories.make_team("other")), "secret", PLAIN)
    for index in (1, 2):
        factories.make_container(app, node, index=index, ports=[])
        factories.make_container(theirs, node, index=index, ports=[])
    factories.make_node("n2")
    Dirty.objects.all().delete()
    return app


def as_asked(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan's moves as the POST takes them."""
    return {"moves": [{key: move[key] for key in ("container", "node", "target")} for move in plan["moves"]]}


def test_a_rebalance_is_planned_and_then_made(people: People, administrator: Caller, crowded: App) -> None:
    plan = administrator.get(REBALANCE).body
    assert len(plan["moves"]) == 2
    assert plan["after"] < plan["before"]
    assert plan["stopped"]
    for move in plan["moves"]:
        assert (move["node_name"], move["target_name"]) == ("n1", "n2")
        assert move["gain"] > 0
    mine = next(move for move in plan["moves"] if move["place"])
    assert (mine["place"]["app"], mine["place"]["service"]) == ("shop", "web")
    assert mine["reason"]
    assert [move["reason"] for move in plan["moves"] if move["place"] is None] == [""]
    assert "secret" not in str(plan)
    assert Container.objects.exclude(move_to=None).count() == 0

    asked = as_asked(plan)
    answer = administrator.post(REBALANCE, asked)
    assert (answer.status, answer.body) == (202, {**asked, "skipped": []})
    marked = {one.id: one.move_to_id for one in Container.objects.exclude(move_to=None)}
    assert marked == {move["container"]: move["target"] for move in asked["moves"]}
    assert Dirty.objects.count() == 2
    told = people.viewer.get("/teams/home/apps/shop/events").body["items"][0]
    assert (told["kind"], told["details"]["before"], told["details"]["after"]) == (
        "slot.move",
        {"node": "n1"},
        {"node": "n2"},
    )
    assert Event.objects.filter(kind="slot.move").count() == 2

    assert administrator.get(REBALANCE).body["moves"] == []
    again = administrator.post(REBALANCE, asked).body
    assert again["moves"] == []
    assert [one["reason"] for one in again["skipped"]] == ["It is on its way already."] * 2


def test_a_budget_and_a_gain_bound_the_moves(administrator: Caller, crowded: App) -> None:
    assert len(administrator.get(f"{REBALANCE}?budget=1").body["moves"]) == 1
    assert administrator.get(f"{REBALANCE}?gain=1000").body["moves"] == []
    wrong = administrator.get(f"{REBALANCE}?budget=0&gain=0")
    assert (wrong.status, sorted(wrong.error["fields"])) == (400, ["budget", "gain"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "stopping"}, "The container is gone."),
        ({"generation": 0}, "The slot has moved since."),
    ],
)
def test_what_changed_since_the_plan_is_skipped_and_said(
    administrator: Caller, crowded: App, change: dict[str, Any], reason: str
) -> None:
    asked = as_asked(administrator.get(f"{REBALANCE}?budget=1").body)
    Container.objects.filter(pk=asked["moves"][0]["container"]).update(**change)
    body = administrator.post(REBALANCE, asked).body
    assert body == {"moves": [], "skipped": [{"move": asked["moves"][0], "reason": reason}]}
    Node.objects.filter(name="n2").update(draining=True)
    (skipped,) = administrator.post(REBALANCE, asked).body["skipped"]
    assert skipped["reason"] == "The node that it should go to takes nothing now."
    assert Container.objects.exclude(move_to=None).count() == 0


def test_what_is_not_well_or_bound_stays(people: People, administrator: Caller, crowded: App) -> None:
    Service.objects.filter(app=crowded).update(replicas=3)
    Rollout.objects.exclude(app=crowded).update(state="running")
    assert administrator.get(REBALANCE).body["moves"] == []
    text = 'services: {db: {image: berth/demo, volumes: ["data:/data"]}}\nvolumes: {data: }\n'
    db = make_app(people.access, "db", text)
    n1, n2 = Node.objects.order_by("name")
    bound = factories.make_container(db, n1, "db", volumes=[f"{db.id}/data"], ports=[])
    move = {"container": bound.id, "node": n1.id, "target": n2.id}
    (skipped,) = administrator.post(REBALANCE, {"moves": [move]}).body["skipped"]
    assert skipped == {"move": move, "reason": "It is bound to its node."}


def test_only_administrators_rebalance(people: People, crowded: App) -> None:
    for caller in (people.owner, people.viewer):
        assert caller.get(REBALANCE).error["code"] == "forbidden"
        assert caller.post(REBALANCE, {"moves": []}).error["code"] == "forbidden"
    people.assert_outside("GET", REBALANCE)
    people.assert_outside("POST", REBALANCE, {"moves": []})
