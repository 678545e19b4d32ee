from __future__ import annotations

from typing import Any

from django.utils import timezone

from console.cluster.services import remove_node
from console.workloads.enums import ContainerState
from console.workloads.models import Explanation
from tests import factories
from tests.api.caller import People

SHOP = "/teams/home/apps/shop"


def test_containers_are_those_on_nodes_and_with_ended_all(people: People) -> None:
    app, node = factories.make_app(people.access, "shop"), factories.make_node("n1")
    gone = factories.make_container(
        app,
        node,
        state=ContainerState.FAILED,
        exit_code=1,
        ended_at=timezone.now(),
        removed_at=timezone.now(),
    )
    now = factories.make_container(app, node, created_at=timezone.now())
    (shown,) = people.viewer.get(f"{SHOP}/containers").body["items"]
    assert shown["id"] == now.id
    listed = people.viewer.get(f"{SHOP}/containers?ended=true").body["items"]
    assert [container["id"] for container in listed] == [now.id, gone.id]
    assert (listed[1]["observed"]["state"], listed[1]["observed"]["exit_code"]) == ("failed", 1)
    wrong = people.viewer.get(f"{SHOP}/containers?ended=perhaps")
    assert (wrong.status, list(wrong.error["fields"])) == (400, ["ended"])
    people.assert_outside("GET", f"{SHOP}/containers")


def test_a_container_of_a_node_that_was_removed_still_says_where_it_was(people: People) -> None:
    node = factories.make_node("n1", cordoned=True)
    now = timezone.now()
    fields: dict[str, Any] = {
        "state": "exited",
        "exit_code": 1,
        "last_lines": ["bye"],
        "ended_at": now,
        "removed_at": now,
    }
    app = factories.make_app(people.access, "shop")
    container = factories.make_container(app, node, **fields)
    remove_node(factories.make_member(factories.make_team(), administrator=True), node)
    path = f"/teams/home/containers/{container.id}"
    body = people.viewer.get(path).body
    assert (body["node"], body["node_name"], body["urls"]) == (None, "n1", [])
    assert body["observed"]["last_lines"] == ["bye"]
    listed = people.viewer.get(f"{SHOP}/containers?ended=true&node=n1").body["items"]
    assert [one["id"] for one in listed] == [container.id]


def test_a_container_keeps_wanted_and_seen_apart(people: People) -> None:
    node = factories.make_node("n1")
    container = factories.make_container(factories.make_app(people.access, "shop"), node)
    body = people.viewer.get(f"/teams/home/containers/{container.id}").body
    assert (body["app"], body["service"], body["slot"], body["generation"]) == ("shop", "web", 1, 1)
    assert (body["node"], body["node_name"]) == ({"id": node.id, "name": "n1"}, "n1")
    assert body["urls"] == ["http://10.0.0.1:30001"]
    assert body["desired"] == {
        "release": 1,
        "image": "berth/demo:latest",
        "cpu": 1000,
        "memory": factories.GIB // 2,
        "cpu_limit": 2000,
        "memory_limit": factories.GIB,
        "pids": 256,
        "ports": [{"host": 30001, "container": 80, "protocol": "tcp"}],
        "volumes": [],
        "grants": [],
        "priority": 0,
        "move_to": None,
    }
    assert (body["observed"]["state"], body["observed"]["health"], body["observed"]["restarts"]) == (
        "running",
        "none",
        0,
    )
    assert body["observed_at"] is not None
    people.assert_outside("GET", f"/teams/home/containers/{container.id}")


def test_another_teams_container_is_not_found(people: People) -> None:
    theirs = factories.make_app(factories.make_member(factories.make_team()))
    container = factories.make_container(theirs, factories.make_node())
    assert people.owner.get(f"/teams/home/containers/{container.id}").error["code"] == "not_found"


def test_a_pending_slot_explains_itself(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    slot = factories.make_slot(app)
    refusal = {"filter": "memory", "reason": "lacks memory", "asked": 2, "free": 1}
    verdict = {"node": "x", "name": "n1", "refusal": refusal, "scores": {}}
    group = {"filter": "memory", "reason": "lacks memory", "count": 1, "names": ["n1"]}
    why = Explanation.objects.create(
        app=app,
        service="web",
        at=timezone.now(),
        nodes=1,
        fitting=0,
        summary="0 of 1 node fits",
        remedies=["1 byte less memory"],
        refused=[group],
        verdicts=[verdict],
    )
    slot.pending, slot.explanation = why.summary, why
    slot.save()
    body = people.viewer.get(f"{SHOP}/services/web/slots/1").body
    assert (body["desired"], body["observed_at"]) == ({"wanted": True}, None)
    assert body["observed"] == {"state": None, "health": None}
    assert (body["name"], body["pending"], body["container"], body["older"], body["node"]) == (
        "web.1",
        "0 of 1 node fits",
        None,
        [],
        None,
    )
    assert body["scores"] == {}
    shown = body["explanation"]
    assert shown.pop("at")
    assert shown == {
        "nodes": 1,
        "fitting": 0,
        "summary": "0 of 1 node fits",
        "remedies": ["1 byte less memory"],
        "refused": [group],
        "verdicts": [verdict],
        "together_with": 0,
    }
    people.assert_outside("GET", f"{SHOP}/services/web/slots/1")
    for path in ("web/slots/2", "db/slots/1"):
        assert people.viewer.get(f"{SHOP}/services/{path}").status == 404


def test_an_explanation_says_how_many_slots_it_decided(people: People) -> None:
    app, node = factories.make_app(people.access, "shop"), factories.make_node("n1")
    why = Explanation.objects.create(
        app=app, service="web", at=timezone.now(), nodes=1, fitting=1, summary="n1: the only node"
    )
    for index in (1, 2, 3):
        slot = factories.make_container(app, node, index=index).slot
        slot.explanation, slot.scores = why, {"load": 1.0 / index}
        slot.save()
    body = people.viewer.get(f"{SHOP}/services/web/slots/2").body
    assert (body["explanation"]["together_with"], body["scores"]) == (2, {"load": 0.5})


def test_a_retired_slot_is_gone(people: People) -> None:
    slot = factories.make_slot(factories.make_app(people.access, "shop"))
    slot.retired = True
    slot.save()
    assert people.viewer.get(f"{SHOP}/services/web/slots/1").status == 404


def test_a_slot_shows_its_newest_container_and_older_ones_still_there(people: People) -> None:
    app, node = factories.make_app(people.access, "shop"), factories.make_node()
    older = factories.make_container(app, node, state=ContainerState.STOPPING)
    newest = factories.make_container(app, node)
    body = people.viewer.get(f"{SHOP}/services/web/slots/1").body
    assert (body["desired"], body["observed"]["state"]) == ({"wanted": True}, "running")
    assert body["observed_at"] == body["container"]["observed_at"] is not None
    assert (body["container"]["id"], [one["id"] for one in body["older"]]) == (newest.id, [older.id])
