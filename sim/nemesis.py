"""Faults beyond single messages, drawn from the seed: which kinds a run has, and when they strike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.host import Host

if TYPE_CHECKING:
    from sim.world import World


class Nemesis:
    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        kinds: list[Callable[[], None]] = [
            self.crash_console, self.fail_database, self.pause_console, self.pause_in_step, self.wipe_redis,
            self.lose_redis, self.cut_link, self.cut_silently, self.cut_broker, self.kill_agent, self.fail_engine,
            self.reboot, self.crash_container, self.sicken_container, self.take_port, self.fail_registry,
        ]  # fmt: skip
        self.kinds = self._random.sample(kinds, self._random.randrange(2, 8))

    def strike(self) -> None:
        self._random.choice(self.kinds)()

    def _host(self) -> Host | None:
        hosts = list(self._world.hosts.values())
        return self._random.choice(hosts) if hosts else None

    def _say(self, text: str) -> None:
        self._world.note(f"fault: {text}")

    def _seconds(self, low: float, high: float) -> float:
        return low + self._random.random() * (high - low)

    # -- the console

    def crash_console(self) -> None:
        self._world.points.arm(self._random.randrange(1, 60), crash=True)

    def fail_database(self) -> None:
        self._world.points.arm(self._random.randrange(1, 60), crash=False)

    def pause_console(self) -> None:
        if leader := self._world.consoles.leader:
            seconds = self._seconds(5, 25)
            self._say(f"controller {leader.name} is stopped for {seconds:.0f} s")
            leader.hold(seconds)

    def pause_in_step(self) -> None:
        if leader := self._world.consoles.leader:
            leader.stall.arm(self._random.randrange(1, 8), self._seconds(2, 15))

    # -- Redis

    def wipe_redis(self) -> None:
        self._say("Redis is wiped")
        self._world.redis.wipe()

    def lose_redis(self) -> None:
        seconds = self._seconds(1, 15)
        self._say(f"Redis is away for {seconds:.0f} s")
        self._world.redis.away = True
        self._world.clock.at(seconds, self._redis_back)

    def _redis_back(self) -> None:
        self._world.redis.away = False

    # -- hosts

    def cut_link(self) -> None:
        """Cut, and both sides know."""
        self._cut(closes=True)

    def cut_silently(self) -> None:
        self._cut(closes=False)

    def _cut(self, *, closes: bool) -> None:
        if (host := self._host()) is None:
            return
        seconds = self._seconds(1, 25)
        self._say(f"{host.name} is cut off for {seconds:.0f} s{'' if closes else ', in silence'}")
        host.cut = True
        host.broker_cut = host.broker_cut or self._random.random() < 0.6
        if closes and host.agent and host.agent.link:
            host.agent.link.close("cut")
        self._world.clock.at(seconds, lambda: self._world.mend_network(host))

    def cut_broker(self) -> None:
        if host := self._host():
            self._say(f"{host.name} cannot reach its broker")
            host.broker_cut = True
            self._world.clock.at(self._seconds(2, 20), lambda: self._world.mend_network(host))

    def kill_agent(self) -> None:
        if host := self._host():
            host.agent_died()

    def fail_engine(self) -> None:
        if host := self._host():
            containers = self._random.random() < 0.4
            self._say(f"the engine of {host.name} dies{' with its containers' if containers else ''}")
            host.fail_engine(with_containers=containers)
            self._world.clock.at(self._seconds(1, 20), host.mend_engine)

    def reboot(self) -> None:
        if host := self._host():
            self._say(f"{host.name} reboots")
            host.reboot(self._seconds(3, 25))

    def crash_container(self) -> None:
        if host := self._host():
            self._say(f"a container on {host.name} ends")
            host.crash(self._random.randrange(100), self._random.choice([0, 1, 137]))

    def sicken_container(self) -> None:
        if host := self._host():
            self._say(f"a container on {host.name} is unhealthy")
            host.sicken(self._random.randrange(100), self._seconds(2, 45))

    def take_port(self) -> None:
        if host := self._host():
            port = self._random.choice([9000, 9001, 30000, 30001])
            self._say(f"somebody takes port {port} of {host.name}")
            host.engine.strangers_ports.add(port)

    def fail_registry(self) -> None:
        self._say("the registry is away")
        self._world.registry_away = True
        self._world.clock.at(self._seconds(2, 15), self._registry_back)

    def _registry_back(self) -> None:
        self._world.registry_away = False
