"""Redis, as far as the loop knows it: the report stream, heartbeats, a queue per node; and the controller's wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import redis

from console.controller.wire import Beat, Entry
from nodeagent import protocol
from nodeagent.protocol import Batch

if TYPE_CHECKING:
    from sim.host import Host
    from sim.world import World


class Redis:
    def __init__(self, world: World) -> None:
        self._world = world
        self.away = False
        self.word = 1
        self._stream: list[Entry] = []
        self._number = 0
        self._beats: dict[str, tuple[float, Beat]] = {}
        self._queues: dict[str, list[Batch]] = {}

    def wipe(self) -> None:
        self.word += 1
        self._number = 0
        self._stream, self._beats, self._queues = [], {}, {}

    def demand(self) -> None:
        if self.away:
            raise redis.ConnectionError("Redis is away")

    def add(self, node: str = "", session: int = 0, message: protocol.Up | None = None) -> None:
        self._number += 1
        self._stream.append(Entry(f"{self._number}-0", node, session, message))
        self._world.consoles.wake()

    def read(self, position: str, limit: int) -> list[Entry]:
        after = int(position.partition("-")[0])
        first = self._number - len(self._stream)
        return self._stream[max(0, after - first) :][:limit]

    def store_beat(self, node: str, beat: Beat) -> None:
        self._beats[node] = (self._world.clock.now, beat)

    def contacts(self) -> Mapping[str, Beat] | None:
        if self.away or not self._beats:
            return None
        now = self._world.clock.now
        return {node: msgspec.structs.replace(beat, age=now - at) for node, (at, beat) in self._beats.items()}

    # -- the broker

    def push(self, node: str, jobs: Sequence[protocol.Job]) -> None:
        self.demand()
        batch = protocol.batch_from_builtins(
            protocol.batch_to_builtins(protocol.Batch(node=node, jobs=tuple(jobs)))
        )
        rates, random = self._world.rates, self._world.random
        if rates.job_lost and random.random() < rates.job_lost:
            self._world.note(f"a batch for {self._world.name_of(node)} is lost")
            return
        if rates.job_late and random.random() < rates.job_late:
            self._world.clock.at(random.random() * 8, lambda: self._append(node, batch))
        else:
            self._append(node, batch)
        if rates.job_doubled and random.random() < rates.job_doubled:
            self._world.clock.at(random.random() * 12, lambda: self._append(node, batch))

    def _append(self, node: str, batch: Batch) -> None:
        if not self.away:
            self._queues.setdefault(node, []).append(batch)

    def pop(self, host: Host) -> Batch | None:
        queue = self._queues.get(host.node)
        if not queue or self.away or host.broker_cut:
            return None
        return queue.pop(0)


class SimWire:
    """The controller's port. Each call is a point at which its process may die or be stopped for a while."""

    def __init__(self, world: World, stall: Stall) -> None:
        self._world = world
        self._stall = stall

    def _yield(self) -> Redis:
        self._world.points()
        self._stall()
        return self._world.redis

    def epoch(self) -> str:
        found = self._yield()
        found.demand()
        return f"epoch-{found.word}"

    def read(self, position: str, limit: int) -> list[Entry]:
        found = self._yield()
        found.demand()
        return found.read(position, limit)

    def wait(self, position: str, seconds: float) -> None:
        """The console's driver does the waiting."""

    def contacts(self) -> Mapping[str, Beat] | None:
        return self._yield().contacts()

    def send(self, node: str, jobs: Sequence[protocol.Job]) -> None:
        found = self._yield()
        kinds = ", ".join(f"{type(job).__name__.lower()} {_of(job)}" for job in jobs)
        self._world.note(f"controller → {self._world.name_of(node)}: {kinds}")
        found.push(node, jobs)

    def ask(self, node: str) -> None:
        found = self._yield()
        if not found.away:
            self._world.door.tell(node, protocol.Resend())


class Stall:
    """When armed, its next call keeps the caller where it is while the world goes on for some seconds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seconds = 0.0
        self.calls = 0

    def arm(self, calls: int, seconds: float) -> None:
        self.calls, self.seconds = calls, seconds

    def __call__(self) -> None:
        if not self.seconds:
            return
        self.calls -= 1
        if self.calls > 0:
            return
        seconds, self.seconds = self.seconds, 0.0
        self._world.note(f"a controller is stopped for {seconds:.0f} s in the middle of a step")
        with self._world.points.watching(False):
            # What was committed is judged by what was wanted then.
            self._world.checks.look()
            self._world.clock.run(self._world.clock.now + seconds)


def _of(job: protocol.Job) -> str:
    match job:
        case protocol.Ensure():
            return f"{job.id} {job.identity.slot}-g{job.identity.generation}"
        case protocol.Stop() | protocol.Remove():
            return f"{job.id} {job.slot}-g{job.generation}"
        case protocol.Sync():
            return f"{job.id} of {job.session} keep {len(job.keep)}"
        case protocol.Pull():
            return f"{job.id} {job.image}"
        case _:
            return f"{job.id}"
