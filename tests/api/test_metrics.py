from __future__ import annotations

import pytest

from console.cluster import looks
from console.common import redis as keys
from console.workloads import metrics
from lab.redis_server import RedisServer
from tests import factories
from tests.api.caller import People
from tests.live.conftest import with_redis
from tests.workloads.metrics.helpers import MIB, keep, sample

__all__ = ["with_redis"]

HOME = "/teams/home"
SHOP = f"{HOME}/apps/shop"
TWO = """\
services:
  web: {image: berth/demo, deploy: {replicas: 3}}
  db: {image: berth/demo}
"""
ALL = [
    f"{HOME}/metrics",
    f"{SHOP}/metrics",
    f"{SHOP}/services/web/metrics",
    f"{SHOP}/services/web/slots/1/metrics",
    f"{HOME}/nodes/n1/metrics",
]


@pytest.fixture
def recorded(people: People, with_redis: RedisServer) -> None:
    """web.1 uses 100 and web.2 200 thousandths of a core, web.3 nothing yet, db.1 a thousand."""
    app, node = factories.make_app(people.access, "shop", compose=TWO), factories.make_node("n1")
    now = int(looks.now()) // 10 * 10
    samples = []
    for service, index, cpu in (("web", 1, 100), ("web", 2, 200), ("db", 1, 1000)):
        container = factories.make_container(app, node, service, index)
        samples.append(sample(container.slot_id, cpu=cpu))
    factories.make_slot(app, "web", 3)
    keep(node.id, now - 8, *samples)
    keys.client().set(keys.RECORDED, now - 20)
    metrics.record_new()


def newest(body: dict[str, object], field: str = "cpu") -> dict[str, object]:
    found = body["series"]
    assert isinstance(found, list)
    return {one["name"]: next((n for n in reversed(one[field]) if n is not None), None) for one in found}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{HOME}/metrics", {"shop": 1300}),
        (f"{HOME}/metrics?by=team", {"home": 1300}),
        (f"{SHOP}/metrics", {"web": 300, "db": 1000}),
        (f"{SHOP}/metrics?by=app&range=7d", {"shop": 1300}),
        (f"{SHOP}/metrics?by=slot&range=24h", {"db.1": 1000, "web.1": 100, "web.2": 200}),
        (f"{SHOP}/services/web/metrics", {"web.1": 100, "web.2": 200}),
        (f"{SHOP}/services/web/metrics?by=service", {"web": 300}),
        (f"{SHOP}/services/web/slots/2/metrics", {"web.2": 200}),
        (f"{SHOP}/services/web/slots/3/metrics", {"web.3": None}),
        (f"{HOME}/nodes/n1/metrics", {"n1": 500}),
    ],
)
def test_use_is_shown_by_what_is_asked_for(
    people: People, recorded: None, path: str, expected: dict[str, float]
) -> None:
    answer = people.viewer.get(path)
    assert (answer.status, newest(answer.body)) == (200, expected)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("query", "step", "count"),
    [("", 10, 360), ("?range=24h", 60, 1440), ("?range=7d", 600, 1008), ("?range=2h", 60, 120),
     ("?range=1h&step=60", 60, 60), ("?range=90", 10, 9)],
)  # fmt: skip
def test_a_range_has_the_finest_steps_that_are_kept(
    people: People, recorded: None, query: str, step: int, count: int
) -> None:
    body = people.viewer.get(f"{SHOP}/metrics{query}").body
    assert (body["step"], len(body["at"]), body["at"][1] - body["at"][0]) == (step, count, step)
    assert {len(body["series"][0][field]) for field in ("cpu", "memory_max", "block_write")} == {count}


def test_memory_is_in_bytes_and_the_unknown_is_null(people: People, recorded: None) -> None:
    (one,) = people.viewer.get(f"{SHOP}/metrics?by=app").body["series"]
    assert {number for number in one["memory"] if number is not None} == {150 * MIB}
    assert one["memory"][0] is None


def test_the_busiest_are_shown_and_the_others_counted(people: People, recorded: None) -> None:
    body = people.viewer.get(f"{SHOP}/metrics?by=slot&limit=2").body
    assert (list(newest(body)), body["left_out"]) == (["db.1", "web.2"], 1)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("query", "field"),
    [("range=8d", "range"), ("range=5s", "range"), ("range=yesterday", "range"), ("step=30", "step"),
     ("range=24h&step=10", "step"), ("by=node", "by"), ("limit=0", "limit"), ("steps=10", "steps")],
)  # fmt: skip
def test_a_wrong_question_names_its_field(people: People, recorded: None, query: str, field: str) -> None:
    answer = people.viewer.get(f"{SHOP}/metrics?{query}")
    assert (answer.status, list(answer.error["fields"])) == (400, [field])


@pytest.mark.parametrize("path", ALL)
def test_metrics_say_that_they_are_away_with_redis(people: People, path: str) -> None:
    factories.make_container(factories.make_app(people.access, "shop"), factories.make_node("n1"))
    answer = people.viewer.get(path)
    assert (answer.status, answer.error["code"]) == (503, "redis_away")
    people.assert_outside("GET", path)
