"""Two of each of the console's processes on PostgreSQL: they share the work, and one of each may die."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from lab import programs, requirements
from lab.api import Api
from lab.lab import PORT, Lab
from lab.processes import Process, wait_until
from lab.state import Run
from tests.cluster.conftest import Cluster
from tests.conftest import require

pytestmark = [pytest.mark.engine, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

REPLICAS = 4


@dataclass
class Doubles:
    """A lab with a second web, controller and worker. `other` is the API of the second web process."""

    cluster: Cluster
    web: Process
    controller: Process
    worker: Process
    other: Api = field(init=False)

    def __post_init__(self) -> None:
        address = self.cluster.lab.console.url.rpartition(":")[0]
        self.other = Api(f"{address}:{PORT + 1}", self.cluster.lab.owner_token)

    @property
    def seconds(self) -> list[Process]:
        return [self.web, self.controller, self.worker]


@pytest.fixture
def doubles() -> Iterator[Doubles]:
    require(requirements.engine() or requirements.redis() or requirements.database())
    with Run.create() as run:
        lab = Lab(run, nodes=2, database="postgres")
        env, address = lab.console.env, run.network.gateway
        home = run.subdirectory("second-worker")
        made = {
            "web": programs.web(address, PORT + 1),
            "controller": programs.controller(),
            "worker": programs.worker(home),
        }
        others = {
            name: run.process(f"second-{name}", argv, env=env, cwd=programs.ROOT)
            for name, argv in made.items()
        }
        try:
            lab.start()
            for process in others.values():
                process.start()
            found = Doubles(Cluster(lab), **others)
            assert wait_until(lambda: _answers(found.other), 30.0), found.web.tail()
            yield found
        finally:
            for process in others.values():
                process.stop()
            lab.stop()


def _answers(api: Api) -> bool:
    try:
        return bool(api.get("/apps")["items"] == [])
    except Exception:  # noqa: BLE001  (whatever it is, it is not up yet)
        return False


def test_two_of_everything_work_together_and_one_of_each_may_die(doubles: Doubles) -> None:
    cluster, other = doubles.cluster, doubles.other
    app = other.post("/apps", {"name": "both", "compose": _compose("berth/demo")})["operation"]["app"]["id"]
    assert cluster.settles(app, REPLICAS), cluster.lab.report()
    assert _lines(doubles) >= REPLICAS

    # The second of each takes over in the middle of a rollout that the first began.
    operation = cluster.lab.api.post("/apps/both/releases", {"compose": _compose("berth/demo", "B")})[
        "operation"
    ]
    for name in ("controller", "worker"):
        cluster.lab.kill(name)
    ended = other.get(f"/operations/{operation['id']}/wait?timeout=90")
    assert (ended["state"], ended["error"]) == ("succeeded", ""), doubles.controller.tail(30)
    assert cluster.settles(app, REPLICAS), doubles.controller.tail(30)

    # And back: the first ones return, the second ones go.
    for name in ("controller", "worker"):
        cluster.lab.start_one(name)
    for process in (doubles.controller, doubles.worker, doubles.web):
        process.kill()
    cluster.lab.api.post("/apps/both/services/web/scale", {"replicas": REPLICAS + 2})
    assert cluster.settles(app, REPLICAS + 2), cluster.lab.report()


def _compose(image: str, word: str = "A") -> str:
    return (
        f"services:\n  web:\n    image: {image}\n    environment: {{WORD: {word}}}\n    stop_grace_period: 1s\n"
        f"    deploy: {{replicas: {REPLICAS}, update_config: {{order: start-first, monitor: 1s}}}}\n"
    )


def _lines(doubles: Doubles) -> int:
    """Logs come through the web process that has no agent's link, too."""
    lab = doubles.cluster.lab
    address = f"{lab.console.url.rpartition(':')[0]}:{PORT + 1}/api/v1/teams/default/apps/both/logs?tail=5"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {lab.owner_token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return len([line for line in answer if b'"line"' in line])
