"""The agents' door: console/live/agent.py and the sockets to it. In a session messages keep their order, as TCP
does it; what is under way when a link closes may be lost, or come in late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.cluster.models import Node
from console.common.prepared import Prepared
from console.controller.wire import Beat
from nodeagent import protocol

if TYPE_CHECKING:
    from sim.agent import Agent
    from sim.world import World

DIALLED = 0.05
_SESSION: Prepared[int] = Prepared(
    lambda node: Node.objects.filter(pk=node).values_list("session", flat=True)
)


class Link:
    """One session's socket."""

    def __init__(self, door: Door, agent: Agent, session: int) -> None:
        self._door = door
        self._world = door.world
        self._agent = agent
        self._host = agent.host
        self.session = session
        self.open = True
        self._held: list[protocol.Up] = []
        """Sent into a network that lets nothing through; TCP sends it again."""
        self._free_at = 0.0

    def up(self, message: protocol.Up) -> None:
        now, random, rates = self._world.clock.now, self._world.random, self._world.rates
        report = not isinstance(message, protocol.Hello | protocol.Heartbeat)
        if report and rates.report_lost and random.random() < rates.report_lost:
            self._world.note(f"{self._host.name}: {_name(message)} is lost")
            return
        latency = 0.002 + random.random() * 0.02
        if report and rates.report_late and random.random() < rates.report_late:
            # Past the others: TCP would not, but what the console promises does not rest on it.
            self._world.clock.at(random.random() * 4, lambda: self._arrive(message))
            return
        self._free_at = max(self._free_at, now + latency)
        self._world.clock.at(self._free_at - now, lambda: self._arrive(message))
        if report and rates.report_doubled and random.random() < rates.report_doubled:
            self._world.clock.at(random.random() * 2, lambda: self._arrive(message))

    def _arrive(self, message: protocol.Up) -> None:
        if self._host.cut:
            self._held.append(message)
        elif self.open or self._world.random.random() < 0.5:
            self._door.arrived(self, self._host.node, message)

    def heal(self) -> None:
        held, self._held = self._held, []
        for message in held:
            self.up(message)

    def down(self, message: protocol.Down) -> None:
        """Delivered after a moment, unless the network or the link is gone by then."""
        self._world.clock.at(0.002 + self._world.random.random() * 0.02, lambda: self._deliver(message))

    def _deliver(self, message: protocol.Down) -> None:
        if not self.open or self._host.cut or self._agent.dead:
            return
        if isinstance(message, protocol.Welcome):
            self._agent.welcomed(self, message)
        else:
            self._agent.receive(message)

    def close(self, why: str) -> None:
        if self.open:
            self.open = False
            self._world.note(f"{self._host.name}: session {self.session} ends: {why}")
            self._door.closed(self)
            self._agent.link_closed(self)


class Door:
    def __init__(self, world: World) -> None:
        self.world = world
        self._links: dict[str, Link] = {}

    def dial(self, agent: Agent) -> tuple[Link | None, bool]:
        """A link, or none and whether the node is refused."""
        host = agent.host
        if host.cut or self.world.redis.away:
            return None, False
        known = _SESSION.first(host.node)
        if known is None:
            return None, True
        before = self._links.get(host.node)
        milliseconds = int(self.world.clock.datetime().timestamp() * 1000)
        link = Link(self, agent, max(milliseconds, known + 1, before.session + 1 if before else 0))
        if before:
            before.close("another took its place")
        self._links[host.node] = link
        link.down(protocol.Welcome(node=host.node, cluster=self.world.cluster, session=link.session))
        self.world.note(f"{host.name}: session {link.session}")
        return link, False

    def closed(self, link: Link) -> None:
        """Kept as the node's last one: its number is never given out again."""

    def arrived(self, link: Link, node: str, message: protocol.Up) -> None:
        redis = self.world.redis
        if redis.away:
            link.close("Redis is away")
        elif isinstance(message, protocol.Heartbeat):
            beat = Beat(
                session=link.session,
                digest=message.digest,
                engine_ok=message.engine_ok,
                engine_error=message.engine_error,
                waiting=message.waiting,
                disk=message.disk,
            )
            redis.store_beat(node, beat)
            link.down(protocol.Ack(sent=message.sent))
        else:
            self.world.note(f"{self.world.name_of(node)}: {_name(message)} arrives")
            redis.add(node, link.session, protocol.decode_up(protocol.encode(message)))

    def tell(self, node: str, message: protocol.Down) -> None:
        link = self._links.get(node)
        if link and link.open:
            link.down(message)

    def revoke(self, node: str) -> None:
        if (link := self._links.get(node)) is not None:
            link.close("revoked")

    def heal(self, node: str) -> None:
        if (link := self._links.get(node)) is not None:
            link.heal()


def _name(message: protocol.Up) -> str:
    match message:
        case protocol.Result():
            return f"result {message.job} {'ok' if message.ok else message.code}"
        case protocol.Receipt():
            return f"receipt {' '.join(message.jobs)}"
        case protocol.Delta():
            seen = [f"{one.identity.slot}-g{one.identity.generation} {one.state}" for one in message.changed]
            gone = [f"{slot}-g{generation} gone" for slot, generation in message.removed]
            return f"delta {', '.join([*seen, *gone])}"
        case _:
            return type(message).__name__.lower()
