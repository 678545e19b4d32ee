"""The whole agent as its own process, with a real engine, a real Redis and a real WebSocket."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.engine import Engine
from lab.redis_server import RedisServer
from nodeagent.protocol import (
    Delta,
    Ensure,
    Heartbeat,
    Hello,
    LogFrame,
    Observed,
    OpenLogs,
    Remove,
    Result,
    Stop,
    Sync,
)
from nodeagent.runtime.engine import DockerRuntime
from tests.nodeagent.builders import CLUSTER, ensure, shell, spec
from tests.nodeagent.console_stub import ConsoleStub
from tests.nodeagent.process import AgentProcess, Doorbell, broker_user

pytestmark = [pytest.mark.engine, pytest.mark.redis]


class World:
    def __init__(self, folder: Path, runtime: DockerRuntime, engine: Engine, server: RedisServer) -> None:
        self.runtime = runtime
        self.engine = engine
        self.console = ConsoleStub()
        self.doorbell = Doorbell(server)
        self.agent = AgentProcess(folder, self.console, broker_user(server, "n1"), engine.docker_host)

    def start(self) -> Hello:
        """Start the agent (again) and wait for its hello."""
        mark = len(self.console.heard)
        self.agent.start()
        return self.console.hear(Hello, since=mark, timeout=20)

    def sync(self, *keep: tuple[str, int]) -> None:
        mark = len(self.console.heard)
        job = Sync(id=f"sync-{self.console.session}", session=self.console.session, keep=keep)
        self.doorbell.ring("n1", job)
        self.console.hear(Result, lambda item: item.job == job.id and item.ok, since=mark, timeout=20)

    def result(self, job: Ensure | Stop | Remove) -> Result:
        mark = len(self.console.heard)
        self.doorbell.ring("n1", job)
        return self.console.hear(Result, lambda item: item.job == job.id, since=mark, timeout=30)

    def seen(self, slot: str, state: str) -> Observed:
        def fits(delta: Delta) -> bool:
            return any((item.identity.slot, item.state) == (slot, state) for item in delta.changed)

        delta = self.console.hear(Delta, fits)
        return next(item for item in delta.changed if item.identity.slot == slot and item.state == state)

    def running(self) -> dict[str, str]:
        """Engine id by name of every container that runs."""
        return {
            item.name: item.engine_id
            for item in self.runtime.list_managed(CLUSTER).own
            if item.state == "running"
        }


@pytest.fixture
def world(
    tmp_path: Path, docker_runtime: DockerRuntime, engine: Engine, redis_server: RedisServer
) -> Iterator[World]:
    made = World(tmp_path, docker_runtime, engine, redis_server)
    yield made
    made.agent.kill()
    made.console.stop()


def test_a_container_from_its_job_to_its_removal(world: World) -> None:
    hello = world.start()
    assert hello.engine is not None
    assert (hello.containers, hello.engine.live_restore) == ((), True)
    world.sync()
    wanted = spec(network="berth-a1", restart="unless-stopped")
    assert world.result(ensure(wanted=wanted)).ok
    assert world.seen("s1", "running").identity == ensure().identity
    world.console.send(OpenLogs(stream="x", slot="s1", generation=1))
    world.console.hear(LogFrame, lambda frame: any("serving" in line.text for line in frame.lines))
    assert world.result(Stop(id="stop", slot="s1", generation=1, grace=5.0)).ok
    assert world.seen("s1", "exited").last_lines != ()
    assert world.result(Remove(id="remove", slot="s1", generation=1, network="berth-a1")).ok
    world.console.hear(Delta, lambda delta: delta.removed == (("s1", 1),))
    assert not world.runtime.network_exists("berth-a1", CLUSTER)


def test_containers_outlive_the_agent_and_are_adopted(world: World) -> None:
    world.start()
    world.sync()
    assert world.result(ensure()).ok
    before = world.running()
    assert set(before) == {"berth-s1-g1"}
    for number in (signal.SIGKILL, signal.SIGTERM):
        assert world.agent.process is not None
        world.agent.process.send_signal(number)
        world.agent.process.wait(5)
        assert world.running() == before
        hello = world.start()
        assert [item.identity for item in hello.containers] == [ensure().identity]
        assert hello.generations == {"s1": 1}
        assert world.result(ensure("s2")).code == "waiting"
        assert world.running() == before
        world.sync(("s1", 1))
        assert world.running() == before
    mark = len(world.console.heard)
    world.console.hang_up()
    world.console.hear(Hello, since=mark)
    world.sync()
    assert world.runtime.list_managed(CLUSTER).own == ()


def test_an_agent_killed_in_mid_deploy_ends_with_exactly_the_wanted_containers(world: World) -> None:
    slots = [f"s{number}" for number in range(6)]
    jobs = [ensure(slot) for slot in slots]
    world.start()
    world.sync()
    for pause in (0.1, 0.4):
        world.doorbell.ring("n1", *jobs)
        time.sleep(pause)
        world.agent.kill()
        world.start()
        world.sync(*((slot, 1) for slot in slots))
    assert [world.result(job).ok for job in jobs] == [True] * 6
    assert set(world.running()) == {f"berth-{slot}-g1" for slot in slots}
    facts = world.runtime.list_managed(CLUSTER).own
    assert [item.restarts for item in facts] == [0] * 6


def test_an_engine_killed_under_the_agent(world: World) -> None:
    world.start()
    world.sync()
    assert world.result(ensure()).ok
    before = world.running()
    mark = len(world.console.heard)
    world.engine.kill()
    world.console.hear(Heartbeat, lambda beat: not beat.engine_ok, since=mark, timeout=3)
    failed = world.result(ensure("s2"))
    assert (failed.ok, failed.code, failed.fatal) == (False, "engine-unavailable", False)
    mark = len(world.console.heard)
    world.engine.start()
    hello = world.console.hear(Hello, lambda item: item.engine is not None, since=mark, timeout=20)
    assert [item.state for item in hello.containers] == ["running"]
    assert world.result(ensure("s2")).ok
    assert before.items() <= world.running().items()


def test_a_start_is_quick(world: World) -> None:
    """From the doorbell to the engine's start with the image present: little more than the engine's own time."""
    world.start()
    world.sync()
    times = []
    for number in range(5):
        job = ensure(f"s{number}", wanted=shell("sleep 1000", network="berth-a1"))
        began = time.time()
        assert world.result(job).ok
        facts = world.runtime.inspect(job.identity.engine_name)
        assert facts is not None
        assert facts.started_at is not None
        times.append(facts.started_at - began)
    assert sorted(times)[2] < 2.0
