"""Engines in namespaces: what lives through a stop or a kill, and what a cut cable does."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.engine import Engine, EngineError
from lab.processes import wait_until
from lab.state import Run

pytestmark = pytest.mark.engine


def serve(engine: Engine, port: int) -> str:
    """Starts a demo container on the host's port and waits for its page; its main process' pid as text."""
    with engine.client() as client:
        container = client.containers.run("berth/demo", detach=True, ports={"80/tcp": port}, name="web")
    assert wait_until(lambda: reachable(engine, port), 10.0)
    container.reload()
    return str(container.attrs["State"]["Pid"])


def reachable(engine: Engine, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{engine.address}:{port}/healthz", timeout=1) as answer:
            return bool(answer.read() == b"ok\n")
    except (urllib.error.URLError, OSError):
        return False


def state_of(engine: Engine, name: str) -> tuple[str, str]:
    with engine.client() as client:
        state = client.containers.get(name).attrs["State"]
    return state["Status"], str(state["Pid"])


def test_containers_live_through_a_killed_engine(engine: Engine) -> None:
    pid = serve(engine, 30081)
    before = engine.pid
    engine.kill()
    assert (engine.pid, engine.answers()) == (None, False)
    assert reachable(engine, 30081)
    engine.start()
    assert engine.pid not in (None, before)
    assert state_of(engine, "web") == ("running", pid)


def test_containers_live_through_a_stopped_engine(engine: Engine) -> None:
    pid = serve(engine, 30082)
    engine.stop()
    assert reachable(engine, 30082)
    engine.start()
    assert state_of(engine, "web") == ("running", pid)


def test_another_object_finds_the_running_engine(engine: Engine) -> None:
    again = Engine(engine.directory, netns=engine.netns, address=engine.address)
    assert (again.pid, again.answers()) == (engine.pid, True)
    again.start()
    assert again.pid == engine.pid


def test_a_cut_cable_hides_the_host_and_stops_nothing(
    run: Run, engines: Callable[[int], list[Engine]], engine: Engine
) -> None:
    del engines
    pid = serve(engine, 30083)
    [host] = [host for host in run.network.hosts if host.address == engine.address]
    host.cut()
    assert not reachable(engine, 30083)
    assert state_of(engine, "web") == ("running", pid)
    host.heal()
    assert wait_until(lambda: reachable(engine, 30083), 5.0)


def test_two_engines_have_their_own_containers_and_reach_each_other(
    run: Run, engines: Callable[[int], list[Engine]]
) -> None:
    first, second = engines(2)
    assert {first.address, second.address} <= {host.address for host in run.network.hosts}
    with first.client() as one, second.client() as two:
        one.containers.run("berth/demo", detach=True, ports={"80/tcp": 30084}, name="only-here")
        assert [c.name for c in two.containers.list(all=True)] == []
        assert wait_until(lambda: reachable(first, 30084), 10.0)
        request = f"printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {first.address} 30084"
        answer = two.containers.run("berth/demo", ["sh", "-c", request], remove=True)
        assert answer.endswith(b"\r\n\r\nok\n")
    first.remove_containers()


def test_a_missing_image_fails_at_once(engine: Engine) -> None:
    with engine.client() as client, pytest.raises(Exception, match="No such image"):
        client.containers.create("berth/none")


def test_a_socket_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(EngineError, match="too long for sockets"):
        Engine(Path("/var/tmp") / ("x" * 70))
