from __future__ import annotations

import re

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from console.accounts.secrets import digest
from console.cluster.models import Hold, JoinToken, Node, Rotation
from tests import factories
from tests.web.conftest import Visitors

ACTIONS = [
    "nodes/add/",
    "nodes/node-a/change/",
    "nodes/node-a/cordon/",
    "nodes/node-a/drain/",
    "nodes/node-a/dead/",
    "nodes/node-a/confirm/",
    "nodes/node-a/remove/",
    "nodes/node-a/leave/",
    "nodes/node-a/rotate/",
    "nodes/node-a/revoke/",
    "nodes/node-a/join-again/",
    "rebalance/moves/",
]


@pytest.fixture
def node(people: Visitors) -> Node:
    return factories.make_node("node-a")


@pytest.mark.thorough
@pytest.mark.parametrize("action", ACTIONS)
def test_only_administrators_change_nodes(people: Visitors, node: Node, action: str) -> None:
    sent = {"name": "node-b", "cordoned": "1", "draining": "1", "minutes": "60"}
    assert people.developer.post(f"/t/ours/{action}", sent).status_code == 403
    assert people.stranger.post(f"/t/ours/{action}", sent).status_code == 404
    assert list(Node.objects.values_list("name", "cordoned", "draining")) == [("node-a", False, False)]
    assert f'action="/t/ours/{action}"' not in people.developer.get("/t/ours/nodes/").content.decode()


def test_zone_and_labels_are_set_on_the_nodes_page(people: Visitors, node: Node) -> None:
    path = "/t/ours/nodes/node-a/change/"
    good = {"zone": "rack-1", "labels": "disk=ssd\n# said by nobody\ntopology/row = 4\n"}
    assert people.owner.post(path, good).status_code == 302
    node.refresh_from_db()
    assert (node.zone, node.labels) == ("rack-1", {"disk": "ssd", "topology/row": "4"})
    page = people.owner.get("/t/ours/nodes/node-a/").content.decode()
    assert "disk=ssd\ntopology/row=4</textarea>" in page
    assert "data-shown" not in page
    assert f'action="{path}"' not in people.developer.get("/t/ours/nodes/node-a/").content.decode()
    for wrong in ("disk", "platform.os=linux"):
        answer = people.owner.post(path, {"zone": "rack-2", "labels": wrong})
        assert (answer.status_code, "data-shown" in answer.content.decode()) == (422, True)
        assert f"{wrong}</textarea>" in answer.content.decode()
    node.refresh_from_db()
    assert node.zone == "rack-1"


def test_a_host_gets_its_command_once(people: Visitors) -> None:
    answer = people.owner.post("/t/ours/nodes/add/", {"name": "node-b", "zone": "rack-1", "minutes": "10"})
    page = answer.content.decode()
    token = JoinToken.objects.get()
    assert (token.name, token.zone, Node.objects.count()) == ("node-b", "rack-1", 0)
    secret = re.findall(r"--token (join_[\w-]+)", page)
    assert len(set(secret)) == 1
    assert digest(secret[0]) == token.digest
    assert "make join ARGS=" in page
    assert "docker run" in page
    assert "no-store" in answer.headers["Cache-Control"]
    later = people.owner.get("/t/ours/nodes/").content.decode()
    assert secret[0] not in later
    assert token.hint in later
    assert token.hint not in people.developer.get("/t/ours/nodes/").content.decode()


@pytest.mark.parametrize("name", ["Not A Name", "node-a"])
def test_a_wrong_name_is_said_at_the_field(people: Visitors, node: Node, name: str) -> None:
    answer = people.owner.post("/t/ours/nodes/add/", {"name": name, "minutes": "60"})
    assert answer.status_code == 422
    assert 'id="id_name-error"' in answer.content.decode()
    assert not JoinToken.objects.exists()


def test_a_command_can_be_taken_back(people: Visitors) -> None:
    people.owner.post("/t/ours/nodes/add/", {"minutes": "60"})
    token = JoinToken.objects.get()
    path = f"/t/ours/nodes/join-tokens/{token.id}/revoke/"
    assert people.developer.post(path).status_code == 403
    people.owner.post(path)
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert path not in people.owner.get("/t/ours/nodes/").content.decode()


def test_leaving_drains_first(people: Visitors, node: Node) -> None:
    app = factories.make_app(people.access, "shop")
    container = factories.make_container(app, node)
    people.owner.post("/t/ours/nodes/node-a/leave/")
    node.refresh_from_db()
    assert node.draining is True
    assert "It leaves" in people.owner.get("/t/ours/nodes/node-a/").content.decode()
    container.delete()
    people.owner.post("/t/ours/nodes/node-a/leave/")
    assert not Node.objects.exists()


def test_credentials_are_renewed_revoked_and_given_anew(people: Visitors, node: Node) -> None:
    people.owner.post("/t/ours/nodes/node-a/rotate/")
    assert Rotation.objects.get(node=node).asked_at is not None
    people.owner.post("/t/ours/nodes/node-a/revoke/")
    assert Rotation.objects.get(node=node).revoked_at is not None
    page = people.owner.get("/t/ours/nodes/node-a/").content.decode()
    assert "/t/ours/nodes/node-a/rotate/" not in page
    assert "Join node-a" in people.owner.post("/t/ours/nodes/node-a/join-again/").content.decode()
    assert JoinToken.objects.get().node == node


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
    assert "knows more than the database" in page
    for told in ("shop/web.1", "blog/web.2", "The database is right"):
        assert told not in page
        assert told in people.owner.get("/t/ours/nodes/node-a/").content.decode()
    people.owner.post("/t/ours/nodes/node-a/confirm/")
    assert Hold.objects.get().state == "confirmed"


def test_a_nodes_page_says_how_far_its_networks_reach(
    people: Visitors, node: Node, settings: Settings
) -> None:
    def shown() -> str:
        return people.viewer.get("/t/ours/nodes/node-a/").content.decode()

    assert "Bridges of this node" in shown()
    settings.NETWORK_DRIVER = "overlay"
    node.off_overlay = "is not on the overlay yet"
    node.save()
    page = shown()
    assert "Not across nodes" in page
    assert "node-a is not on the overlay yet" in page
    node.off_overlay = ""
    node.overlay = {"address": "10.0.0.7", "state": "active", "manager": True}
    node.save()
    page = shown()
    assert "Across nodes" in page
    assert "10.0.0.7" in page
    assert "manager" in page


def test_a_nodes_page_says_what_is_free_on_its_disk(people: Visitors, node: Node) -> None:
    def shown() -> str:
        return people.viewer.get("/t/ours/nodes/node-a/").content.decode()

    assert "free" not in shown()
    node.disk_total, node.disk_free = 100 << 30, 40 << 30
    node.save()
    assert "40 GiB of 100 GiB free" in shown()
    assert "Hardly any free" not in shown()
    node.disk_free, node.disk_low = 1 << 30, True
    node.save()
    assert "Hardly any free" in shown()
    assert "Disk full" in people.viewer.get("/t/ours/nodes/").content.decode()


def test_a_nodes_page_says_what_its_images_take(people: Visitors, node: Node) -> None:
    def shown() -> str:
        return people.viewer.get("/t/ours/nodes/node-a/").content.decode()

    # Of an agent that does not tell their sizes.
    node.images = [{"id": "sha256:1", "tags": ["app:1"]}]
    node.save()
    assert "up to" not in shown()
    node.images = [{"id": "sha256:1", "size": 3 << 30}, {"id": "sha256:2", "size": 1 << 30}]
    node.save()
    assert '2 <span class="muted">· up to 4 GiB</span>' in shown()
