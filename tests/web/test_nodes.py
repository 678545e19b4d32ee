from __future__ import annotations

import pytest
from django.utils import timezone

from console.accounts.secrets import digest
from console.cluster.models import Hold, Node
from tests import factories
from tests.web.conftest import Visitors

ACTIONS = [
    "nodes/add/",
    "nodes/node-a/cordon/",
    "nodes/node-a/drain/",
    "nodes/node-a/dead/",
    "nodes/node-a/confirm/",
    "nodes/node-a/remove/",
    "rebalance/moves/",
]


@pytest.fixture
def node(people: Visitors) -> Node:
    return factories.make_node("node-a")


@pytest.mark.parametrize("action", ACTIONS)
def test_only_administrators_change_nodes(people: Visitors, node: Node, action: str) -> None:
    sent = {"name": "node-b", "cordoned": "1", "draining": "1"}
    assert people.developer.post(f"/t/ours/{action}", sent).status_code == 403
    assert people.stranger.post(f"/t/ours/{action}", sent).status_code == 404
    assert list(Node.objects.values_list("name", "cordoned", "draining")) == [("node-a", False, False)]
    assert f'action="/t/ours/{action}"' not in people.developer.get("/t/ours/nodes/").content.decode()


def test_a_new_node_gets_its_command_once(people: Visitors) -> None:
    answer = people.owner.post("/t/ours/nodes/add/", {"name": "node-b", "zone": "rack-1"})
    page = answer.content.decode()
    node = Node.objects.get()
    assert (node.name, node.zone) == ("node-b", "rack-1")
    token = page.partition("&quot;token&quot;: &quot;")[2].partition("&quot;")[0]
    assert digest(token) == node.token_digest
    assert "make agent CONFIG=node.json" in page
    assert "no-store" in answer.headers["Cache-Control"]
    assert token not in people.owner.get("/t/ours/nodes/").content.decode()


@pytest.mark.parametrize("name", ["", "Not A Name", "node-a"])
def test_a_wrong_name_is_said_at_the_field(people: Visitors, node: Node, name: str) -> None:
    answer = people.owner.post("/t/ours/nodes/add/", {"name": name})
    assert answer.status_code == 422
    assert 'id="id_name-error"' in answer.content.decode()
    assert Node.objects.count() == 1


def test_cordoning_and_back(people: Visitors, node: Node) -> None:
    people.owner.post("/t/ours/nodes/node-a/cordon/", {"cordoned": "1"})
    node.refresh_from_db()
    assert node.cordoned is True
    people.owner.post("/t/ours/nodes/node-a/cordon/", {"cordoned": "0"})
    node.refresh_from_db()
    assert node.cordoned is False


def test_draining_shows_how_far_it_is(people: Visitors, node: Node) -> None:
    app = factories.make_app(people.access, "shop")
    factories.make_container(app, node, volumes=["data"])
    gone = factories.make_container(app, node, index=2)
    people.owner.post("/t/ours/nodes/node-a/drain/", {"draining": "1"})
    gone.delete()
    page = people.viewer.get("/t/ours/nodes/node-a/").content.decode()
    assert "Draining: 1 of 2 containers left." in page
    assert "1 is bound to this node and stays." in page
    assert "Draining" in people.viewer.get("/t/ours/nodes/").content.decode()
    people.owner.post("/t/ours/nodes/node-a/drain/", {"draining": "0"})
    node.refresh_from_db()
    assert node.draining is False


def test_another_teams_containers_are_not_named(people: Visitors, node: Node) -> None:
    theirs = factories.make_member(factories.make_team("other"))
    factories.make_container(factories.make_app(theirs, "secret-app"), node)
    page = people.owner.get("/t/ours/nodes/node-a/").content.decode()
    assert "secret-app" not in page
    assert "1 container" in page


def test_a_node_that_is_down_can_be_declared_dead(people: Visitors, node: Node) -> None:
    assert 'id="dead"' not in people.owner.get("/t/ours/nodes/node-a/").content.decode()
    Node.objects.update(state="down")
    assert 'id="dead"' in people.owner.get("/t/ours/nodes/node-a/").content.decode()
    assert 'id="dead"' not in people.developer.get("/t/ours/nodes/node-a/").content.decode()
    people.owner.post("/t/ours/nodes/node-a/dead/", {"volumes": "wait"})
    page = people.viewer.get("/t/ours/nodes/node-a/").content.decode()
    assert "Declared dead by" in page
    assert "What has a volume here waits for this node." in page
    people.owner.post("/t/ours/nodes/node-a/dead/", {"volumes": "give-up"})
    page = people.owner.get("/t/ours/nodes/node-a/").content.decode()
    assert "starts elsewhere with an empty one" in page
    assert 'data-open="dead"' not in page


def test_a_held_node_says_what_it_knows_and_is_confirmed(people: Visitors, node: Node) -> None:
    Hold.objects.create(
        node=node, state="held", at=timezone.now(), ahead=["shop/web.1"], unknown=["blog/web.2"]
    )
    page = people.viewer.get("/t/ours/nodes/node-a/").content.decode()
    assert "shop/web.1" in page
    assert "blog/web.2" in page
    assert "The database is right" not in page
    assert "The database is right" in people.owner.get("/t/ours/nodes/node-a/").content.decode()
    people.owner.post("/t/ours/nodes/node-a/confirm/")
    assert Hold.objects.get().state == "confirmed"
