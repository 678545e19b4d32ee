from __future__ import annotations

import pytest
from django.test import Client

from console.workloads.models import App, Release, Service
from tests import factories
from tests.web.conftest import Visitors

ACTIONS = [
    "compose/",
    "redeploy/",
    "restart/",
    "stop/",
    "start/",
    "delete/",
    "roll-back/",
    "services/web/scale/",
    "services/web/restart/",
    "services/web/stop/",
    "services/web/start/",
    "rollout/pause/",
    "rollout/resume/",
    "rollout/cancel/",
]


@pytest.fixture
def app(people: Visitors) -> App:
    app = factories.make_app(people.access, "shop")
    factories.make_ready(Release.objects.get(app=app))
    factories.make_container(app, factories.make_node("node-a"))
    return app


def page(client: Client, path: str = "") -> str:
    return client.get(f"/t/ours/apps/shop/{path}").content.decode()


@pytest.mark.thorough
@pytest.mark.parametrize("action", ACTIONS)
def test_viewers_and_strangers_change_nothing(people: Visitors, app: App, action: str) -> None:
    before = Release.objects.count()
    assert (
        people.viewer.post(
            f"/t/ours/apps/shop/{action}",
            {"replicas": "3", "release": "1", "confirm": "shop", "compose": factories.COMPOSE},
        ).status_code
        == 403
    )
    assert people.stranger.post(f"/t/ours/apps/shop/{action}", {"confirm": "shop"}).status_code == 404
    assert people.owner.get(f"/t/ours/apps/shop/{action}").status_code == (
        200 if action == "compose/" else 405
    )
    app.refresh_from_db()
    assert (app.stopped, app.deleting, Release.objects.count(), Service.objects.get().replicas) == (
        False,
        False,
        before,
        1,
    )


@pytest.mark.parametrize("tab", ["", "releases/", "compose/"])
def test_viewers_see_no_way_to_change_it(people: Visitors, app: App, tab: str) -> None:
    forms = 'method="post" action="/t/ours/apps/shop'
    assert forms in page(people.developer, "")
    assert forms not in page(people.viewer, tab)
    assert "delete-app" not in page(people.viewer, tab)


def test_its_containers_and_where_they_are_published(people: Visitors, app: App) -> None:
    text = page(people.viewer)
    assert 'href="http://10.0.0.1:30001"' in text
    assert "node-a" in text
    assert "1 of 1 well" in text


def test_scaling(people: Visitors, app: App) -> None:
    people.developer.post("/t/ours/apps/shop/services/web/scale/", {"replicas": "3"})
    assert Service.objects.get().replicas == 3
    for wrong in ("", "-1", "lots", "100000"):
        answer = people.owner.post("/t/ours/apps/shop/services/web/scale/", {"replicas": wrong}, follow=True)
        assert "note tone-danger" in answer.content.decode()
    assert Service.objects.get().replicas == 3


def test_stopping_and_starting(people: Visitors, app: App) -> None:
    people.owner.post("/t/ours/apps/shop/stop/")
    app.refresh_from_db()
    assert app.stopped is True
    assert 'action="/t/ours/apps/shop/start/"' in page(people.owner)
    people.owner.post("/t/ours/apps/shop/start/")
    people.owner.post("/t/ours/apps/shop/services/web/stop/")
    app.refresh_from_db()
    assert (app.stopped, Service.objects.get().stopped) == (False, True)


def test_a_changed_file_is_the_next_release(people: Visitors, app: App) -> None:
    text = "services:\n  web:\n    image: berth/demo:2\n"
    answer = people.owner.post("/t/ours/apps/shop/compose/", {"compose": text, "variables": ""})
    assert answer.headers["location"] == "/t/ours/apps/shop/"
    assert [
        (one.number, one.project.services["web"].image) for one in Release.objects.order_by("number")
    ] == [
        (1, "berth/demo"),
        (2, "berth/demo:2"),
    ]
    diff = page(people.viewer, "releases/?from=1&to=2")
    assert '<span class="add">+    image: berth/demo:2</span>' in diff


def test_a_wrong_file_makes_no_release(people: Visitors, app: App) -> None:
    answer = people.owner.post("/t/ours/apps/shop/compose/", {"compose": "services:\n  web:\n    imag: x\n"})
    assert answer.status_code == 422
    assert 'data-line="3"' in answer.content.decode() or 'data-line="2"' in answer.content.decode()
    assert Release.objects.count() == 1


def test_rolling_back_makes_a_release_of_an_old_one(people: Visitors, app: App) -> None:
    people.owner.post("/t/ours/apps/shop/redeploy/")
    people.owner.post("/t/ours/apps/shop/roll-back/", {"release": "1"})
    assert Release.objects.get(number=3).rolled_back_from == 1
    assert people.owner.post("/t/ours/apps/shop/roll-back/", {"release": "99"}).status_code == 404


def test_deleting_asks_for_the_name_and_about_volumes(people: Visitors, app: App) -> None:
    people.owner.post("/t/ours/apps/shop/delete/", {"confirm": "sho"})
    app.refresh_from_db()
    assert app.deleting is False
    answer = people.owner.post("/t/ours/apps/shop/delete/", {"confirm": "shop", "volumes": "delete"})
    app.refresh_from_db()
    assert (answer.headers["location"], app.deleting, app.delete_volumes) == ("/t/ours/apps/", True, True)


def test_an_action_without_its_token_is_refused(people: Visitors, app: App) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people.access.user)
    assert strict.post("/t/ours/apps/shop/stop/").status_code == 403
    app.refresh_from_db()
    assert app.stopped is False


def test_a_rollout_is_held_and_goes_on(people: Visitors, app: App) -> None:
    people.developer.post("/t/ours/apps/shop/rollout/pause/")
    text = page(people.developer)
    assert 'action="/t/ours/apps/shop/rollout/resume/"' in text
    assert 'action="/t/ours/apps/shop/rollout/pause/"' not in text
    people.developer.post("/t/ours/apps/shop/rollout/resume/")
    assert 'action="/t/ours/apps/shop/rollout/pause/"' in page(people.developer)
    assert "Rollout of release 1" in page(people.viewer)
    assert "shop/rollout/pause/" not in page(people.viewer)


def test_a_first_rollout_cannot_be_cancelled_and_says_why(people: Visitors, app: App) -> None:
    answer = people.owner.post("/t/ours/apps/shop/rollout/cancel/", follow=True)
    assert "No earlier release was rolled out well." in answer.content.decode()
    assert Release.objects.count() == 1


def test_the_overview_names_the_networks_and_who_is_on_them(people: Visitors) -> None:
    compose = (
        "services:\n  web: {image: berth/demo, networks: [front, back]}\n  db: {image: berth/demo, networks: [back]}\n"
        "networks:\n  front:\n  back: {internal: true}\n"
    )
    factories.make_app(people.access, "shop", compose=compose)
    shown = " ".join(page(people.viewer).split())
    assert any(
        f'<div>back <span class="chip">internal</span> <span class="muted small">· {who}</span></div>'
        in shown
        for who in ("web, db", "db, web")
    )
    assert '<div>front <span class="muted small">· web</span></div>' in shown
    assert "Names reach the containers of one node." in shown
