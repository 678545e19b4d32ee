from __future__ import annotations

import pytest
from django.test import Client

from console.accounts.models import Quota
from console.cluster.models import Node
from console.workloads.models import App, Container, Release, Rollout
from console.workloads.quotas import use_of
from tests import factories
from tests.web.conftest import Visitors

COMPOSE = """\
services:
  web: {image: berth/demo, deploy: {replicas: 2, resources: {limits: {cpus: "1", memory: 512M}}}}
"""
HTMX = {"HX-Request": "true"}


def ready_app(people: Visitors, name: str = "shop") -> App:
    app = factories.make_app(people.access, name, compose=COMPOSE)
    factories.make_ready(Release.objects.get(app=app))
    Rollout.objects.filter(app=app).update(state="succeeded")
    return app


@pytest.fixture
def app(people: Visitors) -> App:
    """Two replicas on node-a; node-b is empty."""
    app, node = ready_app(people), factories.make_node("node-a")
    for index in (1, 2):
        factories.make_container(app, node, index=index, ports=[])
    factories.make_node("node-b")
    return app


def text(client: Client, path: str, **headers: str) -> str:
    return client.get(f"/t/ours/{path}", headers=headers).content.decode()


@pytest.mark.parametrize(
    ("event", "title"), [("loss", "If node-a went"), ("drain", "If node-a were drained")]
)
def test_what_if_is_a_page_and_a_part_of_one(people: Visitors, app: App, event: str, title: str) -> None:
    path = f"nodes/node-a/what-if/?event={event}"
    whole = text(people.viewer, path)
    assert "<html" in whole
    assert title in whole
    part = people.viewer.get(f"/t/ours/{path}", headers={**HTMX, "HX-Target": "outcome"}).content.decode()
    assert "<html" not in part
    for found in (whole, part):
        assert 'id="outcome"' in found
        assert "Would find a place elsewhere" in found
        assert "web.1" in found
        assert 'href="/t/ours/nodes/node-b/"' in found
    assert people.stranger.get(f"/t/ours/{path}").status_code == 404
    assert f'hx-get="/t/ours/nodes/node-a/what-if/?event={event}"' in text(people.viewer, "nodes/node-a/")


def test_what_if_names_no_container_of_another_team(people: Visitors, app: App) -> None:
    theirs = factories.make_member(factories.make_team("other"))
    secret = factories.make_app(theirs, "secret-app", compose=COMPOSE)
    factories.make_ready(Release.objects.get(app=secret))
    factories.make_container(secret, Node.objects.get(name="node-a"), ports=[])
    found = text(people.owner, "nodes/node-a/what-if/")
    assert "and 1 container of other teams" in found
    assert "secret" not in found


def test_what_if_says_why_something_would_wait(people: Visitors, app: App) -> None:
    Node.objects.filter(name="node-b").update(cordoned=True)
    found = text(people.viewer, "nodes/node-a/what-if/")
    assert "Would wait" in found
    assert "0 of 1 node" in found


def test_an_empty_node_would_be_missed_by_nobody(people: Visitors, app: App) -> None:
    assert "No container is on it." in text(people.viewer, "nodes/node-b/what-if/?event=drain")


def test_room_is_a_page_and_a_part_of_one(people: Visitors, app: App) -> None:
    path = "apps/shop/services/web/room/?limit=9"
    whole = text(people.viewer, path)
    part = people.viewer.get(f"/t/ours/{path}", headers={**HTMX, "HX-Target": "room"}).content.decode()
    assert ("<html" in whole, "<html" in part) == (True, False)
    for found in (whole, part):
        assert '<strong class="num">6</strong>' in found
        assert "The next one would wait:" in found
        assert 'href="/t/ours/nodes/node-b/"' in found
    assert "as many as were tried" in text(people.viewer, "apps/shop/services/web/room/?limit=2")
    assert '<strong class="num">6</strong>' in text(people.viewer, "apps/shop/services/web/room/?limit=lots")


def test_room_says_where_the_quota_ends(people: Visitors, app: App) -> None:
    containers = use_of(app.team).used.containers
    Quota.objects.create(team=app.team, containers=containers + 1)
    page = text(people.viewer, "apps/shop/services/web/room/?limit=9")
    assert '<strong class="num">1</strong> more replica fits now' in page
    assert "quota does not allow this" in page


def test_room_of_a_release_that_is_not_ready_says_so(people: Visitors) -> None:
    factories.make_app(people.access, "new", compose=COMPOSE)
    assert "in no release whose images are known" in text(people.viewer, "apps/new/services/web/room/")


def test_a_rebalance_is_looked_at_and_then_made(people: Visitors, app: App) -> None:
    assert 'href="/t/ours/rebalance/"' in text(people.owner, "nodes/")
    assert 'href="/t/ours/rebalance/"' not in text(people.developer, "nodes/")
    plan = text(people.owner, "rebalance/")
    assert "node-a" in plan
    assert "Make these moves" in plan
    assert Container.objects.exclude(move_to=None).count() == 0
    value = plan.partition('name="move"')[2].partition('value="')[2].partition('"')[0]
    container, source, target = value.split()
    made = people.owner.post("/t/ours/rebalance/moves/", {"move": value}, follow=True).content.decode()
    assert "1 move is being made." in made
    assert "1 move is under way." in made
    moving = Container.objects.exclude(move_to=None).get()
    assert (moving.id, moving.node_id, moving.move_to_id) == (container, source, target)
    assert "moving to node-b" in text(people.viewer, "apps/shop/")
    again = people.owner.post("/t/ours/rebalance/moves/", {"move": value}, follow=True).content.decode()
    assert "1 move was skipped: It is on its way already." in again


def test_a_rebalance_takes_its_bounds(people: Visitors, app: App) -> None:
    assert "Nothing is worth a move" in text(people.owner, "rebalance/?budget=5&gain=900")
    wrong = people.owner.get("/t/ours/rebalance/?budget=0&gain=1")
    assert wrong.status_code == 422
    assert 'id="id_budget-error"' in wrong.content.decode()


def test_moves_that_are_none_change_nothing(people: Visitors, app: App) -> None:
    answer = people.owner.post("/t/ours/rebalance/moves/", {"move": "one two"}, follow=True)
    assert "This is no move of a plan." in answer.content.decode()
    assert Container.objects.exclude(move_to=None).count() == 0


def test_only_administrators_rebalance(people: Visitors, app: App) -> None:
    assert people.developer.get("/t/ours/rebalance/").status_code == 403
    assert people.stranger.get("/t/ours/rebalance/").status_code == 404
