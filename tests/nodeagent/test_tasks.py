"""The agent's worker on a real Redis, with the node's own user and nothing more."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from lab.redis_server import RedisServer
from nodeagent.__main__ import EXIT_BROKEN, watch
from nodeagent.protocol import Batch, File, Hello, Pull, Receipt, Stop, Sync, batch_to_builtins
from nodeagent.tasks import make_app, read_batch, waiting
from tests.nodeagent.builders import ensure, full_spec, shell
from tests.nodeagent.console_stub import ConsoleStub
from tests.nodeagent.fake import FakeRuntime
from tests.nodeagent.process import AgentProcess, Doorbell, broker_user
from tests.nodeagent.rig import Rig

pytestmark = pytest.mark.thorough

JOB = Stop(id="job", slot="s1", generation=1)


def test_a_batch_survives_its_way_through_json() -> None:
    job = ensure(wanted=shell("x", files=(File(target="/x", content=b"\0\xff"),)))
    batch = Batch(node="n1", jobs=(job, ensure("s2", wanted=full_spec()), JOB))
    data = json.loads(json.dumps(batch_to_builtins(batch)))
    assert read_batch("n1", data) == batch


def test_what_a_newer_console_adds_is_passed_over() -> None:
    """As an agent of the version before passes over what a sync says of slots that are no more."""
    sync = Sync(id="s", session=1, keep=(("s1", 1),))
    data = batch_to_builtins(Batch(node="n1", jobs=(sync,)))
    data["jobs"][0]["unheard_of"] = ["s2"]
    assert read_batch("n1", data) == Batch(node="n1", jobs=(sync,))


@pytest.mark.parametrize(
    "data",
    [
        None,
        "x",
        [],
        {},
        {"node": "n1"},
        {"node": "n1", "jobs": [{"type": "shell", "id": "x", "command": "id"}]},
        {"node": "n1", "jobs": [{"type": "stop", "id": "x", "slot": "s", "generation": "many"}]},
        {"node": "n1", "jobs": [{"type": "pull", "id": "x", "image": "x", "auth": "%%%"}]},
        {"node": "n1", "jobs": [{"type": "stop", "id": "\ud800", "slot": "s", "generation": 1}]},
        {"node": "n1", "jobs": [{"type": "stop", "id": "x", "slot": "s", "generation": 10**30}]},
        {"node": "n2", "jobs": []},
        {"node": "n1", "version": 99, "jobs": []},
        {
            "node": "n1",
            "jobs": [{"type": "stop", "id": str(n), "slot": "s", "generation": 1} for n in range(1001)],
        },
    ],
)
def test_hostile_batches_are_thrown_away(data: Any) -> None:
    assert read_batch("n1", data) is None


class Scene:
    """An agent process without an engine: it answers, it cannot run anything."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.server = server
        self.console = ConsoleStub()
        self.url = broker_user(server, "n1")
        self.doorbell = Doorbell(server)
        self.agent = AgentProcess(folder, self.console, self.url, "unix:///nowhere.sock")
        self.agent.start()
        self.console.hear(Hello, timeout=20)

    def rings(self, job: str, timeout: float = 15.0) -> None:
        """A job sent now arrives."""
        self.doorbell.ring("n1", Pull(id=job, image="x"))
        self.console.hear(Receipt, lambda item: item.jobs == (job,), timeout=timeout)

    def close(self) -> None:
        self.agent.kill()
        self.console.stop()


@pytest.fixture
def scene(tmp_path: Path, redis_server: RedisServer) -> Iterator[Scene]:
    made = Scene(tmp_path, redis_server)
    yield made
    made.close()


@pytest.mark.redis
def test_what_waits_in_the_queue_is_counted_with_the_nodes_own_rights(redis_server: RedisServer) -> None:
    app = make_app("n1", broker_user(redis_server, "n1"), lambda _batch: None)
    doorbell = Doorbell(redis_server)
    before = waiting(app)
    for number in range(3):
        doorbell.ring("n1", Pull(id=str(number), image="x"))
    assert waiting(app) == before + 3


REFUSED = [
    ("GET", "node:n2:x"),
    ("LLEN", "node:n2:jobs"),
    ("LPUSH", "node:n2:jobs", "x"),
    ("RPUSH", "node:n2:jobs", "x"),
    ("BRPOP", "node:n2:jobs", "1"),
    ("SADD", "node:n2:x", "x"),
    ("SMEMBERS", "node:n2:_kombu.binding.jobs"),
    ("LLEN", "jobs"),
    ("SMEMBERS", "_kombu.binding.jobs"),
    ("GET", "node:n1:x"),
    ("SET", "node:n1:x", "1"),
    ("DEL", "node:n1:x"),
    ("EXISTS", "node:n1:x"),
    ("EXPIRE", "node:n1:x", "1"),
    ("HSET", "node:n1:x", "a", "b"),
    ("HGETALL", "node:n1:x"),
    ("ZADD", "node:n1:x", "1", "a"),
    ("ZRANGE", "node:n1:x", "0", "1"),
    ("LRANGE", "node:n1:jobs", "0", "1"),
    ("LMOVE", "node:n1:jobs", "node:n2:jobs", "LEFT", "LEFT"),
    ("RENAME", "node:n1:x", "node:n2:x"),
    ("COPY", "node:n1:x", "node:n2:x"),
    ("MIGRATE", "127.0.0.1", "1", "node:n1:x", "0", "1"),
    ("SORT", "node:n1:x"),
    ("DUMP", "node:n1:x"),
    ("OBJECT", "ENCODING", "node:n1:x"),
    ("MEMORY", "USAGE", "node:n1:x"),
    ("PUBLISH", "node:n1:x", "x"),
    ("PUBLISH", "node:n2:x", "x"),
    ("SUBSCRIBE", "node:n1:x"),
    ("PSUBSCRIBE", "*"),
    ("EVAL", "return 1", "0"),
    ("EVALSHA", "x", "0"),
    ("EVAL_RO", "return 1", "0"),
    ("SCRIPT", "LOAD", "return 1"),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "LIST"),
    ("FCALL", "x", "0"),
    ("SCAN", "0"),
    ("KEYS", "*"),
    ("RANDOMKEY",),
    ("DBSIZE",),
    ("SELECT", "1"),
    ("SWAPDB", "0", "1"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "node-n1", "+@all"),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("MONITOR",),
    ("INFO",),
    ("DEBUG", "SLEEP", "1"),
    ("SLOWLOG", "GET"),
    ("LATENCY", "RESET"),
    ("SAVE",),
    ("BGSAVE",),
    ("SHUTDOWN", "NOSAVE"),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("MODULE", "LIST"),
    ("CLUSTER", "INFO"),
    ("WATCH", "node:n2:x"),
    ("XADD", "node:n1:x", "*", "a", "b"),
    ("COMMAND",),
    ("TIME",),
]


@pytest.mark.redis
def test_the_nodes_user_can_work_and_nothing_else(scene: Scene) -> None:
    scene.rings("before")
    client = redis.Redis.from_url(scene.url, protocol=2)
    allowed = []
    for command in REFUSED:
        try:
            client.execute_command(*command)  # type: ignore[no-untyped-call]
        except redis.exceptions.NoPermissionError:
            continue
        except redis.exceptions.ResponseError as error:
            # What this version does not know, or locks away from everybody, it refuses in other words.
            if "unknown" in str(error).lower() or "not allowed" in str(error):
                continue
        allowed.append(command)
    client.close()
    assert allowed == []
    admin = redis.Redis.from_url(scene.server.admin_url, decode_responses=True)
    assert [key for key in admin.scan_iter("*") if not str(key).startswith("node:n1:")] == []
    admin.close()
    scene.rings("after")


@pytest.mark.redis
def test_the_nodes_user_reaches_its_own_queue(redis_server: RedisServer) -> None:
    url = broker_user(redis_server, "n9")
    client = redis.Redis.from_url(url, protocol=2)
    assert client.lpush("node:n9:jobs", "x") == 1
    assert client.llen("node:n9:jobs") == 1
    assert client.brpop(["node:n9:jobs"], timeout=1) == (b"node:n9:jobs", b"x")
    client.close()


@pytest.mark.redis
def test_garbage_in_the_queue_does_not_stop_the_worker(scene: Scene) -> None:
    scene.rings("before")
    admin = redis.Redis.from_url(scene.server.admin_url)
    scene.doorbell.send("n1", {"node": "n1", "jobs": "x"})
    scene.doorbell.send("n1", {"node": "n1", "jobs": []}, task="os.system")
    scene.rings("after")
    admin.close()


@pytest.mark.redis
def test_flushall_is_survived(scene: Scene) -> None:
    scene.rings("before")
    scene.server.flushall()
    scene.rings("after")


@pytest.mark.redis
@pytest.mark.parametrize("outage", [1.0, pytest.param(12.0, marks=pytest.mark.slow)])
def test_the_worker_is_back_soon_after_its_broker(scene: Scene, outage: float) -> None:
    scene.rings("before")
    scene.server.kill()
    time.sleep(outage)
    scene.server.start()
    began = time.monotonic()
    scene.rings("after", timeout=15)
    assert time.monotonic() - began < 15
    assert scene.agent.process is not None
    assert scene.agent.process.poll() is None


@pytest.mark.redis
def test_a_user_that_is_made_later_is_waited_for(tmp_path: Path, redis_server: RedisServer) -> None:
    """The agent may be up before the console has made its broker user (a new Redis, say)."""
    url = broker_user(redis_server, "n1")
    admin = redis.Redis.from_url(redis_server.admin_url)
    admin.acl_deluser("node-n1")
    console = ConsoleStub()
    agent = AgentProcess(tmp_path, console, url, "unix:///nowhere.sock")
    process = agent.start()
    try:
        console.hear(Hello, timeout=20)
        time.sleep(3)
        assert process.poll() is None
        broker_user(redis_server, "n1")
        Doorbell(redis_server).ring("n1", JOB)
        console.hear(Receipt, timeout=15)
    finally:
        agent.kill()
        console.stop()
        admin.close()


@pytest.mark.redis
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_asked(scene: Scene, number: signal.Signals) -> None:
    scene.rings("before")
    assert scene.agent.process is not None
    began = time.monotonic()
    scene.agent.process.send_signal(number)
    assert scene.agent.process.wait(5) == 0
    assert time.monotonic() - began < 3


def test_a_broken_configuration_ends_it_at_once(tmp_path: Path) -> None:
    console = ConsoleStub()
    agent = AgentProcess(tmp_path, console, "amqp://x", "unix:///nowhere.sock")
    assert agent.start().wait(20) == 78
    assert "broker (BERTH_BROKER_URL) must look like" in agent.log.read_text()
    console.stop()


def test_it_exits_when_a_part_of_it_dies(fake: FakeRuntime, tmp_path: Path) -> None:
    rig = Rig(fake, tmp_path)
    rig.start()
    rig.agent.consumer = threading.Thread(target=lambda: None, name="consumer")
    rig.agent.consumer.start()
    assert watch(rig.agent, threading.Event()) == EXIT_BROKEN
    rig.agent.stop()
    rig.console.stop()
