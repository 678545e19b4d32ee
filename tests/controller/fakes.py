"""A wire without Redis and agents without engines, for the controller's own tests: one thread, a fake clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from console.controller.loop import Controller
from console.controller.wire import Beat, Entry
from nodeagent import protocol
from tests.controller.swarm import FakeSwarm

IN_REGISTRY = "sha256:" + "e" * 64
DEMO = protocol.ImageFact(id="sha256:" + "d" * 64, tags=("berth/demo:latest",))


class NoLease:
    """Leads always."""

    def acquire(self) -> bool:
        return True

    def renew(self) -> None:
        return None

    def release(self) -> None:
        return None


@dataclass
class FakeWire:
    """Keeps the stream in a list; agents that are connected answer at once."""

    agents: dict[str, FakeAgent] = field(default_factory=dict)
    stream: list[Entry] = field(default_factory=list)
    word: str = "first"
    blind: bool = False
    silent: set[str] = field(default_factory=set)
    """Nodes whose heartbeats are not in Redis."""
    lose_jobs: bool = False
    asked: list[str] = field(default_factory=list)
    sent: list[tuple[str, protocol.Job]] = field(default_factory=list)

    def epoch(self) -> str:
        return self.word

    def read(self, position: str, limit: int) -> list[Entry]:
        return [entry for entry in self.stream if int(entry.position) > int(position.partition("-")[0])][
            :limit
        ]

    def wait(self, position: str, seconds: float) -> None:
        return None

    def contacts(self) -> Mapping[str, Beat] | None:
        if self.blind:
            return None
        return {
            id_: Beat(
                session=agent.session,
                digest=agent.digest,
                engine_ok=agent.engine_ok,
                engine_error="" if agent.engine_ok else "no socket",
                waiting=False,
                disk=agent.filesystem,
                age=agent.silence,
            )
            for id_, agent in self.agents.items()
            if agent.session and id_ not in self.silent
        }

    def send(self, node: str, jobs: Sequence[protocol.Job]) -> None:
        for job in jobs:
            self.sent.append((node, job))
            if not self.lose_jobs and self.agents[node].linked:
                self.agents[node].take(protocol.batch_from_builtins(_wired(node, job)).jobs[0])

    def ask(self, node: str) -> None:
        self.asked.append(node)
        if self.agents[node].linked:
            self.agents[node].hello()

    def push(self, agent: FakeAgent, message: protocol.Up) -> None:
        position = str(len(self.stream) + 1)
        again = protocol.decode_up(protocol.encode(message))
        self.stream.append(Entry(position, agent.node, agent.session, again))

    def wipe(self) -> None:
        self.stream.clear()
        self.word += "!"


def _wired(node: str, job: protocol.Job) -> object:
    return protocol.batch_to_builtins(protocol.Batch(node=node, jobs=(job,)))


@dataclass
class FakeAgent:
    """Does at once what it is told, and reports. `broken` maps a service to the result its start gives,
    `health` a service that has a check to what that says first, `failing` a kind of job to how often it goes
    wrong. While it is `holding`, jobs wait for `let_go`."""

    node: str
    wire: FakeWire
    cpu: int = 4000
    memory: int = 8 << 30
    disk: int = 0
    resources: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    images: tuple[protocol.ImageFact, ...] = (DEMO,)
    registry: dict[str, str] = field(default_factory=dict)
    broken: dict[str, protocol.Result] = field(default_factory=dict)
    health: dict[str, protocol.Health] = field(default_factory=dict)
    version: int = protocol.VERSION
    filesystem: protocol.Disk | None = None
    session: int = 0
    silence: float = 0.0
    engine_ok: bool = True
    containers: dict[tuple[str, int], protocol.Observed] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    fence: dict[str, int] = field(default_factory=dict)
    synced: int = 0
    failing: dict[type[protocol.Job], int] = field(default_factory=dict)
    in_use: set[str] = field(default_factory=set)
    """Volumes that its engine does not remove, for something uses them."""
    holding: bool = False
    held: list[protocol.Job] = field(default_factory=list)
    started: set[tuple[str, int]] = field(default_factory=set)
    stopped: set[tuple[str, int]] = field(default_factory=set)
    swarm: FakeSwarm | None = None

    def __post_init__(self) -> None:
        self.wire.agents[self.node] = self

    @property
    def linked(self) -> bool:
        return self.session > 0 and self.silence == 0

    @property
    def digest(self) -> str:
        facts = sorted((*key, one.state, one.health, one.restarts) for key, one in self.containers.items())
        return str(facts)[:64]

    def connect(self) -> None:
        self.session, self.silence = self.session + 1, 0.0
        self.started.clear()
        self.hello()

    def hello(self) -> None:
        self.wire.push(
            self,
            protocol.Hello(
                version=self.version,
                agent="0.1.0",
                address="10.0.0.1",
                public_key=b"k" * 32,
                capacity=protocol.Capacity(
                    cpu=self.cpu, memory=self.memory, disk=self.disk, resources=self.resources
                ),
                labels=self.labels,
                engine=protocol.Engine(version="20.10", api="1.41", os="linux", arch="amd64")
                if self.engine_ok
                else None,
                containers=tuple(self.containers.values()),
                images=self.images,
                overlay=self.swarm.facts(self) if self.swarm else None,
                generations=self.fence,
                digest=self.digest,
            ),
        )

    def let_go(self) -> None:
        self.holding = False
        while self.held:
            self._do(self.held.pop(0))

    def take(self, job: protocol.Job) -> None:
        self.wire.push(self, protocol.Receipt(jobs=(job.id,)))
        if self.holding:
            self.held.append(job)
        else:
            self._do(job)

    def _do(self, job: protocol.Job) -> None:
        if self.failing.get(type(job), 0) > 0:
            self.failing[type(job)] -= 1
            self._refuse(job.id, "engine", "The engine does not answer in time.")
            return
        match job:
            case protocol.Sync():
                self.synced = job.session
                kept = {*job.keep, *self.started}
                gone = [key for key in self.containers if key not in kept]
                for key in gone:
                    del self.containers[key]
                self._delta((), tuple(gone))
                message = f"{len(gone)} containers that were not its own were stopped."
                self.wire.push(self, protocol.Result(job=job.id, ok=True, message=message))
            case protocol.Pull(resolve=True):
                self._resolve(job)
            case protocol.Pull():
                self._fetch(job)
            case protocol.Ensure():
                self._ensure(job)
            case protocol.Stop():
                self.stopped.add((job.slot, job.generation))
                self.end(job.slot, job.generation, 143)
                self._result(job.id)
            case protocol.Remove():
                self._remove(job)
            case protocol.Tidy():
                self._tidy(job)
            case protocol.Swarm() | protocol.Network():
                assert self.swarm
                self.wire.push(self, self.swarm.obey(self, job))

    def _remove(self, job: protocol.Remove) -> None:
        key = (job.slot, job.generation)
        if job.generation < 1:
            self._refuse(
                job.id, "refused", f"Generation {job.generation} is not a number from 1 on.", fatal=True
            )
        elif key in self.containers and self.containers[key].state == "running":
            self._refuse(job.id, "engine", "The container runs; it is not removed.")
        elif self.in_use.intersection(job.volumes):
            self._refuse(job.id, "in-use", "The volume cannot be removed: volume is in use")
        else:
            if self.containers.pop(key, None):
                self._delta((), (key,))
            self._result(job.id)

    def _tidy(self, job: protocol.Tidy) -> None:
        gone = tuple(image for image in self.images if image.id in job.images)
        self.images = tuple(image for image in self.images if image not in gone)
        self.wire.push(self, protocol.Images(images=self.images))
        self.wire.push(self, protocol.Result(job=job.id, ok=True, removed=gone))

    def _resolve(self, job: protocol.Pull) -> None:
        digest = self.registry.get(job.image)
        if digest is None:
            message = f"The registry does not know {job.image}."
            self.wire.push(
                self, protocol.Result(job=job.id, ok=False, code="image", message=message, fatal=True)
            )
            return
        image = protocol.ImageFact(id=IN_REGISTRY, digests=(digest,))
        self.wire.push(self, protocol.Result(job=job.id, ok=True, image=image))

    def _fetch(self, job: protocol.Pull) -> None:
        if job.image not in self.registry.values():
            self._refuse(job.id, "image-missing", f"{job.image}: manifest unknown", fatal=True)
            return
        self.images = (*self.images, protocol.ImageFact(id=IN_REGISTRY, digests=(job.image,)))
        self.wire.push(self, protocol.Images(images=self.images))
        self._result(job.id)

    def _ensure(self, job: protocol.Ensure) -> None:
        identity = job.identity
        if broken := self.broken.get(identity.service):
            self.wire.push(self, msgspec.structs.replace(broken, job=job.id))
            return
        key = (identity.slot, identity.generation)
        if key in self.stopped or identity.generation < self.fence.get(identity.slot, 0):
            self._refuse(job.id, "stale", "It was told to stop before.", fatal=True)
            return
        self.started.add(key)
        if key not in self.containers:
            self.starts.append(identity.name)
            self.fence[identity.slot] = max(identity.generation, self.fence.get(identity.slot, 0))
            health: protocol.Health = (
                self.health.get(identity.service, "healthy") if job.spec.healthcheck else "none"
            )
            self.containers[key] = protocol.Observed(
                identity=identity, engine_id="e" * 64, state="running", running_for=0.0, health=health
            )
            self._delta((self.containers[key],), ())
        self._result(job.id)

    def end(self, slot: str, generation: int, code: int) -> None:
        """The container ends by itself, or because it was told to."""
        key = (slot, generation)
        if key in self.containers:
            self.change(key, state="exited", exit_code=code, running_for=None, ended_ago=0.0)

    def change(self, key: tuple[str, int], **facts: object) -> None:
        self.containers[key] = msgspec.structs.replace(self.containers[key], **facts)
        self._delta((self.containers[key],), ())

    def vanish(self, key: tuple[str, int]) -> None:
        del self.containers[key]
        self._delta((), (key,))

    def _delta(self, changed: tuple[protocol.Observed, ...], removed: tuple[tuple[str, int], ...]) -> None:
        self.wire.push(self, protocol.Delta(changed=changed, removed=removed, digest=self.digest))

    def _refuse(self, job: str, code: str, message: str, *, fatal: bool = False) -> None:
        self.wire.push(self, protocol.Result(job=job, ok=False, code=code, message=message, fatal=fatal))

    def _result(self, job: str) -> None:
        self.wire.push(self, protocol.Result(job=job, ok=True))


@dataclass
class World:
    """A controller, its wire, and the clock that only `run` moves."""

    wire: FakeWire = field(default_factory=FakeWire)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.controller = Controller(self.wire, NoLease())

    def run(self, seconds: float = 5.0, tick: float = 0.5) -> None:
        """Steps every `tick` seconds of the fake clock."""
        for _step in range(int(seconds / tick)):
            self.now += timedelta(seconds=tick)
            for agent in self.wire.agents.values():
                if agent.silence:
                    agent.silence += tick
            self.controller.step(self.now)

    def restart_controller(self) -> None:
        self.controller = Controller(self.wire, NoLease())
