from __future__ import annotations

from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import Quota
from console.web.explaining import number
from console.web.words import update_words
from console.workloads.compose.model import Update
from console.workloads.models import App, Explanation, Slot
from tests import factories
from tests.web.conftest import Visitors

COMPOSE = """\
services:
  web:
    image: berth/demo
    depends_on: {cache: {condition: service_started}}
    deploy:
      replicas: 2
      update_config: {parallelism: 2, order: start-first, delay: 10s, failure_action: rollback}
      placement: {constraints: [node.labels.disk == ssd], max_replicas_per_node: 3}
    x-berth: {priority: 10, disk: 1gb, anti_affinity: [{service: web, required: true}]}
  cache:
    image: berth/demo
    deploy: {mode: global}
"""


@pytest.fixture
def app(people: Visitors) -> App:
    Quota.objects.create(team=people.access.team, priority=10)
    return factories.make_app(people.access, "shop", compose=COMPOSE)


def page(client: Client, path: str = "") -> str:
    return unescape(client.get(f"/t/ours/apps/shop/{path}").content.decode())


def explain(slot: Slot, **given: object) -> None:
    values = {"nodes": 2, "fitting": 1, "summary": "node-a: the only one of 2 nodes that fits", **given}
    slot.explanation = Explanation.objects.create(
        app=slot.service.app, service=slot.service.name, at=timezone.now(), **values
    )
    slot.save()


def verdict(name: str, reason: str = "", **scores: float) -> dict[str, object]:
    refusal = {"filter": "memory", "reason": reason, "asked": 2, "free": 1} if reason else None
    return {"node": f"id-{name}", "name": name, "refusal": refusal, "scores": scores}


def test_a_service_says_how_it_is_run(people: Visitors, app: App) -> None:
    text = page(people.viewer, "services/web/")
    for words in (
        "2 at a time, new first, 10 s apart, watched for 5 s, rolls back on failure",
        "1 at a time, new first, watched for 5 s, stops on failure",
        "node.labels.disk == ssd",
        "at most 3 on a node",
        "away from web (node.id), required",
        "cache is up",
        "of disk",
        "priority 10",
    ):
        assert words in text, words
    assert "One replica more" in page(people.developer, "services/web/")
    everywhere = page(people.developer, "services/cache/")
    assert "Global: one on every node that fits" in everywhere
    assert "One replica more" not in everywhere
    assert "How many more fit?" not in everywhere


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (
            Update(parallelism=0, failure_action="continue"),
            "all at once, old stops first, goes on in spite of",
        ),
        (
            Update(monitor=90, max_failure_ratio=0.25),
            "watched for 1 min 30 s, 25% may fail, stops on failure",
        ),
    ],
)
def test_an_update_config_in_words(update: Update, words: str) -> None:
    assert words in update_words(update)


def test_why_a_slot_waits_and_what_would_help(people: Visitors, app: App) -> None:
    slot = factories.make_slot(app, index=2)
    refused = [{"filter": "memory", "reason": "lacks memory", "count": 60, "names": ["node-a", "node-b"]}]
    explain(
        slot,
        nodes=60,
        fitting=0,
        summary="0 of 60 nodes fit: 60 lack memory.",
        remedies=["Ask 1 GiB less memory"],
        refused=refused,
        verdicts=[verdict("node-a", "asks 6 GiB, 5 GiB are free")],
    )
    Slot.objects.filter(pk=slot.pk).update(pending="0 of 60 nodes fit: 60 lack memory.")
    for path in ("", "services/web/"):
        text = page(people.viewer, path)
        assert "0 of 60 nodes fit: 60 lack memory." in text
        assert "Ask 1 GiB less memory" in text
        assert 'href="/t/ours/apps/shop/services/web/slots/2/"' in text
    text = page(people.viewer, "services/web/slots/2/")
    assert "Why it waits" in text
    assert "asks 6 GiB, 5 GiB are free" in text
    assert "Ask 1 GiB less memory" in text
    assert "60 ×" in text
    assert "59 more nodes are not shown." in text


def test_why_a_slot_is_where_it_is(people: Visitors, app: App) -> None:
    node = factories.make_node("node-a")
    slots = [factories.make_container(app, node, index=index).slot for index in (1, 2)]
    chosen = {**verdict("node-a", load=0.25), "node": node.id}
    explain(slots[0], verdicts=[verdict("node-c", load=0.5), chosen, verdict("node-b", "lacks memory")])
    slots[1].explanation, slots[1].scores = slots[0].explanation, {"load": 0.125, "service": -1.0}
    slots[1].save()
    text = page(people.viewer, "services/web/slots/2/")
    assert "decided together with 1 other" in text
    assert "Of the first of them:" in text
    table = text[text.index("<tbody>", text.index('id="placement"')) :]
    assert table.index("node-a") < table.index("node-c") < table.index("node-b")
    first = table[: table.index("</tr>")]
    assert "Chosen" in first
    assert ("0.12" in first, "-0.88" in first, "0.25" in first) == (True, True, False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.5, "1.5"),
        (-0.875, "-0.88"),
        (-2005019.15, "-2,005,019.15"),
        (1e12, "1.0e+12"),
        (0.001, "1.0e-03"),
    ],
)
def test_scores_have_digits_that_tell_something(value: float, text: str) -> None:
    assert number(value) == text


def test_strangers_see_none_of_it(people: Visitors, app: App) -> None:
    factories.make_slot(app)
    for path in ("services/web/", "services/web/slots/1/", "services/web/room/"):
        assert people.stranger.get(f"/t/ours/apps/shop/{path}").status_code == 404
    assert people.viewer.get("/t/ours/apps/shop/services/none/").status_code == 404
    assert people.viewer.get("/t/ours/apps/shop/services/web/slots/9/").status_code == 404
