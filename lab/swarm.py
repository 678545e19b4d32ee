"""Docker Swarm on engines of its own, to measure against. Swarm refuses live-restore, so these have none."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.engine import Engine
from lab.hosts import Host
from lab.look import unix
from lab.processes import wait_until
from lab.state import Run

POOL = "10.90.0.0/16"
SERVICE = "com.docker.swarm.service.name"


@dataclass(frozen=True)
class SwarmHost:
    host: Host
    engine: Engine


class Swarm:
    """The first host is the manager."""

    def __init__(self, hosts: Sequence[SwarmHost]) -> None:
        """Of these; their engines have no live-restore."""
        self.hosts = list(hosts)
        self._ids: list[str] = []
        self.image = ""

    @classmethod
    def of_its_own(cls, run: Run, *, nodes: int = 3) -> Swarm:
        """On further hosts of the run's network."""
        return cls([_make(run, number) for number in range(1, nodes + 1)])

    def start(self, archive: Path) -> None:
        """With the archive's one image on every host."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: one.engine.start(), self.hosts))
        for one in self.hosts:
            one.engine.load(archive)
        first = self.hosts[0].host.address
        self.docker("swarm", "init", "--advertise-addr", first, "--default-addr-pool", POOL)
        token = self.docker("swarm", "join-token", "-q", "worker").strip()
        for number, one in enumerate(self.hosts[1:], 2):
            address = one.host.address
            argv = ("swarm", "join", "--token", token, "--advertise-addr", address, f"{first}:2377")
            self.docker(*argv, number=number)
        self._ids = [
            self.docker("info", "--format", "{{.Swarm.NodeID}}", number=number).strip()
            for number in range(1, len(self.hosts) + 1)
        ]
        self.image = self.docker("images", "-q", "--no-trunc").split()[0]

    def docker(self, *argv: str, number: int = 1) -> str:
        """The command line of that host's engine. Raises `RuntimeError` with what it said."""
        command = ["docker", "-H", self.hosts[number - 1].engine.docker_host, *argv]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def create(self, name: str, replicas: int) -> None:
        """By the image's id: Swarm looks nothing up."""
        argv = ["service", "create", "-d", "-q", "--name", name, "--replicas", str(replicas)]
        argv += ["--no-resolve-image", "--stop-grace-period", "0s", "--endpoint-mode", "dnsrr"]
        self.docker(*argv, self.image)
        if not wait_until(lambda: len(self.started(name)) == replicas, 90.0, every=0.2):
            raise RuntimeError(f"{name} did not come to {replicas} running containers")

    def remove(self, name: str) -> None:
        self.docker("service", "rm", name)
        if not wait_until(lambda: not self.started(name), 90.0, every=0.2):
            raise RuntimeError(f"containers of {name} are left")

    def started(self, name: str, *, without: int = 0) -> list[float]:
        """When each running container of the service was started, on the engines but for that host's."""
        found = []
        for number, one in enumerate(self.hosts, 1):
            if number == without:
                continue
            with one.engine.client(20.0) as client:
                listed = client.api.containers(filters={"label": f"{SERVICE}={name}"})
                found += [client.api.inspect_container(item["Id"]) for item in listed]
        return [unix(one["State"]["StartedAt"]) for one in found]

    def add_bridge(self, name: str) -> None:
        """A network of that name that each host makes for itself, as `docker network create` would."""
        for number in range(1, len(self.hosts) + 1):
            self.docker("network", "create", "--config-only", f"{name}-of-a-host", number=number)
        argv = ("--scope", "swarm", "--driver", "bridge", "--config-from", f"{name}-of-a-host")
        self.docker("network", "create", *argv, name)

    def state(self, number: int) -> str:
        """Of a node as the manager sees it: `ready`, `down` or `unknown`."""
        answer: list[dict[str, Any]] = json.loads(self.docker("node", "inspect", self._ids[number - 1]))
        return str(answer[0]["Status"]["State"])


def _make(run: Run, number: int) -> SwarmHost:
    host, folder = run.network.add_host(), run.subdirectory(f"s{number}")
    return SwarmHost(host, Engine(folder, netns=host.netns, address=host.address, live_restore=False))
