"""One changed app among many: what must change, and where the new containers go."""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time

import numpy as np

from scheduler.benchmark import world
from scheduler.benchmark.lines import Aim, Line, judged, line
from scheduler.benchmark.world import Size
from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    ContainerView,
    NodeState,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
    Update,
    Want,
)
from scheduler.placement import Cluster
from scheduler.reconcile import reconcile

CHANGES, REPLICAS, SERVICES = 300, 5, 2
NOW = 1000.0


def changed(size: Size) -> Iterator[Line]:
    """An app of ten containers got a new release, which replaces all of them at once; again and again, another
    app each time. The rest of the cluster belongs to others."""
    machines = world.nodes(size.nodes)
    cluster = Cluster(machines, world.running(machines, size.running))
    seconds = []
    placed = 0
    for number in range(CHANGES):
        view = _view(f"changed{number}", [machines[(number + each) % size.nodes].id for each in range(10)])
        before = process_time()
        plan = reconcile(view, NOW)
        wants = [Want(each.request, f"{view.id}.{each.service}.{each.index}") for each in plan.place]
        placed += sum(each.node is not None for each in cluster.place(wants))
        seconds.append(process_time() - before)
    batch = REPLICAS * SERVICES
    made = line(
        "changed app", nodes=size.nodes, running=size.running, batch=batch, policy="spread", seconds=seconds
    )
    made |= {"app_p99_us": round(1e6 * float(np.percentile(seconds, 99)), 1), "placed": placed}
    yield judged(made, Aim("app_p99_us", "<=", 2000), Aim("placed", ">=", CHANGES * batch))


def _view(app: str, nodes: list[str]) -> AppView:
    services = tuple(
        ServiceView(
            f"s{place}",
            REPLICAS,
            "new",
            world.plain(app, f"s{place}"),
            update=Update(parallelism=0, start_first=True),
        )
        for place in range(SERVICES)
    )
    slots = tuple(
        _slot(f"{app}.{service.name}.{index}", service.name, index, nodes[index])
        for service in services
        for index in range(1, REPLICAS + 1)
    )
    rollout = RolloutView("r", RolloutState.RUNNING, NOW - 1, NOW + 600)
    return AppView(app, services, slots, rollout, dict.fromkeys(nodes, NodeState.READY))


def _slot(name: str, service: str, index: int, node: str) -> SlotView:
    held = ContainerView(f"{name}-g1", name, 1, State.RUNNING, "old", node, running_since=0.0)
    return SlotView(name, service, index, 1, (held,))
