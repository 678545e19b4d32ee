"""Clusters and requests that are made up, and the order in which a trace arrives. All by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, count

import numpy as np

from scheduler.model import Node, NodeState, Request, Resource, Spread, Want
from scheduler.resources import WHOLE
from scheduler.simulation.traces import GPU, Batch, Trace, TraceError

GIB = 1 << 30

MACHINES = ((16000, 64 * GIB), (32000, 128 * GIB), (64000, 256 * GIB))
SHARES = (200, 250, 500, 750)


@dataclass(frozen=True, slots=True)
class Synthetic:
    """What `--synthetic name=number,…` can say."""

    nodes: int = 1000
    zones: int = 3
    gpus: int = 0
    """Units per node, on every second node."""
    services: int = 0
    """0: as many as ask for `load`."""
    replicas: int = 20
    """Mean number of a service (geometric)."""
    load: float = 1.1
    """Share of the cluster's CPU that is asked for in all."""

    @classmethod
    def parse(cls, text: str) -> Synthetic:
        """Raises `TraceError` on a name it does not know or a value that is no positive number."""
        kinds = {each.name: float if each.name == "load" else int for each in fields(cls)}
        values: dict[str, float] = {}
        for pair in filter(None, text.split(",")):
            name, _, value = pair.partition("=")
            try:
                values[name] = kinds[name](value)
            except (KeyError, ValueError):
                raise TraceError(f"{pair!r} is none of {', '.join(f'{name}=…' for name in kinds)}") from None
            if values[name] < 0 or (name in ("nodes", "zones") and not values[name]):
                raise TraceError(f"{pair!r} is too small")
        return replace(cls(), **values)  # type: ignore[arg-type]

    def trace(self, seed: int) -> Trace:
        generator = np.random.default_rng(seed)
        nodes = tuple(self._node(generator, number) for number in range(self.nodes))
        return Trace(nodes, tuple(self._batches(generator, sum(node.cpu for node in nodes))))

    def _node(self, generator: np.random.Generator, number: int) -> Node:
        cpu, memory = MACHINES[generator.integers(len(MACHINES))]
        name = f"node-{number:05}"
        gpus = {GPU: self.gpus} if self.gpus and number % 2 else {}
        zone = f"zone-{number % self.zones}"
        return Node(name, name, NodeState.READY, cpu, memory, resources=gpus, zone=zone)

    def _batches(self, generator: np.random.Generator, cpu: int) -> Iterator[Batch]:
        asked = number = 0
        while number < self.services or (not self.services and asked < self.load * cpu):
            request = self._request(generator, number)
            replicas = int(generator.geometric(1 / max(self.replicas, 1)))
            yield tuple(Want(request, f"{request.service}.{index}") for index in range(1, replicas + 1))
            asked += replicas * request.cpu
            number += 1

    def _request(self, generator: np.random.Generator, number: int) -> Request:
        cpu = 250 * int(generator.integers(1, 33))
        memory = cpu * int(generator.integers(1, 7)) * GIB // 1000
        resources: tuple[Resource, ...] = ()
        if self.gpus and generator.random() < 0.5:
            share = int(generator.choice(SHARES))
            whole = generator.random() < 0.3
            resources = (Resource(GPU, units=1) if whole else Resource(GPU, share=share),)
        spread = (Spread("node.zone"),)
        return Request(f"app-{number // 4}", f"s{number}", cpu, memory, resources=resources, spread=spread)


def arriving(trace: Trace, seed: int, load: float) -> Trace:
    """The trace's batches in random order, and after the last of them drawn at random again, until the scarce
    resource (GPUs if any is asked for, else CPU) was asked for `load` times over; `load` 0: each once.

    So the authors of FGD overload openb ("Beware of Fragmentation", USENIX ATC 2023, section 6).
    """
    generator = np.random.default_rng(seed)
    order = [int(each) for each in generator.permutation(len(trace.batches))]
    if load:
        amounts, capacity = _scarce(trace)
        order = list(_until(order, amounts, load * capacity, generator))
    return Trace(trace.nodes, tuple(trace.batches[each] for each in order))


def _scarce(trace: Trace) -> tuple[list[int], int]:
    """What each batch asks of the scarce resource, and how much the cluster has of it."""
    gpus = [sum(gpu_asked(want.request) for want in batch) for batch in trace.batches]
    if any(gpus):
        return gpus, sum(WHOLE * node.resources.get(GPU, 0) for node in trace.nodes)
    cpu = [sum(want.request.cpu for want in batch) for batch in trace.batches]
    return cpu, sum(node.cpu for node in trace.nodes)


def _until(
    order: Sequence[int], amounts: Sequence[int], enough: float, generator: np.random.Generator
) -> Iterator[int]:
    again = (int(generator.integers(len(order))) for _ in count())
    asked = 0
    for each in chain(order, again):
        if asked >= enough or not any(amounts):
            return
        yield each
        asked += amounts[each]


def gpu_asked(request: Request) -> int:
    """Thousandths of a GPU."""
    return sum(each.units * WHOLE + each.share for each in request.resources if each.kind == GPU)


def multiplied(nodes: tuple[Node, ...], seed: int, number: int) -> tuple[Node, ...]:
    """The nodes in random order, as often as are needed for `number` of them. Copies are named `…~2`."""
    order = np.random.default_rng(seed).permutation(len(nodes))
    made = []
    for place in range(number):
        node, copy = nodes[int(order[place % len(nodes)])], place // len(nodes) + 1
        suffix = f"~{copy}" if copy > 1 else ""
        made.append(replace(node, id=node.id + suffix, name=node.name + suffix))
    return tuple(made)
