"""REDIS_URL with Sentinels: a real master, a replica and two Sentinels; the master is killed."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from django.conf import settings
from pytest_django.fixtures import Settings

from console.common import redis as keys
from console.common.cache import Cache
from console.common.redis_url import sentinels
from console.controller.wire import RedisWire
from lab import requirements
from lab.processes import Process, wait_until
from lab.redis_server import ADMIN, free_port
from lab.state import Run
from nodeagent import protocol
from tests.conftest import require

pytestmark = [pytest.mark.redis, pytest.mark.slow]


@dataclass
class Guarded:
    """A master with a replica, and the Sentinels that watch them."""

    url: str
    master: Process
    processes: list[Process]

    def moved(self) -> bool:
        """Whether commands go to a master again."""
        try:
            return bool(keys.client().set("moved", "1"))
        except redis.RedisError:
            return False


def _server(run: Run, name: str, password: str, more: list[str]) -> tuple[int, Process]:
    folder, port = run.subdirectory(name), free_port()
    users = folder / "users.acl"
    digest = hashlib.sha256(password.encode()).hexdigest()
    users.write_text(f"user default off resetpass ~* &* +@all\nuser {ADMIN} on #{digest} ~* &* +@all\n")
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f'dir "{folder}"',
        f'aclfile "{users}"',
        'save ""',
        "protected-mode no",
    ]
    lines += [f"masteruser {ADMIN}", f"masterauth {password}", "repl-diskless-sync-delay 0", *more]
    config = folder / "redis.conf"
    config.write_text("\n".join(lines) + "\n")
    return port, run.process(name, ["redis-server", str(config)])


def _sentinel(run: Run, name: str, master: int, password: str) -> tuple[int, Process]:
    folder, port = run.subdirectory(name), free_port()
    lines = [f"port {port}", "bind 127.0.0.1", f'dir "{folder}"', "protected-mode no"]
    lines += [f"sentinel monitor berth 127.0.0.1 {master} 1", f"sentinel auth-user berth {ADMIN}"]
    lines += [f"sentinel auth-pass berth {password}", "sentinel down-after-milliseconds berth 1000"]
    config = folder / "sentinel.conf"
    config.write_text("\n".join([*lines, "sentinel failover-timeout berth 5000"]) + "\n")
    return port, run.process(name, ["redis-server", str(config), "--sentinel"])


@pytest.fixture
def guarded(run: Run, settings: Settings) -> Iterator[Guarded]:
    require(requirements.redis())
    password = secrets.token_urlsafe(16)
    port, master = _server(run, "guarded-1", password, [])
    _port, replica = _server(run, "guarded-2", password, [f"replicaof 127.0.0.1 {port}"])
    watchers = [_sentinel(run, f"sentinel-{number}", port, password) for number in (1, 2)]
    processes = [master, replica, *(process for _port, process in watchers)]
    for process in processes:
        process.start()
    places = ",".join(f"127.0.0.1:{port}" for port, _process in watchers)
    settings.REDIS_URL = f"redis+sentinel://{ADMIN}:{password}@{places}/berth/0"
    found = sentinels(settings.REDIS_URL)
    assert found is not None
    layer: dict[str, Any] = {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [found.channel_host]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    keys.client.cache_clear()
    yield Guarded(settings.REDIS_URL, master, processes)
    keys.client.cache_clear()
    for process in processes:
        process.kill()


def _replicated(guarded: Guarded) -> bool:
    """The Sentinels know the replica, and it has what the master has."""
    try:
        info: Any = keys.client().info("replication")
    except redis.RedisError:
        return False
    return bool(info["connected_slaves"] == 1 and info["slave0"]["state"] == "online")


def test_the_console_follows_the_master_that_sentinels_choose(guarded: Guarded) -> None:
    assert wait_until(lambda: _replicated(guarded), 20.0), [process.tail() for process in guarded.processes]
    keys.client().set("kept", "1")
    assert wait_until(lambda: keys.client().wait(1, 1000) == 1, 5.0)
    _everything_works("before")
    # A Sentinel looks for replicas every ten seconds.
    assert wait_until(lambda: keys.client().get("kept") == b"1", 5.0)
    assert wait_until(lambda: _sentinels_know(guarded), 20.0)
    guarded.master.kill()
    assert wait_until(guarded.moved, 30.0, every=0.2), [process.tail() for process in guarded.processes]
    assert keys.client().get("kept") == b"1"
    _everything_works("after")


def _sentinels_know(guarded: Guarded) -> bool:
    found = sentinels(guarded.url)
    assert found is not None
    for host, port in found.hosts:
        with redis.Redis(host=host, port=port) as watcher:
            state: Any = watcher.sentinel_master("berth")
            if state["num-slaves"] < 1 or state["num-other-sentinels"] < 1:
                return False
    return True


def _everything_works(word: str) -> None:
    """The blocking client, the asynchronous one, the doorbell, and a group of the Channels layer."""
    assert keys.client().set(f"blocking-{word}", word)
    job = protocol.Remove(id=f"r-{word}", slot="s1", generation=1)
    RedisWire().send("n1", [job])
    assert keys.client().llen(f"{protocol.key_prefix('n1')}{protocol.QUEUE}") >= 1
    url = settings.REDIS_URL
    cache = Cache(url, {"KEY_PREFIX": "t", "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1}})
    cache.set(word, 1)
    assert keys.client().exists(f"t:1:{word}")
    asyncio.run(_asynchronously(word))


async def _asynchronously(word: str) -> None:
    from channels.layers import channel_layers

    client = keys.async_client()
    assert await client.get(f"blocking-{word}") == word.encode()
    await client.aclose()
    layer: Any = channel_layers.make_backend("default")
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x", "word": word})
    assert (await asyncio.wait_for(layer.receive(channel), 5))["word"] == word
    await layer.flush()
