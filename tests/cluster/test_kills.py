"""Any one process is killed in mid-deploy: after its restart there is exactly what was wanted."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import redis

from lab import programs
from lab.processes import wait_until
from lab.state import Run
from tests.cluster.conftest import Cluster

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

REPLICAS = 6


def test_six_replicas_run_two_on_each_of_three_nodes(cluster: Cluster) -> None:
    app = cluster.deploy("spread", REPLICAS)["app"]["id"]
    assert cluster.settles(app, REPLICAS), cluster.lab.report()
    assert Counter(node for node, _slot, _state in cluster.containers(app)) == {
        "node-1": 2,
        "node-2": 2,
        "node-3": 2,
    }


@pytest.mark.parametrize("after", [0.05, 0.6])
@pytest.mark.parametrize("victim", ["web", "controller", "worker", "agent-1", "redis"])
def test_killed_in_mid_deploy(cluster: Cluster, victim: str, after: float) -> None:
    app = cluster.deploy("killed", REPLICAS)["app"]["id"]
    time.sleep(after)
    cluster.lab.kill(victim)
    time.sleep(1.0)
    cluster.lab.start_one(victim)
    assert cluster.settles(app, REPLICAS), cluster.lab.report()


@pytest.mark.parametrize("after", [0.05, 0.6])
def test_redis_wiped_in_mid_deploy(cluster: Cluster, after: float) -> None:
    app = cluster.deploy("wiped", REPLICAS)["app"]["id"]
    time.sleep(after)
    redis.Redis.from_url(cluster.lab.redis.admin_url).flushall()
    assert cluster.settles(app, REPLICAS), cluster.lab.report()


def test_a_standby_controller_takes_over_within_ten_seconds(cluster: Cluster, run: Run) -> None:
    lab = cluster.lab
    standby = run.process("standby", programs.controller(), env=lab.console.env, cwd=programs.ROOT)
    standby.start()
    try:
        # As long as a controller without a rival takes to lead, and more.
        assert not wait_until(lambda: "Leading" in standby.tail(50), 8.0, every=0.2)
        lab.kill("controller")
        killed = time.monotonic()
        assert wait_until(lambda: "Leading" in standby.tail(50), 20.0, every=0.1), standby.tail(20)
        assert time.monotonic() - killed < 10.0
        app = cluster.deploy("heir", 2)["app"]["id"]
        assert cluster.settles(app, 2), standby.tail(20)
    finally:
        standby.stop()


def test_a_container_removed_by_hand_comes_back(cluster: Cluster) -> None:
    app = cluster.deploy("hand", 3)["app"]["id"]
    assert cluster.settles(app, 3), cluster.lab.report()
    node, slot, _state = cluster.containers(app)[0]
    cluster.remove_by_hand(node, slot)
    assert wait_until(lambda: cluster.generation(app, slot) == 2, 30.0, every=0.2), cluster.lab.report()
    assert cluster.settles(app, 3), cluster.lab.report()
