"""`make run` as a user has it: up, Ctrl-C, up again, killed, up again. Containers live through all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import requirements
from lab.api import Api, ApiError
from lab.engine import Engine
from lab.hosts import Host
from lab.processes import RECORD_SUFFIX, read_record, session_members, start_time, wait_until
from lab.redis_server import free_port
from lab.state import Run
from tests.conftest import require

pytestmark = [pytest.mark.engine, pytest.mark.redis, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
APP = "services:\n  web:\n    image: berth/demo\n"


class Machine:
    """A host of its own for `make run`, which finds no engine there and starts one."""

    def __init__(self, run: Run, host: Host) -> None:
        self.home, self.host = run.directory / "home-of-run", host
        self.env = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("BERTH_", "DOCKER_"))
            },
            "BERTH_HOME": str(self.home),
            "BERTH_BIND": host.address,
            "BERTH_DOCKER_SOCKET": str(run.directory / "usual.sock"),
        }

    def command(self, module: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.host.netns}", sys.executable, "-m", module]

    @contextmanager
    def up(self) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """The process and what it printed until it was up. It is interrupted at the end if it still runs."""
        process = subprocess.Popen(
            self.command("ops.run"),
            env=self.env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        printed = ""
        try:
            while "API token" not in printed:
                line = process.stdout.readline()
                assert line, f"ended with {process.wait()}:\n{printed}"
                printed += line
            yield process, printed
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=40)

    @property
    def api(self) -> Api:
        return Api(f"http://{self.host.address}:8000", (self.home / "owner-token").read_text().strip())

    @property
    def engine(self) -> Engine:
        return Engine(self.home / "engine")

    def containers(self) -> list[tuple[str, str]]:
        """(id, state) of the engine's containers."""
        with self.engine.client() as client:
            return [(container.id or "", container.status) for container in client.containers.list(all=True)]

    def supervised(self) -> list[int]:
        """Everything that the supervisor started and that lives."""
        identity = read_record(self.home / f"supervisord{RECORD_SUFFIX}")
        return session_members(identity) if identity else []


@pytest.fixture
def machine(run: Run) -> Iterator[Machine]:
    require(requirements.engine() or requirements.redis())
    machine = Machine(run, run.network.add_host())
    yield machine
    subprocess.run(machine.command("ops.stop"), env=machine.env, cwd=ROOT, check=True)


def one_container_runs(machine: Machine) -> bool:
    return [state for _, state in machine.containers()] == ["running"]


def console_agrees(machine: Machine) -> bool:
    try:
        containers = machine.api.get("/apps/web/containers")["items"]
    except ApiError:
        return False
    return [container["observed"]["engine_id"] for container in containers] == [machine.containers()[0][0]]


def test_containers_outlive_it_and_it_finds_them_again(machine: Machine) -> None:
    with machine.up() as (process, printed):
        assert f"Berth runs at http://{machine.host.address}:8000" in printed
        assert f"sign in (once): http://{machine.host.address}:8000/sign-in/" in printed
        assert "not ready" not in printed
        assert (machine.home / "owner-token").stat().st_mode & 0o777 == 0o600
        assert machine.home.stat().st_mode & 0o777 == 0o700
        machine.api.post("/apps", {"name": "web", "compose": APP})
        assert wait_until(lambda: one_container_runs(machine), 30.0, every=0.25)
        started = machine.supervised()
        assert len(started) >= 6
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert [pid for pid in started if start_time(pid)] == []
    before = machine.containers()
    assert [state for _, state in before] == ["running"]

    with machine.up() as (process, _):
        assert wait_until(lambda: console_agrees(machine), 20.0, every=0.25)
        assert machine.containers() == before
        second = subprocess.run(
            machine.command("ops.run"), env=machine.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert "Berth already runs from" in second.stderr
        process.send_signal(signal.SIGKILL)
    assert machine.supervised() != []

    with machine.up():
        assert wait_until(lambda: console_agrees(machine), 20.0, every=0.25)
        assert machine.containers() == before


def test_a_taken_port_is_named_with_the_way_out(run: Run, machine: Machine) -> None:
    port = free_port()
    env = {**machine.env, "BERTH_BIND": "127.0.0.1", "BERTH_PORT": str(port)}
    with subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{machine.host.netns}", sys.executable, "-m", "http.server", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as other:
        try:
            taken = f"port {port} on 127.0.0.1 cannot be used (Address already in use)"

            def refused() -> bool:
                done = subprocess.run(
                    machine.command("ops.run"),
                    env=env,
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
                return done.returncode == 1 and taken in done.stderr and "BERTH_PORT=" in done.stderr

            in_use = [
                "nsenter",
                f"--net=/run/netns/{machine.host.netns}",
                "sh",
                "-c",
                f"ss -ltn | grep -q :{port}",
            ]
            assert wait_until(lambda: subprocess.run(in_use, check=False).returncode == 0, 10.0)
            assert refused()
        finally:
            other.kill()
