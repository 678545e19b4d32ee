"""Steps of the real controller, measured. Nodes are simulated: their wire takes every job and says what was asked
to be said. One JSON line per case; see `bench.step` for the database behind it.
"""

from __future__ import annotations

import gc
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.services import create_first_owner
from console.cluster.services import add_node
from console.controller.lease import DatabaseLease
from console.controller.loop import Controller
from console.controller.wire import Beat, Entry
from console.workloads import services
from console.workloads.models import App, Container
from nodeagent import protocol
from scheduler.garbage import look_seldom

NODES, ZONES = 500, 4
SERVICE = 1000
"""Most replicas of one service: larger apps have several."""
CASES = (1_000, 5_000, 20_000)
"""Containers that one step deploys."""
CALM = 5
"""Seconds of the simulated clock after which nothing is due any more."""
_DEMO = protocol.ImageFact(id="sha256:" + "d" * 64, tags=("berth/demo:latest",))
_ENGINE = protocol.Engine(version="28.0", api="1.48", os="linux", arch="amd64")
_DIGEST = "same"


class Swallowing:
    """A wire on which all nodes are in contact. It keeps what was sent, and has said what `say` was given."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.sent: dict[str, list[protocol.Job]] = defaultdict(list)
        self.messages = 0
        self._said: list[Entry] = []

    def say(self, node: str, message: protocol.Up) -> None:
        self._said.append(Entry(str(len(self._said) + 1), node, 1, message))

    def epoch(self) -> str:
        return "bench"

    def read(self, position: str, limit: int) -> list[Entry]:
        first = int(position.partition("-")[0])
        return self._said[first : first + limit]

    def wait(self, position: str, seconds: float) -> None:
        del position, seconds

    def contacts(self) -> Mapping[str, Beat]:
        beat = Beat(session=1, digest=_DIGEST, engine_ok=True, engine_error="", waiting=False)
        return dict.fromkeys(self.nodes, beat)

    def send(self, node: str, jobs: Sequence[protocol.Job]) -> None:
        self.messages += 1
        self.sent[node].extend(jobs)

    def ask(self, node: str) -> None:
        del node


class Cluster:
    """Simulated nodes that are ready, and a controller that leads them."""

    def __init__(self, access: Access) -> None:
        self.access, self.wire = access, Swallowing()
        lease = DatabaseLease("bench")
        lease.acquire()
        self.controller = Controller(self.wire, lease)
        self.now = datetime.now(UTC)
        for number in range(1, NODES + 1):
            made = add_node(name=f"node-{number}", actor="bench", zone=f"zone-{number % ZONES}")
            self.wire.nodes.append(made.node.id)
            self.wire.say(made.node.id, _hello())
        self.settle()

    def settle(self) -> None:
        """Steps until every job so far has had its answer, and what runs counts as well."""
        while self.answer():
            self.read_all()
        for _second in range(CALM):
            self.step()

    def read_all(self) -> None:
        while self.step():
            continue
        self.step()

    def step(self) -> bool:
        self.now += timedelta(seconds=1)
        return self.controller.step(self.now)

    def answer(self) -> int:
        """Each node says that it did what it was told. How many jobs that were."""
        jobs, self.wire.sent = self.wire.sent, defaultdict(list)
        for node, told in jobs.items():
            self.wire.say(node, protocol.Receipt(jobs=tuple(job.id for job in told)))
            if changed := tuple(_running(job) for job in told if isinstance(job, protocol.Ensure)):
                self.wire.say(node, protocol.Delta(changed=changed, removed=(), digest=_DIGEST))
            for job in told:
                self.wire.say(node, protocol.Result(job=job.id, ok=True))
        return sum(map(len, jobs.values()))


def _hello() -> protocol.Hello:
    return protocol.Hello(
        agent="0.1.0",
        address="10.0.0.1",
        public_key=b"k" * 32,
        capacity=protocol.Capacity(cpu=16_000, memory=64 << 30),
        engine=_ENGINE,
        containers=(),
        images=(_DEMO,),
        digest=_DIGEST,
    )


def _running(job: protocol.Ensure) -> protocol.Observed:
    return protocol.Observed(identity=job.identity, engine_id="e" * 64, state="running", running_for=0.0)


def main() -> None:
    look_seldom()
    user, team = create_first_owner(email="bench@example.com")
    cluster = Cluster(Access(user, team, Role.OWNER))
    for line in _cases(cluster):
        print(json.dumps(line), flush=True)


def _cases(cluster: Cluster) -> Iterator[dict[str, Any]]:
    _deploy(cluster, "warm", NODES)
    cluster.step()
    _clear(cluster)
    for count in CASES:
        app = _deploy(cluster, f"app-{count}", count)
        yield _measure(cluster, "a step deploys all", count, cluster.step)
        cluster.answer()
        yield _measure(cluster, "steps take in the reports that all run", count, cluster.read_all)
        cluster.settle()
        services.scale(cluster.access, app.services.order_by("name")[0], replicas=min(count, SERVICE) - 1)
        cluster.step()
        cluster.settle()
        services.scale(cluster.access, app.services.order_by("name")[0], replicas=min(count, SERVICE))
        yield _measure(cluster, f"a step adds one to {count}", 1, cluster.step)
        cluster.settle()
        yield _measure(cluster, f"a step with nothing to do, {count} running", 0, cluster.step)
        if count != CASES[-1]:
            _clear(cluster)
    _deploy(cluster, "last", 1000)
    yield _measure(cluster, f"a step deploys all, {CASES[-1]} running", 1000, cluster.step)


def _deploy(cluster: Cluster, name: str, count: int) -> App:
    sizes = [SERVICE] * (count // SERVICE) + [count % SERVICE] * bool(count % SERVICE)
    text = "".join(
        f"  web-{number}:\n    image: berth/demo\n    deploy: {{replicas: {size}}}\n"
        for number, size in enumerate(sizes, 1)
    )
    operation = services.create_app(cluster.access, name=name, compose=f"services:\n{text}")
    return App.objects.get(pk=operation.app_id)


def _clear(cluster: Cluster) -> None:
    """Delete every app and everything of it."""
    cluster.settle()
    for app in App.objects.all():
        services.delete_app(cluster.access, app, delete_volumes=False)
    while App.objects.exists():
        cluster.step()
        _say_ended(cluster)


def _say_ended(cluster: Cluster) -> None:
    jobs, cluster.wire.sent = cluster.wire.sent, defaultdict(list)
    for node, told in jobs.items():
        for job in told:
            cluster.wire.say(node, protocol.Result(job=job.id, ok=True))


def _measure(cluster: Cluster, case: str, count: int, do: Callable[[], object]) -> dict[str, Any]:
    """`seconds` of wall clock, `cpu_seconds` of this process alone; `messages` went to nodes."""
    statements, messages = 0, cluster.wire.messages

    def counted(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*arguments)

    gc.collect()
    with connection.execute_wrapper(counted):
        wall, cpu = time.perf_counter(), time.process_time()
        do()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "case": case,
        "containers": count,
        "nodes": NODES,
        "running": Container.objects.filter(removed_at=None).count(),
        "seconds": round(wall, 3),
        "cpu_seconds": round(cpu, 3),
        "ms_per_container": round(1000 * wall / count, 3) if count else None,
        "statements": statements,
        "messages": cluster.wire.messages - messages,
    }
