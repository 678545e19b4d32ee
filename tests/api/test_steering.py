from __future__ import annotations

import pytest

from console.common.models import Dirty
from console.workloads.models import App, Operation, Service
from tests import factories
from tests.api.caller import People

SHOP = "/teams/home/apps/shop"
WEB = f"{SHOP}/services/web"


@pytest.fixture
def app(people: People) -> App:
    made = factories.make_app(people.access, "shop")
    Dirty.objects.all().delete()
    return made


def test_scaling_is_no_release(people: People, app: App) -> None:
    answer = people.developer.post(f"{WEB}/scale", {"replicas": 3})
    operation = answer.body["operation"]
    assert (answer.status, operation["kind"], operation["target"]) == (202, "scale", "web")
    assert answer.headers["Location"].endswith(f"/operations/{operation['id']}")
    body = people.viewer.get(SHOP).body["app"]
    assert (body["desired"]["replicas"], body["desired"]["release"]) == (3, 1)
    assert list(Dirty.objects.values_list("app_id", flat=True)) == [app.id]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "body", [{"replicas": -1}, {"replicas": 1001}, {"replicas": None}, {"replicas": 1.5}, {}]
)
def test_wrong_scales_name_the_field(people: People, app: App, body: dict[str, object]) -> None:
    answer = people.owner.post(f"{WEB}/scale", body)
    assert (answer.status, list(answer.error["fields"])) == (400, ["replicas"])
    assert Service.objects.get(app=app).replicas == 1


def test_a_service_stops_and_starts(people: People, app: App) -> None:
    assert people.developer.post(f"{WEB}/stop").body["operation"]["kind"] == "stop"
    desired = people.viewer.get(SHOP).body["app"]["services"][0]["desired"]
    assert (desired["replicas"], desired["scale"], desired["stopped"]) == (0, 1, True)
    assert people.developer.post(f"{WEB}/start").body["operation"]["kind"] == "start"
    assert people.viewer.get(SHOP).body["app"]["services"][0]["desired"]["replicas"] == 1


def test_an_app_stops_and_starts(people: People, app: App) -> None:
    assert people.developer.post(f"{SHOP}/stop").body["operation"]["target"] == ""
    assert people.viewer.get(SHOP).body["app"]["desired"]["stopped"] is True
    assert people.developer.post(f"{SHOP}/start").status == 202
    assert people.viewer.get(SHOP).body["app"]["desired"]["stopped"] is False


@pytest.mark.parametrize(("path", "target"), [(SHOP, ""), (WEB, "web")])
def test_a_restart_is_asked_for(people: People, app: App, path: str, target: str) -> None:
    operation = people.developer.post(f"{path}/restart").body["operation"]
    assert (operation["kind"], operation["target"]) == ("restart", target)
    assert Service.objects.get(app=app).restart_at is not None


def test_viewers_and_outsiders_steer_nothing(people: People, app: App) -> None:
    before = Operation.objects.count()
    for path in (SHOP, WEB):
        for action in ("restart", "stop", "start"):
            assert people.viewer.post(f"{path}/{action}").error["code"] == "forbidden"
            people.assert_outside("POST", f"{path}/{action}")
    assert people.viewer.post(f"{WEB}/scale", {"replicas": 2}).status == 403
    people.assert_outside("POST", f"{WEB}/scale", {"replicas": 2})
    assert Operation.objects.count() == before


def test_an_unknown_service_and_unknown_input(people: People, app: App) -> None:
    for action in ("scale", "restart", "stop", "start"):
        body = {"replicas": 1} if action == "scale" else {}
        assert people.owner.post(f"{SHOP}/services/db/{action}", body).status == 404
    assert list(people.owner.post(f"{WEB}/restart", {"force": True}).error["fields"]) == ["force"]
