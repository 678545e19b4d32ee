"""Looks of nodes → points: sums by subject, rates, and what does not count."""

from __future__ import annotations

import msgspec
import pytest

from console.cluster import looks, series
from console.cluster.looks import Look
from console.common import redis as keys
from console.workloads import metrics
from console.workloads.metrics.recording import Owners, points, record_new
from lab.redis_server import RedisServer
from tests import factories
from tests.workloads.metrics.helpers import MIB, keep, look, sample

OWNERS: Owners = {
    ("n1", "s1", 1): ("slot:s1", "service:web", "app:a", "team:t"),
    ("n2", "s2", 3): ("slot:s2", "service:web", "app:a", "team:t"),
}


def values(found: dict[str, list[Look]], subject: str, at: float = 100.0) -> list[float] | None:
    made = points(found, OWNERS, at)
    return [float(made[subject][name][0]) for name in series.FIELDS] if subject in made else None


def test_a_service_is_the_sum_of_its_slots_on_all_nodes() -> None:
    found = {
        "n1": [look(95, sample("s1", cpu=100))],
        "n2": [look(99, sample("s2", 3, cpu=30, memory=10 * MIB))],
    }
    for subject in ("service:web", "app:a", "team:t"):
        assert values(found, subject) == [130, 60 * MIB, 0, 0, 0, 0]
    assert values(found, "slot:s2") == [30, 10 * MIB, 0, 0, 0, 0]


def test_counters_become_rates_and_a_restart_is_no_negative_one() -> None:
    before = sample("s1", net_rx=1000, net_tx=500, block_read=0, block_write=9000)
    now = sample("s1", net_rx=3000, net_tx=600, block_read=100, block_write=0)
    found = {"n1": [look(85, before), look(95, now)]}
    assert values(found, "slot:s1") == [100, 50 * MIB, 200, 10, 10, 0]
    # Its node's CPU and memory are the host's own.
    assert values(found, "node:n1") == [500, 1000 * MIB, 200, 10, 10, 0]


def test_a_late_look_leaves_no_hole_and_an_old_one_counts_for_nothing() -> None:
    found = {"n1": [look(80, sample("s1"))]}
    assert values(found, "slot:s1", 100) is not None
    assert values(found, "slot:s1", 106) is None
    assert values(found, "slot:s1", 79) is None


def test_an_agent_speaks_for_its_own_containers_alone() -> None:
    """Neither another node's slot nor an older generation counts."""
    found = {"n1": [look(99, sample("s2", 3), sample("s1", 2), sample("node:n2"))]}
    assert set(points(found, OWNERS, 100.0)) == {"node:n1"}


@pytest.mark.django_db
def test_what_came_is_recorded_once_and_what_was_missed_is_made_up_for(with_redis: RedisServer) -> None:
    access, node = factories.make_member(factories.make_team()), factories.make_node()
    container = factories.make_container(factories.make_app(access, "shop"), node)
    now = int(looks.now()) // 10 * 10
    for ago in range(60, 0, -10):
        keep(node.id, now - ago + 2, sample(container.slot_id, cpu=600 - ago))
    assert record_new() == 1
    keys.client().set(keys.RECORDED, now - 70)
    assert record_new() in {6, 7}
    assert record_new() in {0, 1}
    history = metrics.of_slot(container.slot, metrics.window(60, 10))
    assert history.step == 10
    # The newest stands twice where a step has begun meanwhile.
    assert sorted({cpu for cpu in history.series[0].cpu if cpu})[-5:] == [550, 560, 570, 580, 590]
    (app,) = metrics.of_team(access.team, metrics.window(86400), by="app", limit=20).series
    assert (app.name, max(peak or 0 for peak in app.cpu_max)) == ("shop", 590)


@pytest.mark.django_db
def test_a_slots_history_goes_on_with_the_next_container(with_redis: RedisServer) -> None:
    access, node = factories.make_member(factories.make_team()), factories.make_node()
    app = factories.make_app(access)
    first, second = (factories.make_container(app, node) for _ in range(2))
    assert first.slot_id == second.slot_id
    now = int(looks.now()) // 10 * 10
    keep(node.id, now - 18, sample(first.slot_id, 1, cpu=10))
    keep(node.id, now - 8, sample(first.slot_id, 1, cpu=10), sample(first.slot_id, 2, cpu=5))
    keys.client().set(keys.RECORDED, now - 30)
    record_new()
    (slot,) = metrics.of_slot(second.slot, metrics.window(60, 10)).series
    assert [cpu for cpu in slot.cpu if cpu][:2] == [10, 15]


@pytest.mark.django_db
def test_what_is_used_now_comes_with_its_counters(with_redis: RedisServer) -> None:
    node = factories.make_node()
    now = looks.now()
    keep(node.id, now - 12, sample("s1", net_rx=0))
    keep(node.id, now - 2, sample("s1", net_rx=5000, cpu_total=7))
    found = metrics.current()["s1", 1]
    assert (found.node, found.use.net_rx, found.sample.cpu_total) == (node.id, 500, 7)


@pytest.mark.django_db
def test_an_agent_of_the_version_before_is_understood(with_redis: RedisServer) -> None:
    """It does not say how much CPU was used in all."""
    node, now = factories.make_node(), looks.now()
    old = {"slot": "s1", "generation": 1, "cpu": 5.0, "memory": 7, "memory_limit": 9}
    message = {"type": "samples", "samples": [old], "node_cpu": 1.0, "node_memory": 2}
    keys.client().rpush(keys.looks_key(node.id), msgspec.msgpack.encode((now - 1, message)))
    found = metrics.current()["s1", 1]
    assert (found.use.cpu, found.sample.cpu_total) == (5.0, 0)
