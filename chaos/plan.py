"""Which faults, on what, when and for how long: a pure function of the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lab.faults import (
    ConsoleStopped,
    ContainerKilled,
    ContainerRemoved,
    Cut,
    DiskFull,
    Fault,
    Killed,
    Paused,
    PowerCut,
    RedisWiped,
    Stopped,
)
from lab.lab import CONSOLE, Lab

REST = 6.0
"""Seconds that a part is left alone after a fault: an engine needs them to come up on a busy machine."""
FIRST = 10.0
"""Seconds that the first apps have before anything goes wrong."""
TRIES = 40


@dataclass(frozen=True)
class Kind:
    """`make` builds the fault from a lab, a host's number and a random number. It lasts `low` to `high` seconds."""

    name: str
    weight: float
    low: float
    high: float
    make: Callable[[Lab, int, int], Fault]
    parts: Callable[[int], frozenset[str]]
    """Of the host with this number; as `Fault.parts`, without a lab."""


@dataclass(frozen=True)
class Planned:
    """`at` and `seconds` count from the run's beginning."""

    at: float
    seconds: float
    kind: Kind
    host: int
    pick: int

    def fault(self, lab: Lab) -> Fault:
        return self.kind.make(lab, self.host, self.pick)

    def __str__(self) -> str:
        where = (
            f" node-{self.host}" if self.kind.parts(1) != self.kind.parts(2) or not self.kind.parts(1) else ""
        )
        return f"{self.at:6.1f} s  {self.kind.name}{where}, {self.seconds:.1f} s"


def _part(fault: type[Killed | Stopped | Paused], part: str, weight: float, low: float, high: float) -> Kind:
    """Of a part of the console's side."""
    name = f"{fault.__name__} {part}"
    return Kind(name, weight, low, high, lambda lab, _h, _p: fault(lab, part), lambda _h: frozenset((part,)))


def _on_host(
    fault: type[Killed | Stopped | Paused], kind: str, weight: float, low: float, high: float
) -> Kind:
    return Kind(
        f"{fault.__name__} {kind}", weight, low, high,
        lambda lab, host, _p: fault(lab, f"{kind}-{host}"), lambda host: frozenset((f"{kind}-{host}",)),
    )  # fmt: skip


def _of(*kinds: str) -> Callable[[int], frozenset[str]]:
    return lambda host: frozenset(f"{kind}-{host}" for kind in kinds)


def _nothing(_host: int) -> frozenset[str]:
    return frozenset()


CONTAINERS = (
    Kind("ContainerKilled", 4, 0, 0, ContainerKilled, _nothing),
    Kind("ContainerRemoved", 2, 0, 0, ContainerRemoved, _nothing),
)
KINDS = (
    *CONTAINERS,
    Kind("Cut", 3, 2, 28, lambda lab, host, _p: Cut(lab, host), _of("cable")),
    Kind("PowerCut", 2, 3, 15, lambda lab, host, _p: PowerCut(lab, host), _of("cable", "disk", "engine", "agent")),
    Kind("DiskFull", 2, 3, 12, lambda lab, host, _p: DiskFull(lab, host), _of("disk", "engine")),
    _on_host(Killed, "engine", 3, 1, 12),
    _on_host(Killed, "agent", 3, 1, 10),
    _on_host(Paused, "agent", 3, 1, 14),
    _on_host(Paused, "engine", 2, 1, 14),
    *(_part(Killed, part, 1, 0.5, 8) for part in CONSOLE),
    *(_part(Paused, part, 1, 1, 10) for part in CONSOLE),
    Kind("ConsoleStopped", 1, 2, 12, lambda lab, _h, _p: ConsoleStopped(lab), lambda _h: frozenset(CONSOLE)),
    _part(Killed, "redis", 1, 0.5, 8),
    _part(Stopped, "redis", 1, 0.5, 12),
    _part(Paused, "redis", 1, 1, 8),
    Kind("RedisWiped", 1, 0, 0, lambda lab, _h, _p: RedisWiped(lab), lambda _h: frozenset(("redis",))),
)  # fmt: skip
DATABASE = (_part(Stopped, "postgres", 1, 0.5, 6), _part(Paused, "postgres", 1, 1, 6))


def plan(seed: int, *, minutes: float, per_minute: int, hosts: int, postgres: bool) -> list[Planned]:
    """Spread over the time, in its order. Two that share a part do not overlap; all others may."""
    random = Random(f"faults {seed}")
    kinds = [*KINDS, *(DATABASE if postgres else ())]
    made: list[Planned] = []
    gap = 60.0 / per_minute
    for number in range(round(minutes * per_minute)):
        made.append(_one(random, kinds, FIRST + (number + random.random()) * gap, hosts, made))
    return made


def _one(random: Random, kinds: list[Kind], at: float, hosts: int, before: list[Planned]) -> Planned:
    for _try in range(TRIES):
        drawn = _draw(random, kinds, at, hosts)
        if not any(_clash(drawn, other) for other in before):
            return drawn
    return _draw(random, list(CONTAINERS), at, hosts)


def _draw(random: Random, kinds: list[Kind], at: float, hosts: int) -> Planned:
    [kind] = random.choices(kinds, [each.weight for each in kinds])
    seconds = round(random.uniform(kind.low, kind.high), 1)
    return Planned(round(at, 1), seconds, kind, random.randint(1, hosts), random.randrange(1000))


def _clash(one: Planned, other: Planned) -> bool:
    return bool(one.kind.parts(one.host) & other.kind.parts(other.host)) and (
        one.at < other.at + other.seconds + REST and other.at < one.at + one.seconds + REST
    )
