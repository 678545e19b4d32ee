from __future__ import annotations

from typing import Any

from django.utils import timezone

from console.accounts.access import team_access
from console.accounts.enums import Verb
from console.accounts.models import User
from console.accounts.secrets import digest
from console.accounts.tokens import create_token
from console.cluster.models import Hold, Node
from console.common.models import Dirty, Event
from console.workloads.models import Container
from tests import factories
from tests.api.caller import Caller, People

NODES = "/teams/home/nodes"
BOUND = """\
services:
  web: {image: berth/demo}
  db: {image: berth/demo, volumes: ["data:/data"]}
  one: {image: berth/demo, x-berth: {exclusive: true}}
volumes: {data: }
"""


def test_an_administrator_adds_a_node_and_sees_its_config_once(people: People, administrator: Caller) -> None:
    answer = administrator.post(NODES, {"name": "n1", "zone": "a", "labels": {"disk": "ssd"}})
    assert answer.status == 201
    node, config = answer.body["node"], answer.body["config"]
    assert node["desired"] == {
        "cordoned": False,
        "draining": False,
        "zone": "a",
        "labels": {"disk": "ssd"},
        "leaving": False,
    }
    assert (node["observed"]["state"], node["observed_at"]) == ("joining", None)
    assert config["node"] == node["id"]
    assert Node.objects.get(name="n1").token_digest == digest(config["token"])
    assert config["token"] not in str(administrator.get(f"{NODES}/n1").body)


def test_nodes_show_what_all_teams_hold_but_whose_only_to_them(people: People) -> None:
    node = factories.make_node("n1")
    mine = factories.make_container(factories.make_app(people.access, "shop"), node)
    factories.make_container(factories.make_app(factories.make_member(factories.make_team())), node)
    (listed,) = people.viewer.get(NODES).body["items"]
    assert listed["reserved"] == {"containers": 2, "cpu": 2000, "memory": factories.GIB}
    assert (listed["observed"]["cpu"], listed["observed"]["memory"]) == (4000, 8 * factories.GIB)
    body = people.viewer.get(f"{NODES}/n1").body
    assert body["node"] == listed
    assert [container["id"] for container in body["containers"]] == [mine.id]


def test_cordon_and_uncordon(people: People, administrator: Caller) -> None:
    factories.make_node("n1")
    assert administrator.post(f"{NODES}/n1/cordon").body["desired"]["cordoned"] is True
    assert people.viewer.get(f"{NODES}/n1").body["node"]["desired"]["cordoned"] is True
    assert administrator.post(f"{NODES}/n1/uncordon").body["desired"]["cordoned"] is False


def test_zone_and_labels_can_be_changed(people: People, administrator: Caller) -> None:
    node = factories.make_node("n1", observed_labels={"disk": "hdd", "rack": "r1"})
    body = administrator.send("PATCH", f"{NODES}/n1", {"labels": {"disk": "ssd"}}).body
    assert (body["desired"]["zone"], body["desired"]["labels"]) == ("", {"disk": "ssd"})
    assert body["labels"] == {"disk": "ssd", "rack": "r1"}
    assert administrator.send("PATCH", f"{NODES}/n1", {"zone": " b "}).body["desired"]["zone"] == "b"
    assert administrator.send("PATCH", f"{NODES}/n1", {"zone": "b"}).status == 200
    first, second = Event.objects.filter(kind="node.changed").order_by("id")
    assert first.data == {
        "before": {"labels": {}},
        "after": {"labels": {"disk": "ssd"}},
    }
    assert (second.node_id, second.data["after"]["zone"]) == (node.id, "b")
    assert administrator.send("PATCH", f"{NODES}/n1", {"labels": {}}).body["labels"]["disk"] == "hdd"
    for caller in (people.viewer, people.developer, people.owner):
        assert caller.send("PATCH", f"{NODES}/n1", {"zone": "c"}).status == 403
    assert administrator.send("PATCH", f"{NODES}/none", {"zone": "c"}).status == 404


def test_wrong_labels_name_the_field(administrator: Caller) -> None:
    factories.make_node("n1")
    many = {f"key{number}": "" for number in range(65)}
    wrong: list[dict[str, Any]] = [
        {"labels": {"a b": "x"}},
        {"labels": {"platform.os": "plan9"}},
        {"labels": {"disk": "s" * 201}},
        {"labels": {"disk": "a\nb"}},
        {"labels": many},
        {"labels": ["disk"]},
        {"zone": "z" * 41},
        {"name": "other"},
    ]
    for change in wrong:
        answer = administrator.send("PATCH", f"{NODES}/n1", change)
        assert (answer.status, list(answer.error["fields"])) == (400, list(change)), change
    assert administrator.post(NODES, {"name": "n2", "labels": {"-": "x"}}).status == 400
    assert administrator.post("/teams/home/join-tokens", {"labels": {"-": "x"}}).status == 400
    assert Node.objects.get().labels == {}


def test_a_node_that_changed_meanwhile_is_not_changed(administrator: Caller) -> None:
    node = factories.make_node("n1")
    tag = administrator.get(f"{NODES}/n1").headers["ETag"]
    Node.objects.filter(pk=node.pk).update(foreign_containers=3)
    match = {"If-Match": tag}
    assert administrator.send("PATCH", f"{NODES}/n1", {"zone": "a"}, headers=match).status == 200
    assert administrator.send("PATCH", f"{NODES}/n1", {"zone": "b"}, headers=match).status == 412
    assert Node.objects.get().zone == "a"


def test_draining_tells_how_far_it_is(people: People, administrator: Caller) -> None:
    node, app = factories.make_node("n1"), factories.make_app(people.access, "shop", compose=BOUND)
    for index in (1, 2, 3):
        factories.make_container(app, node, "web", index)
    factories.make_container(app, node, "db", volumes=["data"])
    factories.make_container(app, node, "one")
    Dirty.objects.all().delete()
    assert people.viewer.get(f"{NODES}/n1").body["drain"] is None
    answer = administrator.post(f"{NODES}/n1/drain")
    assert (answer.status, answer.body["desired"]["draining"]) == (202, True)
    assert list(Dirty.objects.values_list("app_id", flat=True)) == [app.id]
    assert administrator.post(f"{NODES}/n1/drain").status == 202
    Container.objects.filter(slot__service__name="web", slot__index__lt=3).update(state="exited")
    assert people.viewer.get(f"{NODES}/n1").body["drain"] == {"total": 5, "left": 3, "bound": 2, "ending": 0}
    kinds = Event.objects.filter(node_id=node.id).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["node.added", "node.draining"]
    assert administrator.post(f"{NODES}/n1/undrain").body["desired"]["draining"] is False
    assert people.viewer.get(f"{NODES}/n1").body["drain"] is None


def test_a_node_leaves_once_it_holds_nothing(people: People, administrator: Caller) -> None:
    node = factories.make_node("n1")
    container = factories.make_container(factories.make_app(people.access), node)
    refused = administrator.delete(f"{NODES}/n1")
    assert (refused.status, refused.error["code"]) == (409, "node_in_use")
    container.delete()
    administrator.post(f"{NODES}/n1/cordon")
    assert administrator.delete(f"{NODES}/n1").status == 204
    assert administrator.get(f"{NODES}/n1").status == 404


def test_owners_change_no_nodes(people: People) -> None:
    factories.make_node("n1")
    assert people.owner.post(NODES, {"name": "n2"}).error["code"] == "forbidden"
    for action in ("cordon", "uncordon", "drain", "undrain", "dead", "confirm"):
        assert people.owner.post(f"{NODES}/n1/{action}").status == 403
        people.assert_outside("POST", f"{NODES}/n1/{action}")
    assert people.owner.delete(f"{NODES}/n1").status == 403
    for method, path in (("GET", NODES), ("POST", NODES), ("GET", f"{NODES}/n1"), ("DELETE", f"{NODES}/n1")):
        people.assert_outside(method, path, {"name": "n2"})
    assert list(Node.objects.values_list("name", "cordoned", "draining")) == [("n1", False, False)]


def test_wrong_nodes_name_the_field(people: People, administrator: Caller) -> None:
    factories.make_node("taken")
    for body, status, field in (
        ({"name": "N 1"}, 400, "name"),
        ({"name": "taken"}, 409, "name"),
        ({"name": "n1", "zone": "z" * 41}, 400, "zone"),
        ({"name": "n1", "labels": {"a": []}}, 400, "labels.a"),
    ):
        answer = administrator.post(NODES, body)
        assert (answer.status, list(answer.error["fields"])) == (status, [field]), body


def test_only_a_node_that_is_down_is_declared_dead(people: People, administrator: Caller) -> None:
    node = factories.make_node("n1")
    refused = administrator.post(f"{NODES}/n1/dead")
    assert (refused.status, refused.error["code"]) == (409, "node_not_down")
    Node.objects.update(state="down")
    assert people.owner.post(f"{NODES}/n1/dead").status == 403
    answer = administrator.post(f"{NODES}/n1/dead", {"volumes": True})
    assert (answer.status, answer.body["death"]["volumes"]) == (202, True)
    assert administrator.post(f"{NODES}/n1/dead").body["death"]["volumes"] is True
    assert Event.objects.filter(node_id=node.id, kind="node.dead").count() == 1
    assert people.viewer.get(f"{NODES}/n1").body["node"]["death"]["actor"] == answer.body["death"]["actor"]


def test_a_held_node_waits_for_an_administrators_confirmation(people: People, administrator: Caller) -> None:
    node = factories.make_node("n1")
    refused = administrator.post(f"{NODES}/n1/confirm")
    assert (refused.status, refused.error["code"]) == (409, "node_not_held")
    Hold.objects.create(
        node=node, state="held", at=timezone.now(), ahead=["shop/web.1"], unknown=["blog/web.1"]
    )
    (listed,) = people.viewer.get(NODES).body["items"]
    assert (listed["hold"]["state"], listed["hold"]["ahead"], listed["hold"]["unknown"]) == ("held", 1, 1)
    assert people.owner.get(f"{NODES}/n1").body["held"] is None
    names = administrator.get(f"{NODES}/n1").body["held"]
    assert names == {"ahead": ["shop/web.1"], "unknown": ["blog/web.1"]}
    holder = team_access(User.objects.get(is_staff=True), "home")
    narrow = Caller(create_token(holder, name="reads", verbs={Verb.READ})[1])
    assert narrow.get(f"{NODES}/n1").body["held"] is None
    assert people.owner.post(f"{NODES}/n1/confirm").status == 403
    answer = administrator.post(f"{NODES}/n1/confirm")
    assert (answer.status, answer.body["hold"]["state"]) == (202, "confirmed")
