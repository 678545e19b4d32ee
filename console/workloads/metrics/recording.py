"""Nodes' looks → points of slots, services, apps, teams and nodes. Whoever does it may be stopped, late or two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from django.db.models import Q
from django.utils import timezone

from console.cluster import looks, series
from console.cluster.looks import Look
from console.cluster.models import Node
from console.common import redis as keys
from console.workloads.metrics.use import Use, newest, uses
from console.workloads.models import Container

LATE = timedelta(minutes=looks.LIFETIME // 60)
STEP = series.FINEST.step

Owners = Mapping[tuple[str, str, int], tuple[str, ...]]
"""By node, slot and generation: the subjects that a container counts for."""


def record_new() -> int:
    """Record the steps that ended since the last time; answers with how many. Raises `RedisError`."""
    last = int(looks.now()) // STEP * STEP - STEP
    known = keys.client().get(keys.RECORDED)
    begin = max(int(known) + STEP, last - (looks.KEPT - 4) * STEP) if known else last
    steps = range(begin, last + STEP, STEP)
    if not steps:
        return 0
    nodes = list(Node.objects.values_list("id", flat=True))
    found = looks.read(nodes, len(steps) + 5)
    owners = _owners()
    for at in steps:
        series.record(at, points(found, owners, at + STEP))
        keys.client().set(keys.RECORDED, at)
    return len(steps)


def points(found: Mapping[str, Sequence[Look]], owners: Owners, at: float) -> dict[str, series.Points]:
    """What everything used at `at`, by subject. A container that its node does not have by the console's word
    counts for nothing."""
    sums: defaultdict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = defaultdict(
        lambda: np.zeros(len(series.FIELDS))
    )
    for node, of_node in found.items():
        index = newest(of_node, at)
        if index is None:
            continue
        look, here = of_node[index], f"node:{node}"
        # The host's own figures, and what its containers moved.
        sums[here] += (look.cpu, look.memory, 0, 0, 0, 0)
        for (slot, generation), use in uses(of_node, index).items():
            owned = owners.get((node, slot, generation))
            if owned is None:
                continue
            values = np.array(tuple(use))
            for subject in owned:
                sums[subject] += values
            sums[here][2:] += values[2:]
    return {subject: _point(Use(*values)) for subject, values in sums.items()}


def _owners() -> Owners:
    """Of the containers that are on nodes, or were until lately."""
    live = Container.objects.filter(Q(removed_at=None) | Q(removed_at__gte=timezone.now() - LATE))
    rows = live.order_by().values_list(
        "node_id", "slot_id", "generation", "slot__service_id", "app_id", "app__team_id"
    )
    return {
        (node, slot, generation): (f"slot:{slot}", f"service:{service}", f"app:{app}", f"team:{team}")
        for node, slot, generation, service, app, team in rows
    }


def _point(use: Use) -> series.Points:
    point = np.zeros(1, series.POINT)
    point["weight"] = 1
    for name, value in zip(series.FIELDS, use, strict=True):
        point[name] = value
    for name in series.PEAKS:
        point[f"{name}_max"] = point[name]
    return point
