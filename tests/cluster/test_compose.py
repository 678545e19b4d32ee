"""The two Compose files, started on a real engine: a further host joins the console by the command that it prints."""

from __future__ import annotations

import os
import shlex
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import docker
import pytest
from cryptography import x509

from lab import programs, requirements
from lab.api import Api, ApiError
from lab.engine import Engine
from lab.hosts import Host
from lab.processes import Process, wait_until
from lab.state import Run
from tests.cluster.standins import StandIns
from tests.conftest import require
from tests.lab.test_compose_file import compose

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(280)]

FILES = [programs.ROOT / "docker-compose.yml", programs.ROOT / "docker-compose.hosts.yml"]
BOTH = "services: {web: {image: berth/demo, deploy: {replicas: 2, placement: {max_replicas_per_node: 1}}}}"


class ComposeLab:
    """One engine that runs the console as containers, and a second host."""

    def __init__(self, run: Run, demo: Path) -> None:
        self.run, self.folder = run, run.subdirectory("compose")
        self.first, self.engine = self._host("c1", demo)
        self.second, self.far_engine = self._host("c2", demo)
        secrets, on_node = self.folder / "secrets", run.subdirectory("in-memory")
        subprocess.run(
            [programs.ROOT / "ops" / "compose-secrets.sh", secrets], check=True, capture_output=True
        )
        images = StandIns(self.engine.docker_host)
        images.load()
        override = self.folder / "override.yml"
        override.write_text(images.override(on_node))
        self.files = [*FILES, override]
        self.env = {
            "PATH": os.environ["PATH"],
            "DOCKER_HOST": self.engine.docker_host,
            "BERTH_SECRETS": str(secrets),
            "BERTH_PUBLIC_ADDRESS": self.first.address,
            "BERTH_URL": f"http://{self.first.address}:8000",
            "BERTH_HOST": self.first.address,
        }
        self.agent: Process = run.process(
            "far-agent",
            programs.agent(self.folder / "far" / "agent.json"),
            env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"},
            cwd=programs.ROOT,
            netns=self.second.netns,
        )

    def _host(self, name: str, demo: Path) -> tuple[Host, Engine]:
        host = self.run.network.add_host()
        engine = Engine(self.run.directory / name, netns=host.netns, address=host.address)
        engine.start()
        engine.load(demo)
        return host, engine

    def compose(self, *words: str) -> str:
        files = [word for file in self.files for word in ("-f", str(file))]
        argv = [str(compose()), "--project-directory", str(programs.ROOT), *files, *words]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (
            f"{done.stdout}\n{done.stderr}\n{self.logs() if words[0] == 'up' else ''}"
        )
        return done.stdout

    def logs(self) -> str:
        with closing(docker.DockerClient(base_url=self.engine.docker_host, timeout=30)) as client:
            ends = {one: bytes(one.logs(tail=12)) for one in client.containers.list(all=True)}
            return "\n".join(f"--- {one.name} {one.status}\n{end.decode()}" for one, end in ends.items())

    def inside(self, service: str, *argv: str) -> str:
        """What a program in a service's container says."""
        with closing(docker.DockerClient(base_url=self.engine.docker_host, timeout=30)) as client:
            [one] = client.containers.list(filters={"label": f"com.docker.compose.service={service}"})
            code, output = one.exec_run(list(argv))
        assert code == 0, output
        return str(cast("bytes", output).decode().strip())

    @property
    def api(self) -> Api:
        return Api(self.env["BERTH_URL"], self.inside("web", "cat", "/var/lib/berth/owner-token"))

    def states(self) -> dict[str, str]:
        try:
            nodes = self.api.get("/nodes")["items"]
        except (ApiError, AssertionError, ValueError):
            return {}
        return {one["name"]: one["observed"]["state"] for one in nodes}

    def join(self, command: str) -> None:
        """The printed command, on the second host."""
        argv = shlex.split(command)
        folder = self.folder / "far"
        folder.mkdir()
        argv += [
            "--config",
            str(folder / "agent.json"),
            "--state-dir",
            str(folder / "state"),
            "--name",
            "far",
        ]
        argv += ["--docker-host", self.far_engine.docker_host, "--memory", "2g"]
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.second.netns}", sys.executable, *argv[1:]],
            cwd=programs.ROOT,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")

    def stop(self) -> None:
        self.agent.stop()
        self.compose("down", "--volumes", "--timeout", "2")


@pytest.fixture(scope="module")
def stack(demo_archive: Path) -> Iterator[ComposeLab]:
    require(requirements.engine() or requirements.redis() or requirements.database())
    with Run.create() as run:
        made = ComposeLab(run, demo_archive)
        try:
            made.compose("up", "--detach", "--no-build", "--pull", "never")
            yield made
        finally:
            made.stop()


def test_the_agent_beside_the_console_comes_over_tls(stack: ComposeLab) -> None:
    assert wait_until(lambda: stack.states() == {"local": "ready"}, 90.0, every=0.5), stack.logs()
    config = stack.inside("agent", "cat", "/var/lib/berth-agent/config.json")
    assert f'"console": "https://{stack.first.address}:8443"' in config
    assert f"@{stack.first.address}:8444/0" in config
    assert "rediss://node-" in config


def test_what_is_published_is_the_dashboard_and_two_doors_with_one_certificate(stack: ComposeLab) -> None:
    address = stack.first.address
    authority = stack.inside("web", "cat", "/var/lib/berth/ca/ca.crt")
    trusting = ssl.create_default_context(cadata=authority)
    for port in (8443, 8444):
        with (
            socket.create_connection((address, port), 5) as plain,
            trusting.wrap_socket(plain, server_hostname=address) as secure,
        ):
            assert secure.version() in {"TLSv1.2", "TLSv1.3"}
    with pytest.raises(OSError):
        socket.create_connection((address, 6379), 5)
    assert stack.inside("web", "stat", "-c", "%a %u %g", "/var/lib/berth/tls/server.key") == "640 10001 10001"
    assert stack.inside("web", "stat", "-c", "%a", "/var/lib/berth/ca/ca.key") == "600"


def test_a_further_host_joins_by_the_printed_command_and_gets_containers(stack: ComposeLab) -> None:
    made: dict[str, Any] = stack.api.post("/join-tokens", {})
    assert f"--console https://{stack.first.address}:8443 --token " in made["command"]
    assert " --ca-sha256 " in made["command"]
    stack.join(made["command"])
    stack.agent.start()
    assert wait_until(lambda: stack.states() == {"far": "ready", "local": "ready"}, 60.0, every=0.5), (
        stack.agent.tail(20)
    )
    stack.api.post("/apps", {"name": "both", "compose": BOTH})
    assert wait_until(lambda: _replicas(stack) == 2, 60.0, every=0.5), stack.logs()


def _replicas(stack: ComposeLab) -> int:
    return int(stack.api.get("/apps/both")["app"]["observed"]["replicas"])


def test_redis_serves_a_renewed_certificate_without_a_restart(stack: ComposeLab) -> None:
    """It is told by the listener, and may read the new key as it did the old one."""
    before = _serial(stack, 8444)
    stack.inside("link", "rm", "/var/lib/berth/tls/server.crt")
    stack.inside("link", "python", "-m", "console.link", "--certificates")
    stack.inside("link", "python", "-c", "from console import link; link._tell_broker()")
    assert _serial(stack, 8444) != before


def _serial(stack: ComposeLab, port: int) -> int:
    pem = ssl.get_server_certificate((stack.first.address, port), timeout=5)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number
