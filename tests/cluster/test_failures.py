"""Hosts, engines, agents, networks, disks, Redis, PostgreSQL and the console fail; the engines are asked what runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import requirements
from lab.disks import MIB
from lab.eventlog import EventLog
from lab.faults import (
    ConsoleStopped,
    ContainerKilled,
    ContainerRemoved,
    Cut,
    DiskFull,
    Killed,
    Paused,
    PowerCut,
    Stopped,
)
from lab.lab import Lab
from lab.processes import wait_until
from lab.state import Run
from nodeagent.link import SILENCE
from tests.cluster.failing import BOUND, EVERYWHERE, EXCLUSIVE, REPLICAS, STATELESS, Failing, serves
from tests.conftest import require

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

ON_PORT = "services:\n  web:\n    image: berth/demo\n    ports: ['80']\n    deploy: {replicas: %d}\n"
IN_PAIRS = (
    "services:\n  web:\n    image: berth/demo\n"
    "    deploy: {replicas: 6, update_config: {parallelism: 2, monitor: 2s, order: start-first}}\n"
)
VERSION = "    environment: {MESSAGE: second}\n"


@pytest.fixture(scope="module")
def broken_lab() -> Iterator[Lab]:
    """Three nodes with small disks, a console on PostgreSQL: for this file alone."""
    require(requirements.engine() or requirements.redis() or requirements.database())
    with Run.create() as run:
        lab = Lab(run, nodes=3, database="postgres", disk=192 * MIB)
        try:
            lab.start()
            # A console that has just begun trusts no silence yet, and would judge the first fault late.
            time.sleep(8.0)
            yield lab
        finally:
            lab.stop()


@pytest.fixture
def failing(broken_lab: Lab) -> Iterator[Failing]:
    broken_lab.restart_all()
    log = EventLog({host.name: host.engine for host in broken_lab.hosts})
    log.start()
    try:
        newest = broken_lab.api.get("/events?limit=1")["items"]
        yield Failing(broken_lab, log, newest[0]["id"])
    finally:
        log.stop()
        broken_lab.restart_all()
        broken_lab.remove_apps()


def test_a_dead_engine_loses_its_replicas_to_the_others(failing: Failing) -> None:
    app = failing.run("web", STATELESS, REPLICAS)
    engine = Killed(failing.lab, "engine-1")
    engine.inject()
    assert failing.fills(app, REPLICAS, without="node-1"), failing.lab.report()
    assert failing.state_of(1) == "down"
    engine.heal()
    # Live-restore kept the old ones: they are gone, and nothing else is.
    assert failing.settles(app, REPLICAS, 30.0), failing.history()
    assert "node-1" not in {node for nodes in failing.running(app).values() for node in nodes}
    assert failing.node_is(1, "ready")
    assert failing.tells(
        ("node.state", "node-1 is suspect: its engine does not answer"),
        ("node.state", "node-1 is down: its engine does not answer"),
        ("app", "is lost with node node-1"),
        ("app", "placed on node-"),
        ("container", "runs on node-"),
        ("node.state", "node-1 is ready"),
    ), failing.history()


def test_a_cut_node_is_replaced_but_for_its_volumes_and_comes_back_without_what_is_stale(
    failing: Failing,
) -> None:
    base = failing.run("base", BOUND, 1)
    app = failing.run("web", STATELESS, REPLICAS)
    bound, number = failing.started(base), failing.host_of("base/db.1")
    lost = sum(f"node-{number}" in nodes for nodes in failing.running(app).values())
    cable = Cut(failing.lab, number)
    cable.inject()
    long_enough = time.monotonic() + SILENCE + 2.0
    assert failing.fills(app, REPLICAS, without=f"node-{number}"), failing.lab.report()
    # Nobody told the cut node: what it had runs on.
    assert len(failing.running(app)) == REPLICAS
    assert sum(len(nodes) for nodes in failing.running(app).values()) == REPLICAS + lost
    # A link that was cut for less goes on where it was, without a hello.
    time.sleep(max(0.0, long_enough - time.monotonic()))
    cable.heal()
    assert failing.settles(app, REPLICAS, 30.0), failing.history()
    assert failing.node_is(number, "ready")
    assert failing.started(base) == bound
    assert len(failing.runs("base/db.1")) == 1
    assert failing.tells(
        ("node.state", f"node-{number} is suspect: its agent is silent"),
        ("node.state", f"node-{number} is down: its agent has not been heard of"),
        ("app", f"is lost with node node-{number}"),
        ("app", "placed on node-"),
        ("node.hello", f"node-{number} said hello"),
        ("node.state", f"node-{number} is ready"),
    ), failing.history()


def test_a_host_without_power_is_replaced_and_boots_clean(failing: Failing) -> None:
    app = failing.run("web", STATELESS, REPLICAS)
    power = PowerCut(failing.lab, 1)
    power.inject()
    failing.log.went_dark("node-1")
    assert failing.fills(app, REPLICAS, without="node-1"), failing.lab.report()
    power.heal()
    assert failing.node_is(1, "ready"), failing.lab.report()
    assert failing.settles(app, REPLICAS, 30.0), failing.history()
    assert failing.tells(
        ("node.state", "node-1 is down: its agent has not been heard of"),
        ("app", "is lost with node node-1"),
        ("node.state", "node-1 is ready"),
    ), failing.history()


def test_a_killed_agent_costs_no_container(failing: Failing) -> None:
    app = failing.run("web", STATELESS, REPLICAS)
    before = failing.started(app)
    agent = Killed(failing.lab, "agent-1")
    agent.inject()
    time.sleep(2.0)
    agent.heal()
    assert wait_until(lambda: failing.tells(("node.hello", "node-1 said hello")), 20.0, every=0.2)
    assert failing.node_is(1, "ready")
    # As long as a wrong judgement would need to do harm.
    time.sleep(4.0)
    assert failing.started(app) == before
    assert "down" not in " ".join(message for kind, message in failing.history() if kind == "node.state")


@pytest.mark.parametrize("part", ["engine-1", "agent-1"])
def test_what_hangs_counts_as_gone_until_it_moves(failing: Failing, part: str) -> None:
    app = failing.run("web", STATELESS, REPLICAS)
    hung = Paused(failing.lab, part)
    hung.inject()
    try:
        assert failing.fills(app, REPLICAS, without="node-1", timeout=40.0), failing.lab.report()
    finally:
        hung.heal()
    assert failing.settles(app, REPLICAS, 30.0), failing.history()
    assert failing.node_is(1, "ready")
    assert failing.tells(
        ("node.state", "node-1 is suspect"),
        ("node.state", "node-1 is down"),
        ("app", "is lost with node node-1"),
        ("node.state", "node-1 is ready"),
    ), failing.history()


def test_short_stalls_lose_no_node(failing: Failing) -> None:
    app = failing.run("web", STATELESS, REPLICAS)
    before = failing.started(app)
    for part in ("agent-1", "controller", "web", "redis", "engine-3"):
        stall = Paused(failing.lab, part)
        stall.inject()
        time.sleep(2.0)
        stall.heal()
    time.sleep(3.0)
    assert failing.started(app) == before
    assert "down" not in " ".join(message for kind, message in failing.history() if kind == "node.state")


def test_a_full_disk_is_said_and_avoided(failing: Failing) -> None:
    app = failing.run("web", STATELESS, REPLICAS)
    full = DiskFull(failing.lab, 1)
    full.inject()
    failing.lab.api.post("/apps/web/services/web/scale", {"replicas": REPLICAS + 3})
    assert failing.settles(app, REPLICAS + 3), failing.history()
    new = {nodes[0] for slot, nodes in failing.running(app).items() if int(slot.partition(".")[2]) > REPLICAS}
    assert new == {"node-2", "node-3"}
    assert failing.says(("could not start", "no space left")), failing.history()


def test_a_bound_one_comes_back_after_its_host(failing: Failing) -> None:
    app = failing.run("base", BOUND, 1)
    number = failing.host_of("base/db.1")
    power = PowerCut(failing.lab, number)
    power.inject()
    failing.log.went_dark(f"node-{number}")
    assert failing.node_is(number, "down")
    time.sleep(3.0)
    assert failing.running(app, without=f"node-{number}") == {}
    power.heal()
    assert failing.settles(app, 1), failing.history()
    assert failing.running(app) == {"base/db.1": [f"node-{number}"]}
    assert failing.never_twice()


def test_an_exclusive_one_stops_itself_and_never_runs_twice(failing: Failing) -> None:
    app = failing.run("solo", EXCLUSIVE, 1)
    number = failing.host_of("solo/only.1")
    cable = Cut(failing.lab, number)
    cable.inject()
    assert failing.node_is(number, "down")
    assert failing.running(app) == {"solo/only.1": [f"node-{number}"]}
    # By itself: nobody can reach it.
    assert wait_until(lambda: failing.running(app) == {}, 40.0, every=0.5), failing.lab.report()
    cable.heal()
    assert failing.settles(app, 1), failing.history()
    assert failing.never_twice()
    first, second = failing.runs("solo/only.1")
    assert first.ended < second.began


@pytest.mark.parametrize("seconds", [10.0, 60.0])
def test_jobs_that_end_while_redis_is_down_cost_nothing(failing: Failing, seconds: float) -> None:
    app = failing.lab.api.post("/apps", {"name": "web", "compose": STATELESS})["operation"]["app"]["id"]
    time.sleep(0.4)
    store = Stopped(failing.lab, "redis")
    store.inject()
    time.sleep(seconds)
    store.heal()
    each = failing.lab.api.post("/apps", {"name": "each", "compose": EVERYWHERE})["operation"]["app"]["id"]
    # A job has gone to each agent and has been done.
    assert failing.settles(each, 3, 25.0), failing.history()
    assert failing.settles(app, REPLICAS, 30.0), failing.history()
    assert failing.never_twice()


def test_postgres_restarted_in_mid_rollout(failing: Failing) -> None:
    app = failing.run("web", IN_PAIRS, REPLICAS)
    old = failing.started(app)
    body = {"compose": IN_PAIRS + VERSION}
    operation = failing.lab.api.post("/apps/web/releases", body)["operation"]["id"]
    assert wait_until(lambda: failing.started(app) != old, 20.0, every=0.1)
    database = Stopped(failing.lab, "postgres")
    database.inject()
    time.sleep(2.0)
    database.heal()
    assert failing.ends(operation, 60.0) == ("succeeded", "")
    assert failing.settles(app, REPLICAS, 30.0), failing.history()
    assert not failing.started(app) & old


def test_what_happens_while_the_console_is_away_is_taken_in(failing: Failing) -> None:
    app = failing.run("web", ON_PORT % 3, 3)
    urls = failing.lab.api.get("/apps/web")["app"]["urls"]
    before = failing.started(app)
    console = ConsoleStopped(failing.lab)
    console.inject()
    ContainerKilled(failing.lab, 1, pick=0).inject()
    ContainerRemoved(failing.lab, 2, pick=0).inject()
    time.sleep(6.0)
    assert sum(serves(url) for url in urls) == 2
    console.heal()
    assert failing.settles(app, 3, 30.0), failing.lab.report()
    # The engine itself started the killed one again; the removed one was replaced; the third was left alone.
    assert len({id_ for id_, _at in failing.started(app)} & {id_ for id_, _at in before}) == 2
    assert len(failing.started(app) & before) == 1
    assert failing.tells(("container", "is gone from the engine"), ("app", "placed on node-"))
    assert failing.says(("was restarted by the engine",)), failing.history()


def test_an_operators_word_moves_what_may_never_run_twice(failing: Failing) -> None:
    app = failing.run("solo", EXCLUSIVE, 1)
    number = failing.host_of("solo/only.1")
    power = PowerCut(failing.lab, number)
    power.inject()
    failing.log.went_dark(f"node-{number}")
    assert failing.node_is(number, "down")
    failing.lab.api.post(f"/nodes/node-{number}/dead", {"volumes": False})
    assert wait_until(lambda: len(failing.running(app, without=f"node-{number}")) == 1, 20.0), (
        failing.history()
    )
    power.heal()
    assert failing.node_is(number, "ready")
    assert failing.settles(app, 1, 30.0), failing.history()
    assert failing.never_twice()
    assert failing.tells(
        ("node.dead", "is declared dead"),
        ("app", "was declared dead"),
        ("app", "placed on node-"),
        ("node.state", "is ready"),
        ("node.alive", "is heard of again"),
    ), failing.history()


def test_what_nobody_wants_is_stopped_and_told_and_another_clusters_is_left_alone(failing: Failing) -> None:
    app = failing.run("web", STATELESS, REPLICAS)
    before = failing.started(app)
    stray, foreign = failing.stray(1)
    try:
        assert wait_until(lambda: not failing.there(1, stray), 20.0, every=0.3), failing.history()
        assert failing.there(1, foreign)
        assert {(id_, at) for id_, at in failing.started(app) if id_ != foreign} == before
        assert failing.says(("is wanted no more; it is stopped",)), failing.history()
        assert wait_until(lambda: failing.foreign(1) == 1, 15.0, every=0.3)
    finally:
        failing.remove(1, foreign)
