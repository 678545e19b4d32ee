"""A large cluster and what runs on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scheduler.model import Affinity, Allocation, Constraint, Node, NodeState, Request, Spread, Want

GIB = 1 << 30
MIB = 1 << 20

ZONES, RACKS = 10, 200
BY_ZONE = (Spread("node.zone"),)
PER_SERVICE, PER_APP = 100, 4


@dataclass(frozen=True, slots=True)
class Size:
    nodes: int = 10_000
    running: int = 100_000


def nodes(number: int) -> list[Node]:
    """64 CPUs and 256 GiB each, in ten zones, half of them with `disk=ssd`."""
    return [
        Node(
            f"n{place:05}",
            f"host-{place:05}",
            NodeState.READY,
            cpu=64_000,
            memory=256 * GIB,
            labels={"disk": "ssd" if place // ZONES % 2 else "hdd", "rack": f"r{place % RACKS}"},
            zone=f"z{place % ZONES}",
        )
        for place in range(number)
    ]


def running(machines: list[Node], number: int) -> Iterator[Allocation]:
    """So many containers in services of a hundred, dealt out over the nodes."""
    for place in range(number):
        index = place % PER_SERVICE
        if not index:
            service = place // PER_SERVICE
            request = plain(f"run{service // PER_APP}", f"s{service % PER_APP}")
        slot = f"r{place}"
        yield Allocation(slot, slot, machines[place % len(machines)].id, request)


def plain(app: str, service: str) -> Request:
    return Request(app, service, cpu=100, memory=256 * MIB, pids=64)


def replicas(request: Request, number: int) -> list[Want]:
    """With ids of containers, so that they can be freed."""
    name = f"{request.app}.{request.service}"
    return [Want(request, f"{name}.{index}", f"{name}.{index}") for index in range(1, number + 1)]


def spread_service(name: str) -> Request:
    return replace(plain(name, "web"), spread=BY_ZONE)


ANTI, NEAR = "anti", "near"


def different(number: int, label: str, *affinity: str) -> list[Want]:
    """Every request is another: amounts and constraints and, as asked, a required anti-affinity (`ANTI`) and a
    preferred affinity (`NEAR`) to other services of its app, five of which come one after the other."""
    return [
        Want(_different(place, label, affinity), f"{label}{place}", f"{label}{place}")
        for place in range(number)
    ]


def _different(place: int, label: str, affinity: Sequence[str]) -> Request:
    kinds = {
        ANTI: Affinity(f"s{(place - 1) % 5}", anti=True, required=True),
        NEAR: Affinity(f"s{(place + 2) % 5}", over="node.zone", weight=10),
    }
    return Request(
        f"{label}{place // 5}",
        f"s{place % 5}",
        cpu=50 + place % 97,
        memory=(64 + place % 89) * MIB,
        pids=64,
        constraints=(
            Constraint("node.labels.disk", equal=True, value="ssd" if place % 2 else "hdd"),
            Constraint("node.labels.rack", equal=False, value=f"r{place % RACKS}"),
        ),
        affinity=tuple(kinds[each] for each in affinity),
    )
