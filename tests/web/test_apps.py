from __future__ import annotations

import pytest
from django.utils import timezone

from console.workloads.enums import RolloutState
from console.workloads.models import App, Release, Rollout
from console.workloads.summaries import STEADY
from tests import factories
from tests.web.conftest import Visitors

IMAGE = {
    "name": "shop",
    "image": "berth/demo",
    "port": "80",
    "replicas": "2",
    "environment": "A=1\nB=two words",
}
COMPOSE = "services:\n  web:\n    image: berth/demo\n"


def test_an_app_from_an_image(people: Visitors) -> None:
    answer = people.developer.post("/t/ours/apps/new/", IMAGE)
    assert answer.headers["location"] == "/t/ours/apps/shop/"
    web = Release.objects.get(app__name="shop").project.services["web"]
    assert (web.image, web.replicas, web.environment) == ("berth/demo", 2, {"A": "1", "B": "two words"})
    assert [port.container for port in web.ports] == [80]


def test_a_dollar_sign_in_a_value_stays_one(people: Visitors) -> None:
    people.owner.post("/t/ours/apps/new/", {**IMAGE, "environment": "PRICE=$5 ${HOME}"})
    assert Release.objects.get().project.services["web"].environment == {"PRICE": "$5 ${HOME}"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Not A Name"),
        ("name", ""),
        ("image", "UPPER/case"),
        ("image", ""),
        ("port", "70000"),
        ("replicas", "-1"),
        ("environment", "no equals sign"),
    ],
)
def test_wrong_input_is_said_at_its_field(people: Visitors, field: str, value: str) -> None:
    answer = people.owner.post("/t/ours/apps/new/", {**IMAGE, field: value})
    assert answer.status_code == 422
    assert f'id="id_{field}-error"' in answer.content.decode()
    assert App.objects.count() == 0


def test_a_taken_name_is_said_at_the_name(people: Visitors) -> None:
    factories.make_app(people.access, "shop")
    answer = people.owner.post("/t/ours/apps/new/", IMAGE)
    assert answer.status_code == 422
    assert 'id="id_name-error"' in answer.content.decode()
    assert App.objects.count() == 1


def test_an_app_from_a_compose_file(people: Visitors) -> None:
    files = {"file_path": ["./app.env"], "file_text": ["GREETING=hello\r\n"]}
    text = "services:\n  web:\n    image: ${IMAGE}\n    env_file: ./app.env\n"
    answer = people.owner.post(
        "/t/ours/apps/new/compose/",
        {"name": "shop", "compose": text, "variables": "IMAGE=berth/demo", **files},
    )
    assert answer.headers["location"] == "/t/ours/apps/shop/"
    release = Release.objects.get()
    assert release.files == {"./app.env": "GREETING=hello\n"}
    web = release.project.services["web"]
    assert (web.image, web.environment) == ("berth/demo", {"GREETING": "hello"})


def test_problems_of_the_file_are_said_at_their_lines(people: Visitors) -> None:
    text = "services:\n  web:\n    image: berth/demo\n    privileged: true\n"
    page = people.owner.post("/t/ours/apps/new/compose/", {"name": "shop", "compose": text}).content.decode()
    assert 'data-line="4"' in page
    assert '"line": 4, "severity": "error"' in page
    assert "privileged" in page
    assert App.objects.count() == 0


def test_what_was_typed_is_still_there_after_an_error(people: Visitors) -> None:
    sent = {
        "name": "shop",
        "compose": "nonsense: [",
        "variables": "A=1",
        "file_path": ["x.env"],
        "file_text": ["B=2"],
    }
    page = people.owner.post("/t/ours/apps/new/compose/", sent).content.decode()
    assert [text in page for text in ("nonsense: [", "A=1", 'value="x.env"', "B=2")] == [True] * 4


def test_viewers_and_strangers_deploy_nothing(people: Visitors) -> None:
    for address in ("/t/ours/apps/new/", "/t/ours/apps/demo/deploy/"):
        assert people.viewer.post(address, IMAGE).status_code == 403
        assert people.stranger.post(address, IMAGE).status_code == 404
    assert App.objects.count() == 0


def test_the_first_step_is_the_demo(people: Visitors) -> None:
    assert "/t/ours/apps/demo/deploy/" in people.owner.get("/t/ours/").content.decode()
    assert "/t/ours/apps/demo/deploy/" not in people.viewer.get("/t/ours/").content.decode()
    answer = people.owner.post("/t/ours/apps/demo/deploy/")
    assert answer.headers["location"] == "/t/ours/apps/demo/"
    assert Release.objects.get().project.services["web"].image == "berth/demo"
    assert "/t/ours/apps/demo/deploy/" not in people.owner.get("/t/ours/").content.decode()


def test_the_list_can_be_searched(people: Visitors) -> None:
    for name in ("shop", "wiki"):
        factories.make_app(people.access, name)
    page = people.owner.get("/t/ours/apps/?q=WIK").content.decode()
    assert ("/t/ours/apps/wiki/" in page, "/t/ours/apps/shop/" in page) == (True, False)
    assert "No app matches" in people.owner.get("/t/ours/apps/?q=zzz").content.decode()


def test_an_app_named_like_a_page_is_reached_by_its_id(people: Visitors) -> None:
    app = factories.make_app(people.access, "new")
    page = people.owner.get("/t/ours/apps/").content.decode()
    assert f'href="/t/ours/apps/{app.id}/"' in page
    assert people.owner.get(f"/t/ours/apps/{app.id}/").status_code == 200


def test_the_overview_names_what_restarts_again_and_again_and_rollouts_that_failed(people: Visitors) -> None:
    node = factories.make_node()
    shop, calm, failed = (factories.make_app(people.access, name) for name in ("shop", "calm", "failed"))
    long_ago = timezone.now() - 2 * STEADY
    unsteady = factories.make_container(shop, node, restarts=3)
    factories.make_container(calm, node, restarts=3, started_at=long_ago)
    factories.make_container(failed, node, started_at=long_ago)
    reason = "web.1 exited with code 3"
    Rollout.objects.filter(app=failed).update(state=RolloutState.FAILED, reason=reason)
    glance = people.owner.get(
        "/t/ours/", headers={"HX-Request": "true", "HX-Target": "glance"}
    ).content.decode()
    assert f"{unsteady.name}: 3 restarts" in glance
    assert reason in glance
    assert "/t/ours/apps/calm/" not in glance
