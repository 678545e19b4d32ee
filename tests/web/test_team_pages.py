"""What holds for every page of a team."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from console.cluster.enums import NodeState
from console.webhooks.enums import DeliveryState, WebhookState
from console.workloads import enums
from tests import factories
from tests.web.conftest import Visitors

PAGES = [
    "",
    "apps/",
    "apps/shop/",
    "apps/shop/releases/",
    "apps/shop/releases/?from=1&to=1",
    "apps/shop/logs/",
    "apps/shop/metrics/",
    "apps/shop/events/",
    "apps/shop/compose/",
    "apps/shop/services/web/",
    "apps/shop/services/web/slots/1/",
    "nodes/",
    "nodes/node-a/",
    "events/",
    "settings/",
    "volumes/",
]
WRITE_PAGES = ["apps/new/", "apps/new/compose/"]


class Elements(HTMLParser):
    """All start tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def filled(people: Visitors) -> Visitors:
    node = factories.make_node("node-a")
    app = factories.make_app(people.access, "shop")
    factories.make_container(app, node)
    return people


@pytest.mark.parametrize("page", PAGES)
def test_members_see_it_strangers_do_not(filled: Visitors, page: str) -> None:
    address = f"/t/ours/{page}"
    assert filled.owner.get(address).status_code == 200
    assert filled.viewer.get(address).status_code == 200
    assert filled.stranger.get(address).status_code == 404
    assert filled.nobody.get(address).headers["location"].startswith("/sign-in/?next=")


@pytest.mark.parametrize("page", WRITE_PAGES)
def test_viewers_may_not_write(filled: Visitors, page: str) -> None:
    assert filled.developer.get(f"/t/ours/{page}").status_code == 200
    refusal = filled.viewer.get(f"/t/ours/{page}")
    assert refusal.status_code == 403
    assert "Ask an owner" in refusal.content.decode()


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES + WRITE_PAGES)
def test_it_needs_nothing_that_the_policy_forbids(filled: Visitors, page: str) -> None:
    answer = filled.owner.get(f"/t/ours/{page}")
    elements = Elements(answer.content.decode()).found
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert [tag for tag, attrs in elements if tag == "style" or "style" in attrs] == []
    assert [
        attrs
        for tag, attrs in elements
        if tag == "script" and not attrs.get("src") and attrs.get("type") != "application/json"
    ] == []
    assert [name for _tag, attrs in elements for name in attrs if name.startswith("on")] == []
    outside = [
        attrs
        for _tag, attrs in elements
        for key in ("src", "action")
        if (attrs.get(key) or "").startswith(("http", "//"))
    ]
    assert outside == []


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES + WRITE_PAGES)
def test_ids_are_unique_and_labels_lead_somewhere(filled: Visitors, page: str) -> None:
    elements = Elements(filled.owner.get(f"/t/ours/{page}").content.decode()).found
    ids = [name for _tag, attrs in elements if (name := attrs.get("id"))]
    assert sorted(ids) == sorted(set(ids))
    labelled = [attrs["for"] for tag, attrs in elements if tag == "label" and "for" in attrs]
    assert [name for name in labelled if name not in ids] == []


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES)
def test_a_live_region_comes_alone_and_as_it_is_on_the_page(filled: Visitors, page: str) -> None:
    address = f"/t/ours/{page}"
    whole = filled.owner.get(address).content.decode()
    regions = [attrs["id"] or "" for _tag, attrs in Elements(whole).found if "data-live" in attrs]
    for region in regions:
        part = filled.owner.get(address, headers={"HX-Request": "true", "HX-Target": region}).content.decode()
        first = Elements(part).found[0][1]
        assert first["id"] == region
        assert first["hx-get"] == address
        assert "<html" not in part
    assert regions or page in ("apps/shop/compose/", "settings/")


def test_an_unknown_region_gets_the_whole_page(filled: Visitors) -> None:
    answer = filled.owner.get("/t/ours/", headers={"HX-Request": "true", "HX-Target": "nothing"})
    assert "<html" in answer.content.decode()
    assert {"HX-Request", "HX-Target"} <= {word.strip() for word in answer.headers["Vary"].split(",")}


def test_a_region_of_a_lost_session_reloads_the_page(filled: Visitors) -> None:
    answer = filled.nobody.get("/t/ours/", headers={"HX-Request": "true", "HX-Target": "apps"})
    assert answer.headers["HX-Refresh"] == "true"


def test_every_status_has_an_icon_of_the_sprite() -> None:
    sprite = Path(str(finders.find("icons.svg"))).read_text()
    statuses = [
        *NodeState, *enums.AppState, *enums.ContainerState, *enums.Health,
        *enums.ReleaseState, *enums.RolloutState, *enums.OperationState, *WebhookState, *DeliveryState,
    ]  # fmt: skip
    assert [one.icon for one in statuses if f'id="{one.icon}"' not in sprite] == []
    assert {one.tone for one in statuses} <= {"success", "info", "warning", "danger", "muted"}


@pytest.mark.thorough
@pytest.mark.parametrize("page", PAGES + WRITE_PAGES + ["../../components/"])
def test_every_icon_is_in_the_sprite(filled: Visitors, page: str) -> None:
    sprite = Path(str(finders.find("icons.svg"))).read_text()
    address = "/components/" if "components" in page else f"/t/ours/{page}"
    elements = Elements(filled.owner.get(address).content.decode()).found
    names = {(attrs["href"] or "").partition("#")[2] for tag, attrs in elements if tag == "use"}
    assert [name for name in names if f'id="{name}"' not in sprite] == []


def test_an_address_that_is_none_is_a_page_too(filled: Visitors) -> None:
    answer = filled.owner.get("/t/ours/apps/none/")
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.content.decode()
