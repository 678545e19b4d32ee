"""One life of an agent: its memory. The fence, the session, the assignment, the step and the tidying are the real ones;
threads, sockets and the broker's worker are events here, in the order that nodeagent/desk.py and link.py keep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nodeagent import protocol
from nodeagent.assignment import Assignment
from nodeagent.fence import Fence
from nodeagent.fetched import Fetched
from nodeagent.link import REDIAL, REDIAL_REFUSED, SILENCE
from nodeagent.session import Session
from nodeagent.step import Stepper
from nodeagent.tidy import Tidier
from nodeagent.vault import Vault
from sim.faults import AgentDied
from sim.view import View
from sim.work import Work

if TYPE_CHECKING:
    from sim.door import Link
    from sim.host import Host

NOWHERE = Path("/nonexistent/berth-sim")
BEAT = 2.0


class HostFence(Fence):
    """The real fence; its file is on the host's virtual disk."""

    def __init__(self, host: Host) -> None:
        self._host = host
        super().__init__(NOWHERE)

    def _load(self) -> bool:
        self._slots = dict(self._host.fence or {})
        return self._host.fence is not None

    def _save(self) -> None:
        if self._saved < self._changes:
            self._host.fence = dict(self._slots)
            self._saved = self._changes


class HostFetched(Fetched):
    """The real record of what was fetched; its file is on the host's virtual disk."""

    def __init__(self, host: Host) -> None:
        self._host = host
        super().__init__(NOWHERE, lambda: host.world.clock.now)

    def _load(self) -> dict[str, float]:
        return dict(self._host.fetched)

    def _save(self) -> None:
        self._host.fetched = dict(self._names)


class Agent:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.world = host.world
        self.dead = False
        self.fence = HostFence(host)
        self.session = Session(NOWHERE)
        self.session.cluster = self.world.cluster
        vault = Vault(NOWHERE)
        self.stepper = Stepper(host.engine, self.fence, self.session, vault)  # type: ignore[arg-type]  # no streams
        self.assignment = Assignment(
            host.engine,  # type: ignore[arg-type]
            self.stepper,
            self.fence,
            self.session,
            lambda *_, **__: None,
            vault,
        )
        self.fetched = HostFetched(host)
        clock = self.world.clock
        self.tidier = Tidier(host.engine, self.fetched, lambda: clock.now)  # type: ignore[arg-type]  # no streams
        self.view = View(self)
        self.work = Work(self)
        self.link: Link | None = None
        self._kept: deque[protocol.Receipt | protocol.Result] = deque()
        self._progress: dict[str, protocol.Progress] = {}
        self._hello_due = False
        self._beat_at = 0.0
        self._acked = 0.0
        self._flushing = False

    # -- its life

    def start(self) -> None:
        self.view.start()
        self.later(0.1 + self.world.random.random(), self._dial)
        self._fetch()

    def die(self) -> None:
        self.dead = True
        if self.link:
            self.link.close("its agent died")

    def alive(self, act: Callable[[], object]) -> Callable[[], None]:
        """`act`, unless this life is over by then. It may end in it."""

        def guarded() -> None:
            if not self.dead:
                try:
                    act()
                except AgentDied:
                    self.host.agent_died()

        return guarded

    def later(self, delay: float, act: Callable[[], object]) -> None:
        self.world.clock.at(delay, self.alive(act))

    # -- the link

    def _dial(self) -> None:
        link, refused = self.world.door.dial(self)
        if link is None:
            low, high = REDIAL_REFUSED if refused else REDIAL
            self.later(low + self.world.random.random() * (high - low), self._dial)
            return
        self.link = link

    def welcomed(self, link: Link, welcome: protocol.Welcome) -> None:
        if link is not self.link:
            return
        self.session.begin(welcome)
        self._hello_due, self._beat_at, self._acked = True, 0.0, self.world.clock.now
        self._beat(link)
        self.wake()

    def link_closed(self, link: Link) -> None:
        if link is self.link and not self.dead:
            self.link = None
            self.session.end()
            self.later(REDIAL[0] + self.world.random.random() * (REDIAL[1] - REDIAL[0]), self._dial)

    def _beat(self, link: Link) -> None:
        """Look at the time now and then, as the link's thread does."""
        if link is not self.link:
            return
        if self.world.clock.now - self._acked > SILENCE:
            link.close("no heartbeat was acknowledged")
            return
        self.wake()
        self.later(BEAT, lambda: self._beat(link))

    def receive(self, message: protocol.Down) -> None:
        match message:
            case protocol.Ack(sent=sent):
                self._acked = max(self._acked, sent)
            case protocol.Resend():
                self._hello_due = True
                self.wake()

    def put(self, message: protocol.Receipt | protocol.Result) -> None:
        self._kept.append(message)
        self.wake()

    def put_progress(self, message: protocol.Progress) -> None:
        self._progress[message.job] = message
        self.wake()

    def engine_changed(self, *, well: bool) -> None:
        self._beat_at = 0.0
        self._hello_due = self._hello_due or well
        self.wake()

    def wake(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.later(0.005, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        link = self.link
        if link is None or self.session.number != link.session:
            return
        while (message := self._next()) is not None:
            link.up(message)

    def _next(self) -> protocol.Up | None:
        if self._hello_due:
            self._hello_due = False
            return self._hello()
        if (delta := self.view.take_delta()) is not None:
            return delta
        if self._kept:
            return self._kept.popleft()
        now = self.world.clock.now
        if now >= self._beat_at:
            self._beat_at = now + BEAT
            return self._heartbeat(now)
        if (images := self.view.take_images()) is not None:
            return protocol.Images(images=self.fetched.marked(images))
        return self._progress.pop(next(iter(self._progress))) if self._progress else None

    def _heartbeat(self, now: float) -> protocol.Heartbeat:
        return protocol.Heartbeat(
            sent=now,
            digest=self.view.told_digest(),
            engine_ok=self.view.engine_ok,
            engine_error="" if self.view.engine_ok else "no socket",
            waiting=self.session.waiting,
        )

    def _hello(self) -> protocol.Hello:
        containers, images, digest = self.view.hello()
        return protocol.Hello(
            agent="sim",
            address="10.0.0.1",
            public_key=b"k" * 32,
            labels=self.host.labels,
            capacity=self.host.capacity,
            engine=protocol.Engine(version="20.10", api="1.41", os="linux", arch="amd64")
            if self.view.engine_ok
            else None,
            containers=containers,
            foreign=self.view.foreign,
            images=self.fetched.marked(images),
            generations=self.fence.generations(),
            digest=digest,
        )

    # -- the broker

    def _fetch(self) -> None:
        """Its consumer waits at the broker; what came while it could not be reached is still there."""
        batch = self.world.redis.pop(self.host)
        if batch is not None:
            self.work.accept(batch)
        self.later(0.02 if batch else 0.5, self._fetch)
