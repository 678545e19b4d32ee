"""A host joins by the printed command, over TLS on both links, and all that may go wrong on its way."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from console.common import pki
from lab import programs, requirements
from lab.api import ApiError
from lab.engine import Engine
from lab.lab import Lab
from lab.processes import Process, wait_until
from lab.redis_server import Tls, free_port, write_config
from lab.state import Run
from nodeagent import protocol
from tests.conftest import require

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

COMPOSE = """
services:
  web:
    image: berth/demo
    deploy: {placement: {constraints: [node.labels.disk == ssd]}}
"""


class TlsLab:
    """A lab of one node whose links are TLS, and a second host that is no node yet."""

    def __init__(self, run: Run, demo: Path) -> None:
        address, link_port, broker_port = run.network.gateway, 8443, free_port(run.network.gateway)
        self.address = address
        settings = {
            "BERTH_LINK_URL": f"https://{address}:{link_port}",
            "BERTH_BROKER_URL": f"rediss://{address}:{broker_port}/0",
        }
        self.lab = Lab(run, nodes=1, settings=settings)
        self.env = self.lab.console.env
        files = pki.ensure_server(self.lab.console.home, {address, "localhost", "127.0.0.1", "::1"})
        redis = self.lab.redis
        write_config(
            redis.socket.parent,
            port=redis.port,
            password=redis.password,
            bind=("127.0.0.1", address),
            tls=Tls(broker_port, files.certificate, files.key),
        )
        self.link = run.process("link", programs.link(address, link_port), env=self.env, cwd=programs.ROOT)
        self.host = run.network.add_host()
        self.folder = run.subdirectory("second")
        self.engine = Engine(self.folder, netns=self.host.netns, address=self.host.address)
        self.engine.start()
        self.engine.load(demo)
        self.agent: Process = run.process(
            "second-agent",
            programs.agent(self.config),
            env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"},
            cwd=programs.ROOT,
            netns=self.host.netns,
        )

    @property
    def config(self) -> Path:
        return self.folder / "agent.json"

    def start(self) -> None:
        self.link.start()
        self.lab.start()

    def stop(self) -> None:
        self.agent.stop()
        self.link.stop()
        self.lab.stop()

    def new_token(self, **given: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.lab.api.post("/join-tokens", given)
        return found

    def join(self, command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The printed command on the second host, with where its engine and its state are."""
        folder = folder or self.folder
        argv = shlex.split(command)
        assert argv[0] == "python"
        more = ["--config", str(folder / "agent.json"), "--state-dir", str(folder / "state")]
        more += ["--docker-host", self.engine.docker_host, "--label", "disk=ssd", "--memory", "2g"]
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.host.netns}", sys.executable, *argv[1:], *more],
            cwd=programs.ROOT,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def node(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.lab.api.get(f"/nodes/{name}")["node"]
        return found

    def state(self, name: str) -> str:
        return str(self.node(name)["observed"]["state"])

    def running(self) -> list[str]:
        """Engine states of Berth's containers on the second host."""
        with closing(docker.DockerClient(base_url=self.engine.docker_host, timeout=20)) as client:
            found = client.containers.list(all=True, filters={"label": protocol.LABEL_APP})
            return [one.status for one in found]

    def report(self) -> str:
        return f"{self.lab.report()}\n--- link\n{self.link.tail(8)}\n--- second agent\n{self.agent.tail(20)}"


@pytest.fixture(scope="module")
def tls_lab() -> Iterator[TlsLab]:
    require(requirements.engine() or requirements.redis())
    with Run.create() as run:
        from lab import demo_image

        demo = run.directory / "demo-second.tar"
        demo_image.build(demo)
        made = TlsLab(run, demo)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def test_a_second_host_joins_by_the_printed_command_gets_a_container_and_leaves(
    tls_lab: TlsLab, tmp_path: Path
) -> None:
    lab = tls_lab.lab
    made = tls_lab.new_token(zone="rack-2")
    assert (
        f"--console https://{tls_lab.address}:8443 --token {made['secret']} --ca-sha256 " in made["command"]
    )

    wrong_pin = made["command"].rpartition(" ")[0] + " " + "0" * 64
    refused = tls_lab.join(wrong_pin, tmp_path / "pin")
    assert refused.returncode == 1
    assert "is not the one of --ca-sha256" in refused.stderr

    joined = tls_lab.join(made["command"] + " --name second")
    assert (joined.returncode, joined.stderr) == (0, ""), tls_lab.report()
    assert tls_lab.config.stat().st_mode & 0o777 == 0o600
    config = json.loads(tls_lab.config.read_text())
    assert config["broker"].startswith("rediss://node-")
    assert config["address"] == tls_lab.host.address
    again = tls_lab.join(made["command"] + " --name third", tmp_path / "again")
    assert again.returncode == 1
    assert "was used already, for node second" in again.stderr
    assert not (tmp_path / "again" / "agent.json").exists()
    assert "this host has joined already" in tls_lab.join(made["command"]).stderr

    tls_lab.agent.start()
    assert wait_until(lambda: tls_lab.state("second") == "ready", 30.0, every=0.25), tls_lab.report()
    assert tls_lab.node("second")["desired"]["zone"] == "rack-2"
    lab.api.post("/apps", {"name": "web", "compose": COMPOSE})
    assert wait_until(lambda: tls_lab.running() == ["running"], 30.0, every=0.25), tls_lab.report()

    _rotates(tls_lab)
    _is_revoked_and_joins_again(tls_lab)
    _leaves(tls_lab)


def _credentials(tls_lab: TlsLab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tls_lab.folder / "state" / "credentials.json").read_text())
    return found


def _rotates(tls_lab: TlsLab) -> None:
    """On an operator's order, and jobs arrive with the new ones."""
    before = _credentials(tls_lab)["present"]
    tls_lab.lab.api.post("/nodes/second/rotate")
    assert wait_until(
        lambda: tls_lab.node("second")["credential"]["renewed_at"] is not None, 20.0, every=0.1
    ), tls_lab.report()
    assert wait_until(lambda: _credentials(tls_lab)["next"] is None, 10.0, every=0.1), tls_lab.report()
    after = _credentials(tls_lab)
    assert {after["present"][key] == before[key] for key in ("token", "password")} == {False}
    tls_lab.lab.api.post("/apps/web/restart")
    assert wait_until(lambda: tls_lab.state("second") == "ready", 20.0), tls_lab.report()
    assert wait_until(
        lambda: (
            [
                (one["generation"], one["observed"]["state"])
                for one in tls_lab.lab.api.get("/apps/web/containers")["items"]
            ]
            == [(2, "running")]
        ),
        40.0,
        every=0.25,
    ), tls_lab.report()


def _is_revoked_and_joins_again(tls_lab: TlsLab) -> None:
    api = tls_lab.lab.api
    answer = api.post("/nodes/second/revoke")
    assert answer["credential"]["revoked_at"] is not None
    assert wait_until(lambda: not tls_lab.agent.alive, 10.0), tls_lab.report()
    assert "This node's credentials were revoked." in tls_lab.agent.tail(20)
    assert tls_lab.running() == ["running"]

    made = tls_lab.new_token(node="second")
    assert tls_lab.join(made["command"] + " --force").returncode == 0
    tls_lab.agent.start()
    assert wait_until(lambda: tls_lab.state("second") == "ready", 30.0, every=0.25), tls_lab.report()
    assert tls_lab.running() == ["running"]


def _leaves(tls_lab: TlsLab) -> None:
    """Drained first; its container can run nowhere else, so the app goes; then it is removed by itself."""
    api = tls_lab.lab.api
    with pytest.raises(ApiError) as kept:
        api.delete("/nodes/second")
    assert kept.value.status == 409
    assert "still holds 1 containers and 0 volumes" in kept.value.body
    assert api.post("/nodes/second/leave")["desired"]["leaving"] is True
    api.delete("/apps/web")
    assert wait_until(
        lambda: [n["name"] for n in api.get("/nodes")["items"]] == ["node-1"], 60.0, every=0.5
    ), tls_lab.report()
    assert wait_until(lambda: not tls_lab.agent.alive, 10.0), tls_lab.report()
    assert "This node was removed from the console." in tls_lab.agent.tail(20)
