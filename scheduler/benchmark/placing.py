"""How fast containers are placed on a cluster that is in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from statistics import median
from time import process_time

import numpy as np

from scheduler.benchmark import world
from scheduler.benchmark.lines import Aim, Line, judged, line, timed
from scheduler.benchmark.world import Size
from scheduler.model import NodeState, Want
from scheduler.placement import Cluster
from scheduler.scores import SPREAD

REPLICAS = 1000
BATCH = 2000
TURNS = 7
SINGLES = 2000
MILLION = 1_000_000


def _cluster(size: Size) -> Cluster:
    machines = world.nodes(size.nodes)
    return Cluster(machines, world.running(machines, size.running))


def identical(size: Size) -> Iterator[Line]:
    """Services of a thousand equal replicas, each spread over the zones."""
    cluster = _cluster(size)
    wants = [world.replicas(world.spread_service(f"new{number}"), REPLICAS) for number in range(20)]
    seconds = [timed(process_time, partial(cluster.place, each)) for each in wants]
    yield judged(
        line(
            "identical",
            nodes=size.nodes,
            running=size.running,
            batch=REPLICAS,
            policy="spread",
            seconds=seconds,
        ),
        Aim("placements_per_s", ">=", 85_000),
    )


def different(size: Size) -> Iterator[Line]:
    """Batches in which every request is another: with constraints alone, with anti-affinity, and with affinity as
    well. They take turns, for the machine's own speed changes from one second to the next."""
    kinds = {"": (), ", anti-affinity": (world.ANTI,), ", both affinities": (world.ANTI, world.NEAR)}
    clusters = {kind: _cluster(size) for kind in kinds}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(TURNS):
        for kind, affinity in kinds.items():
            wants = world.different(BATCH, f"d{turn}-", *affinity)
            seconds[kind].append(timed(process_time, partial(clusters[kind].place, wants)))
    made = partial(line, nodes=size.nodes, running=size.running, batch=BATCH, policy="spread")
    alone, anti, near = (made(f"different{kind}", seconds=seconds[kind]) for kind in kinds)
    near["times_slower"] = round(
        median(slow / quick for quick, slow in zip(seconds[""], seconds[", both affinities"], strict=True)), 2
    )
    yield judged(alone, Aim("placements_per_s", ">=", 10_000))
    yield judged(anti, Aim("placements_per_s", ">=", 10_000))
    yield judged(near, Aim("times_slower", "<=", 2))


def single(size: Size) -> Iterator[Line]:
    """One container at a time: each of a service seen for the first time."""
    cluster = _cluster(size)
    wants = [
        Want(replace(world.spread_service(f"one{number}"), cpu=100 + number % 50), f"one{number}")
        for number in range(SINGLES)
    ]
    seconds = [timed(process_time, partial(cluster.place, [want])) for want in wants]
    made = line("single", nodes=size.nodes, running=size.running, batch=1, policy="spread", seconds=seconds)
    yield judged(made, Aim("p99_us", "<=", 1000))


def million(size: Size) -> Iterator[Line]:
    """A hundred containers for each node in services of a thousand replicas, then the loss of one node in
    twenty: all that ran there is placed anew."""
    number = size.nodes * MILLION // Size().nodes
    cluster = Cluster(world.nodes(size.nodes))
    wants = [
        want
        for service in range(-(-number // REPLICAS))
        for want in world.replicas(world.spread_service(f"m{service}"), min(REPLICAS, number))
    ][:number]
    seconds = timed(process_time, partial(cluster.place, wants))
    made = line("million", nodes=size.nodes, running=0, batch=len(wants), policy="spread", seconds=[seconds])
    made["seconds"] = round(seconds, 2)
    yield judged(made, Aim("seconds", "<=", 15), Aim("peak_mib", "<=", 1024))
    del wants
    # The million's decisions are explained no more, and their memory is given back: no real step holds them.
    cluster.place([])
    yield _loss(cluster, size, number)


def _loss(cluster: Cluster, size: Size, running: int) -> Line:
    """All that a controller does for it: mark the nodes, give back what they held, place it anew service by
    service, which is the order in which app after app is reconciled."""
    picked = np.random.default_rng(1).choice(size.nodes, size=max(size.nodes // 20, 1), replace=False)
    machines = cluster.nodes
    lost = [machines[int(row)] for row in picked]
    before = process_time()
    by_service: defaultdict[int, list[Want]] = defaultdict(list)
    for node in lost:
        cluster.update(replace(node, state=NodeState.DOWN))
        for held in cluster.on(node.id):
            by_service[id(held.request)].append(Want(held.request, held.slot, f"{held.container}'"))
    cluster.free_many(held.container for node in lost for held in cluster.on(node.id))
    wants = list(chain.from_iterable(by_service.values()))
    decisions = cluster.place(wants, SPREAD)
    seconds = process_time() - before
    made = line(
        "loss", nodes=size.nodes, running=running, batch=len(wants), policy="spread", seconds=[seconds]
    )
    made |= {"seconds": round(seconds, 2), "placed": sum(each.node is not None for each in decisions)}
    return judged(made, Aim("seconds", "<=", 2), Aim("placed", ">=", len(wants)))
