"""The swarm of two real engines: what is so already is success, and what is somebody else's stays as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import requirements
from lab.engine import Engine
from lab.hosts import Host
from lab.processes import wait_until
from lab.state import Run
from nodeagent.protocol import Overlay
from nodeagent.runtime import parse
from nodeagent.runtime.base import Conflict, EngineError, Invalid
from nodeagent.runtime.engine import HEARD, PARTED, DockerRuntime
from tests.conftest import require
from tests.nodeagent.builders import CLUSTER, identity, shell

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(180)]

POOL = "10.91.0.0/16"
NETWORK = "berth-a1_default"


@dataclass
class Two:
    hosts: list[Host]
    engines: list[Engine]
    first: DockerRuntime
    second: DockerRuntime

    def seen(self, number: int) -> Overlay:
        runtime = self.second if number else self.first
        return runtime.swarm.facts(self.hosts[number].address)


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    require(requirements.engine())
    with Run.create() as run:
        hosts = [run.network.add_host() for _ in range(2)]
        engines = [
            Engine(run.subdirectory(f"w{number}"), netns=host.netns, live_restore=False)
            for number, host in enumerate(hosts)
        ]
        for engine in engines:
            engine.start()
        yield Two(hosts, engines, *(DockerRuntime(engine.docker_host) for engine in engines))


def refused(call: Callable[[], object]) -> type[EngineError]:
    with pytest.raises(EngineError) as caught:
        call()
    return type(caught.value)


def test_the_life_of_a_swarm(two: Two, demo_archive: Path) -> None:
    first, second = two.first.swarm, two.second.swarm
    here, there = (host.address for host in two.hosts)
    assert two.seen(0) == Overlay(address=here, state="inactive")
    for _ in range(2):
        first.init(here, POOL, 24, CLUSTER)
    seen = two.seen(0)
    assert (seen.state, seen.manager, seen.cluster) == ("active", True, CLUSTER)
    assert [(one.node, one.manager, one.settled) for one in seen.members] == [(seen.node, True, False)]
    assert refused(lambda: first.init(here, POOL, 24, "other")) is Conflict

    token = first.token()
    for _ in range(2):
        second.join(token, [here], there)
    guest = two.seen(1)
    assert (guest.state, guest.manager, guest.cluster, guest.members) == ("active", False, "", ())
    assert wait_until(lambda: [one.ready for one in two.seen(0).members] == [True, True], 10.0)

    _networks(two)
    for number, runtime in enumerate((two.first, two.second)):
        two.engines[number].load(demo_archive)
        _last_to_leave(two.first, runtime, number)

    first.set_manager(guest.node, manager=True)
    assert wait_until(lambda: two.seen(1).manager, 15.0)
    first.set_manager(guest.node, manager=True)
    first.set_manager(guest.node, manager=False)
    assert wait_until(lambda: not two.seen(1).manager, 15.0)
    for _ in range(2):
        first.forget(guest.node)
    assert wait_until(lambda: len(two.seen(0).members) == 1, 10.0)


def _networks(two: Two) -> None:
    first, second = two.first.swarm, two.second.swarm
    for _ in range(2):
        first.ensure_network(NETWORK, CLUSTER, "a1")
    assert refused(lambda: first.ensure_network(NETWORK, CLUSTER, "a2")) is Conflict
    assert refused(lambda: first.ensure_network(NETWORK, "other", "a1")) is Conflict
    # A worker does not even see it.
    second.remove_network(NETWORK, CLUSTER)
    with pytest.raises(EngineError):
        second.ensure_network(NETWORK, CLUSTER, "a1")
    with pytest.raises(Conflict):
        first.remove_network(NETWORK, "other")
    for _ in range(2):
        first.remove_network(NETWORK, CLUSTER)


def _last_to_leave(manager: DockerRuntime, runtime: DockerRuntime, number: int) -> None:
    """A worker does not see the network any more then, a manager still does."""
    network = f"berth-a1_n{number}"
    manager.swarm.ensure_network(network, CLUSTER, "a1")
    names = [identity(f"s{number}{which}") for which in "ab"]
    for one in names:
        runtime.create(one, shell("sleep 1000", network=network, aliases=("web",)))
        runtime.start(one.engine_name)
    took = []
    for one in names:
        runtime.leave(one.engine_name, network)
        since = time.monotonic()
        runtime.await_parted(network)
        took.append(time.monotonic() - since)
    assert took[0] < 0.5, took
    assert HEARD < took[1] < PARTED + HEARD, took
    found = runtime._engine.found(f"/networks/{network}", "The network cannot be looked at")
    assert parse.parting(found) is True
    for one in names:
        runtime.join(one.engine_name, network, ("web",))
        seen = runtime.inspect(one.engine_name)
        assert seen is not None
        assert seen.networks[network].address
        runtime.stop(one.engine_name, 0)
        runtime.remove(one.engine_name)


def test_an_engine_with_live_restore_is_told_what_is_in_the_way(two: Two, engine: Engine) -> None:
    runtime = DockerRuntime(engine.docker_host)
    with pytest.raises(Invalid) as caught:
        runtime.swarm.init(engine.address, POOL, 24, CLUSTER)
    assert "Take live-restore out of the engine's daemon.json" in caught.value.message
    assert caught.value.fatal
