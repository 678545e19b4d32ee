from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from console.workloads.enums import ContainerState
from console.workloads.models import App, Release, Volume
from tests import factories
from tests.api.caller import Caller, People

HOME = "/teams/home"


@pytest.fixture
def app(people: People) -> App:
    found = factories.make_app(people.access, "shop")
    factories.make_ready(Release.objects.get(app=found))
    return found


def kept(people: People) -> Volume:
    app = factories.make_app(people.access, "gone")
    volume = factories.make_volume(app, factories.make_node("n2"), kept_at=timezone.now())
    app.delete()
    return volume


def names(answer: Any) -> list[tuple[str, str, bool]]:
    return [(one["app"], one["name"], one["kept"]) for one in answer.body["items"]]


def test_all_volumes_are_listed_also_those_without_an_app(people: People, app: App) -> None:
    kept(people)
    factories.make_volume(app, name="other")
    factories.make_volume(app)
    theirs = factories.make_app(factories.make_member(factories.make_team()), "theirs")
    factories.make_volume(theirs)
    listed = people.viewer.get(f"{HOME}/volumes")
    assert names(listed) == [("gone", "data", True), ("shop", "data", False), ("shop", "other", False)]
    page = people.viewer.get(f"{HOME}/volumes?limit=2")
    assert (names(page), page.body["next"] is None) == (names(listed)[:2], False)
    assert names(people.viewer.get(f"{HOME}/apps/shop/volumes")) == names(listed)[1:]


def test_a_volume_says_where_it_is_how_large_and_who_has_it(people: People, app: App) -> None:
    node, now = factories.make_node("n1"), timezone.now()
    volume = factories.make_volume(app, node, bytes=5000, measured_at=now)
    factories.make_container(app, node, volumes=[volume.key])
    body = people.viewer.get(f"{HOME}/volumes/{volume.id}").body
    assert body.pop("created_at")
    assert body.pop("measured_at") == body.pop("observed_at") == now.isoformat().replace("+00:00", "Z")
    assert (body.pop("desired"), body.pop("observed")) == (
        {"deleting": False, "forget": False},
        {"bytes": 5000},
    )
    assert body == {
        "id": volume.id,
        "name": "data",
        "app": "shop",
        "kept": False,
        "kept_at": None,
        "node": {"id": node.id, "name": "n1"},
        "engine_name": f"berth-{app.id}-data",
        "bytes": 5000,
        "services": ["web"],
        "containers": ["shop-web-1"],
        "deleting": False,
        "why_not": "shop-web-1 still has it. Stop the app, and wait until it is stopped.",
    }
    assert people.viewer.get(f"{HOME}/apps/shop").body["volumes"][0]["bytes"] == 5000


def test_the_guards(people: People, app: App) -> None:
    """A container that has ended holds its volume until it is removed from its node."""
    node = factories.make_node("n1")
    volume = factories.make_volume(app, node)
    path = f"{HOME}/volumes/{volume.id}"
    container = factories.make_container(app, node, volumes=[volume.key], state=ContainerState.EXITED)
    refused = people.developer.delete(path)
    assert (refused.status, refused.error["code"]) == (409, "volume_in_use")
    assert refused.error["data"]["containers"] == ["shop-web-1"]
    container.removed_at = timezone.now()
    container.save()
    refused = people.developer.delete(path)
    assert (refused.status, refused.error["code"]) == (409, "volume_wanted")
    App.objects.filter(pk=app.pk).update(stopped=True)
    answer = people.developer.delete(path)
    operation = answer.body["operation"]
    assert (answer.status, operation["kind"], operation["target"]) == (202, "volume", "data")
    assert people.viewer.get(path).body["deleting"] is True
    again = people.developer.delete(path)
    assert (again.status, again.body["operation"]["id"]) == (202, operation["id"])
    events = people.viewer.get(f"{HOME}/apps/shop/events").body["items"]
    assert events[0]["message"] == "Volume shop/data on n1 is to be deleted for good"


def test_a_kept_volume_can_be_deleted_by_those_who_may_write(people: People) -> None:
    volume = kept(people)
    path = f"{HOME}/volumes/{volume.id}"
    assert people.viewer.delete(path).status == 403
    people.assert_outside("DELETE", path)
    assert people.developer.delete(path).status == 202
    assert people.developer.get(f"{HOME}/volumes/nothing").status == 404


def test_only_an_administrator_forgets_and_only_a_lost_one(people: People, administrator: Caller) -> None:
    volume = kept(people)
    path = f"{HOME}/volumes/{volume.id}?forget=true"
    assert people.owner.delete(path).status == 403
    assert administrator.delete(path).error["code"] == "node_answers"
    assert volume.node is not None
    volume.node.state = "down"
    volume.node.save()
    assert administrator.delete(path).status == 202
    volume.refresh_from_db()
    assert (volume.deleting, volume.forget) == (True, True)


def test_the_list_takes_as_many_queries_for_many_apps(
    people: People, app: App, django_assert_max_num_queries: Any
) -> None:
    node = factories.make_node("n1")
    factories.make_volume(app, node)
    for number in range(8):
        other = factories.make_app(people.access, f"app{number}")
        volume = factories.make_volume(other, node)
        factories.make_container(other, node, volumes=[volume.key])
    with django_assert_max_num_queries(9):
        assert len(people.viewer.get(f"{HOME}/volumes").body["items"]) == 9
