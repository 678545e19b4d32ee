"""What a test of the whole cluster asks of the engines themselves."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from lab.api import ApiError
from lab.lab import Lab
from lab.processes import wait_until
from nodeagent import protocol

COMPOSE = "services:\n  web:\n    image: berth/demo\n    deploy: {replicas: %d}\n"


@dataclass(frozen=True)
class Cluster:
    """The lab, with the questions that tests ask."""

    lab: Lab

    def deploy(self, name: str, replicas: int) -> dict[str, Any]:
        """The operation of a new app of one service `web`."""
        body = {"name": name, "compose": COMPOSE % replicas}
        operation: dict[str, Any] = self.lab.api.post("/apps", body)["operation"]
        return operation

    def containers(self, app: str) -> list[tuple[str, str, str]]:
        """(node, slot's name, engine state) of each container of the app that any engine has, ended ones too."""
        found = []
        for node in self.lab.hosts:
            with closing(docker.DockerClient(base_url=node.engine.docker_host, timeout=20)) as client:
                for one in client.containers.list(
                    all=True, filters={"label": f"{protocol.LABEL_APP}={app}"}, ignore_removed=True
                ):
                    found.append((node.name, one.labels[protocol.LABEL_NAME], one.status))
        return sorted(found)

    def exactly(self, app: str, replicas: int) -> bool:
        """That many slots are filled, each once, and nothing else of the app is on any engine."""
        found = self.containers(app)
        slots = Counter(slot for _node, slot, _state in found)
        return len(slots) == replicas == len(found) and {state for _n, _s, state in found} <= {"running"}

    def settles(self, app: str, replicas: int, timeout: float = 60.0) -> bool:
        """Whether the engines come to exactly that, and the API says so too."""
        return wait_until(
            lambda: self.exactly(app, replicas) and self.observed(app) == replicas, timeout, every=0.5
        )

    def observed(self, app: str) -> int:
        """Replicas that the API calls well; -1 while the web process is not up."""
        try:
            observed: int = self.lab.api.get(f"/apps/{app}")["app"]["observed"]["replicas"]
        except ApiError as error:
            if error.status:
                raise
            return -1
        return observed

    def remove_by_hand(self, node: str, slot: str) -> None:
        """`docker rm -f`, as somebody on the host might."""
        host = next(host for host in self.lab.hosts if host.name == node)
        with closing(docker.DockerClient(base_url=host.engine.docker_host, timeout=20)) as client:
            [one] = client.containers.list(filters={"label": f"{protocol.LABEL_NAME}={slot}"})
            one.remove(force=True)

    def generation(self, app: str, slot: str) -> int:
        """Of the slot's container that the API shows as running; 0 for none."""
        items = self.lab.api.get(f"/apps/{app}/containers")["items"]
        running = [one for one in items if one["observed"]["state"] == "running" and one["name"] == slot]
        return running[0]["generation"] if running else 0


@pytest.fixture
def cluster(lab3: Lab) -> Cluster:
    return Cluster(lab3)
