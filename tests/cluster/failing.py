"""Questions of the tests that break a cluster: what the engines say, and what the history tells."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.eventlog import EventLog
from lab.look import look, look_at
from lab.processes import wait_until
from lab.runs import Run, doubled, runs_of
from nodeagent import protocol
from tests.cluster.conftest import COMPOSE, Cluster

REPLICAS = 6
STATELESS = COMPOSE % REPLICAS
BOUND = "services:\n  db:\n    image: berth/demo\n    volumes: ['data:/data']\nvolumes: {data: {}}\n"
EXCLUSIVE = "services:\n  only:\n    image: berth/demo\n    x-berth: {exclusive: true}\n"
EVERYWHERE = "services:\n  each:\n    image: berth/demo\n    deploy: {mode: global}\n"


@dataclass(frozen=True)
class Failing(Cluster):
    """`log` runs since before the test; `since` is the newest event of before."""

    log: EventLog
    since: int

    def run(self, name: str, compose: str, replicas: int) -> str:
        """Deploys and waits; the app's id."""
        app: str = self.lab.api.post("/apps", {"name": name, "compose": compose})["operation"]["app"]["id"]
        assert self.settles(app, replicas), self.lab.report()
        return app

    # -- the engines

    def running(self, app: str, *, without: str = "") -> dict[str, list[str]]:
        """Nodes by slot, of running containers on the engines, but for one node's."""
        found: dict[str, list[str]] = {}
        for host in self.lab.hosts:
            if host.name != without:
                for one in look_at(host.engine, app):
                    if one.running:
                        found.setdefault(one.name, []).append(host.name)
        return found

    def fills(self, app: str, replicas: int, *, without: str, timeout: float = 30.0) -> bool:
        """Whether that many slots come to run on the other nodes."""
        return wait_until(lambda: len(self.running(app, without=without)) == replicas, timeout, every=0.2)

    def started(self, app: str) -> set[tuple[str, float]]:
        """Engine's id and start of each running container: the same set means that none was restarted."""
        seen = [one for host in self.lab.hosts for one in look_at(host.engine, app)]
        return {(one.id, one.started) for one in seen if one.running}

    def runs(self, slot: str) -> list[Run]:
        """Of a slot, by its name, from the engines' own logs."""
        return [run for run in runs_of(self.log.moments()) if run.name == slot]

    def never_twice(self) -> bool:
        """No slot at all ran twice at once."""
        return doubled(runs_of(self.log.moments())) == []

    def host_of(self, slot: str) -> int:
        """Number of the host on which its latest container is."""
        return int(self.runs(slot)[-1].node.partition("-")[2])

    def stray(self, number: int) -> tuple[str, str]:
        """Runs two containers on that host that its console never asked for: one with the cluster's own labels, and one
        with another cluster's. Their ids."""
        with self.lab.hosts[number - 1].engine.client(20.0) as client:
            [like, *_others] = [one for one in look(client) if one.running]
            made = []
            for slot, cluster in (("stray", like.labels[protocol.LABEL_CLUSTER]), ("foreign", "another")):
                labels = {**like.labels, protocol.LABEL_SLOT: slot, protocol.LABEL_CLUSTER: cluster}
                labels |= {protocol.LABEL_GENERATION: "1", protocol.LABEL_CONTAINER: slot}
                name = protocol.engine_name(slot, 1)
                one = client.containers.run("berth/demo", name=name, labels=labels, detach=True)
                made.append(str(one.id))
            return made[0], made[1]

    def there(self, number: int, id_: str) -> bool:
        """Whether that host's engine has the container, running or not."""
        with self.lab.hosts[number - 1].engine.client(20.0) as client:
            return any(one.id == id_ for one in look(client))

    def remove(self, number: int, id_: str) -> None:
        with self.lab.hosts[number - 1].engine.client(20.0) as client:
            client.api.remove_container(id_, force=True)

    # -- the console

    def node_is(self, number: int, state: str, timeout: float = 30.0) -> bool:
        return wait_until(lambda: self.state_of(number) == state, timeout, every=0.2)

    def state_of(self, number: int) -> str:
        nodes = self.lab.api.get("/nodes")["items"]
        return next(str(one["observed"]["state"]) for one in nodes if one["name"] == f"node-{number}")

    def ends(self, operation: str, timeout: float) -> tuple[str, str]:
        """State and error of an operation once it has ended, or as it stands after that time."""

        def look() -> tuple[str, str]:
            found = self.lab.api.get(f"/operations/{operation}")
            return found["state"], found["error"]

        wait_until(lambda: look()[0] != "running", timeout, every=0.5)
        return look()

    def foreign(self, number: int) -> int:
        """Containers of other clusters on that host, as the console knows them."""
        return int(self.lab.api.get(f"/nodes/node-{number}")["node"]["observed"]["foreign_containers"])

    def history(self) -> list[tuple[str, str]]:
        """Kind and message of every event since the test began, the oldest first."""
        items: list[dict[str, Any]] = []
        path = "/events?limit=200"
        while True:
            page = self.lab.api.get(path)["items"]
            items += [item for item in page if item["id"] > self.since]
            if len(page) < 200 or page[-1]["id"] <= self.since:
                return [(item["kind"], item["message"]) for item in reversed(items)]
            path = f"/events?limit=200&before={page[-1]['id']}"

    def tells(self, *steps: tuple[str, str]) -> bool:
        """Whether the history has these in this order: a kind, and words of the message."""
        wanted = list(steps)
        for kind, message in self.history():
            if wanted and kind == wanted[0][0] and wanted[0][1] in message:
                wanted.pop(0)
        return not wanted

    def says(self, slot_words: Sequence[str]) -> bool:
        """Whether one message has all of these words."""
        return any(all(word in message for word in slot_words) for _kind, message in self.history())


def serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
            return bool(answer.read() == b"ok\n")
    except (urllib.error.URLError, OSError):
        return False
