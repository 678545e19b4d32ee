"""What can go wrong in a lab, each as an object: `inject` makes it happen, `heal` mends it and may be called twice.

`parts` are the parts of the lab that a fault takes away. Two faults at once must not share one: the first to heal
would mend the other's.
"""

from __future__ import annotations

import random
import signal
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import redis
from docker.errors import APIError, DockerException

from lab.lab import CONSOLE, Lab, LabHost
from lab.processes import send
from nodeagent import protocol


@dataclass(frozen=True)
class Fault(ABC):
    lab: Lab

    @property
    @abstractmethod
    def parts(self) -> frozenset[str]:
        """Names as `Lab.pid` knows them, or `cable-1…` and `disk-1…`."""

    @abstractmethod
    def inject(self) -> None: ...

    def heal(self) -> None:  # noqa: B027  (what is over at once needs none)
        """Mend what `inject` did, and nothing else."""


@dataclass(frozen=True)
class PartFault(Fault):
    """Of one part, by its name."""

    part: str

    @property
    def parts(self) -> frozenset[str]:
        return frozenset((self.part,))

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.part}"


class Killed(PartFault):
    """SIGKILL. An engine's containers run on (live-restore)."""

    def inject(self) -> None:
        self.lab.kill(self.part)

    def heal(self) -> None:
        self.lab.start_one(self.part)


class Stopped(PartFault):
    """Ended as its supervisor would end it, and started again."""

    def inject(self) -> None:
        self.lab.stop_one(self.part)

    def heal(self) -> None:
        self.lab.start_one(self.part)


class Paused(PartFault):
    """SIGSTOP: there, and dumb. Its connections stay open."""

    def inject(self) -> None:
        self.lab.pause(self.part)

    def heal(self) -> None:
        self.lab.resume(self.part)


@dataclass(frozen=True)
class ConsoleStopped(Fault):
    """Web, controller and worker at once. What runs on the hosts runs on."""

    @property
    def parts(self) -> frozenset[str]:
        return frozenset(CONSOLE)

    def inject(self) -> None:
        for part in CONSOLE:
            self.lab.stop_one(part)

    def heal(self) -> None:
        for part in CONSOLE:
            self.lab.start_one(part)

    def __str__(self) -> str:
        return "ConsoleStopped"


@dataclass(frozen=True)
class RedisWiped(Fault):
    @property
    def parts(self) -> frozenset[str]:
        return frozenset(("redis",))

    def inject(self) -> None:
        client = redis.Redis.from_url(self.lab.redis.admin_url, socket_timeout=5)
        client.flushall()
        client.close()

    def __str__(self) -> str:
        return "RedisWiped"


@dataclass(frozen=True)
class HostFault(Fault):
    """Of the host with this number, from 1."""

    number: int

    @property
    def host(self) -> LabHost:
        return self.lab.hosts[self.number - 1]

    def __str__(self) -> str:
        return f"{type(self).__name__} node-{self.number}"


class Cut(HostFault):
    """Nothing reaches the host, nothing leaves it; its programs run on."""

    @property
    def parts(self) -> frozenset[str]:
        return frozenset((f"cable-{self.number}",))

    def inject(self) -> None:
        self.host.host.cut()

    def heal(self) -> None:
        self.host.host.heal()


class PowerCut(HostFault):
    """All of a host at once: its network, its agent, its engine and every container's processes. Healing boots it."""

    @property
    def parts(self) -> frozenset[str]:
        return frozenset(f"{kind}-{self.number}" for kind in ("cable", "disk", "engine", "agent"))

    def inject(self) -> None:
        # First, so that no connection is closed politely.
        self.host.host.cut()
        self.host.agent.kill()
        self.host.engine.lose_power()

    def heal(self) -> None:
        if self.host.engine.pid is None:
            self.host.host.reboot()
        self.host.engine.start()
        self.host.agent.start()


class DiskFull(HostFault):
    """Not one more byte for its engine and its agent. Only in a lab whose hosts have small disks."""

    @property
    def parts(self) -> frozenset[str]:
        return frozenset((f"disk-{self.number}",))

    def inject(self) -> None:
        self._disk.fill()

    def heal(self) -> None:
        self._disk.free()

    @property
    def _disk(self) -> Any:
        assert self.host.disk is not None, "this lab's hosts have no disks of their own"
        return self.host.disk


@dataclass(frozen=True)
class ContainerFault(HostFault):
    """Of one running container that Berth made on the host; `pick` chooses it among those that are there."""

    pick: int

    @property
    def parts(self) -> frozenset[str]:
        return frozenset()

    def inject(self) -> None:
        try:
            with self.host.engine.client(10.0) as client:
                found = client.containers.list(
                    filters={"label": protocol.LABEL_CLUSTER, "status": "running"}, ignore_removed=True
                )
                if found:
                    self._do(random.Random(self.pick).choice(sorted(found, key=lambda one: str(one.name))))
        except (DockerException, APIError, OSError):
            # The engine is away, or the container went by itself: there is nothing to do it to.
            return

    @abstractmethod
    def _do(self, container: Any) -> None: ...


class ContainerKilled(ContainerFault):
    """Its main process crashes."""

    def _do(self, container: Any) -> None:
        container.reload()
        # By the engine's own `kill` it would count as stopped by hand, and not be restarted.
        send(int(container.attrs["State"]["Pid"]), signal.SIGKILL)


class ContainerRemoved(ContainerFault):
    """`docker rm -f`, as somebody on the host might."""

    def _do(self, container: Any) -> None:
        container.remove(force=True)
