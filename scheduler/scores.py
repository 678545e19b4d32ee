"""How good each fitting node is for a request: columns of parts, weighted by a policy. Higher is better.

A part is absolute, not relative to other nodes: what happens on one node changes that node's score alone
(`labels` and `affinity`: its domain's). That is what lets a batch re-score only what it took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from scheduler import affinity as near
from scheduler.arrays import Floats, Ints
from scheduler.columns import Columns
from scheduler.counts import FEW, per_domain, rows_of
from scheduler.model import Request, Spread
from scheduler.resources import UnitChoice, fullest


class Fewer(NamedTuple):
    """A part that is 0 on most nodes: less the containers that are counted by row, up to `most`."""

    counts: Mapping[int, int]
    most: int = 1 << 30

    def add_to(self, column: Floats, name: str, weight: float) -> None:
        if len(self.counts) <= FEW:
            for row, number in self.counts.items():
                column[row] -= round(weight * min(number, self.most) * 1024.0) / 1024.0
        else:
            rows, numbers = rows_of(self.counts)
            column[rows] -= _exact(name, weight, np.minimum(numbers, self.most).astype(np.float64))


Part = Callable[[Columns, Request], "Floats | Fewer | None"]
"""None: 0 everywhere."""

MOST_COUNTED = 50
"""Containers of the same app beyond this many on a node make no difference any more."""


def labels(columns: Columns, request: Request) -> Floats | None:
    """Less the containers of this service in the node's domain of each key in `spread`, by its weight, in
    millions: a key of weight 1 outweighs all other parts."""
    tally = columns.service(request.app, request.service)
    if not request.spread or not tally.rows:
        return None
    score = np.zeros(len(columns.nodes))
    for each in request.spread:
        domains = columns.masks.domains(each.key)
        score -= (per_domain(tally.of(domains), domains) * cost_of(each))[domains.codes]
    return score


def cost_of(spread: Spread) -> float:
    """What one container costs all nodes of its domain, in steps of 1/1024."""
    return round(1e6 * spread.weight * 1024.0) / 1024.0


def service(columns: Columns, request: Request) -> Fewer | None:
    """Less the containers of this service."""
    counts = columns.service(request.app, request.service).rows
    return Fewer(counts) if counts else None


def app(columns: Columns, request: Request) -> Fewer | None:
    """Less the containers of this app, up to `MOST_COUNTED`."""
    counts = columns.app(request.app).rows
    return Fewer(counts, MOST_COUNTED) if counts else None


def affinity(columns: Columns, request: Request) -> Floats | None:
    """The weights of preferred affinities that hold, less those of anti-affinities that do not, in steps of
    1/1024."""
    return near.preferred(columns, request) if request.affinity else None


def image(columns: Columns, request: Request) -> Floats | None:
    """1 where the image is present."""
    return np.where(columns.masks.lacks_image(request.image), 0.0, 1.0) if request.image else None


def load(columns: Columns, _request: Request) -> Floats | None:
    """Share that is free, before the request, of whichever is scarcer, CPU or memory."""
    return columns.load


def fragmentation(columns: Columns, request: Request) -> Floats | None:
    """Less the units of generic resources that the request takes or makes useless, by `scheduler.fragmentation`."""
    lost = columns.fragments.lost(columns, request)
    return None if lost is None else -lost


_STEPS = 1024
_POWERS = np.floor(np.power(10.0, np.arange(_STEPS + 1) / _STEPS) * 1024.0) / 1024.0
"""10^x for x from 0 to 1 in steps of 1/1024: looking it up takes a seventh of the time."""


def bestfit(columns: Columns, request: Request) -> Floats | None:
    """BestFit v3: 20 - 10^(free CPU share) - 10^(free memory share) once the request is there, over 18 so that
    a full node has 1.

    Source: C. Stein, "Scheduling a large datacenter", work done at Google; Nomad's `ScoreFitBinPack` uses it
    too (www.columbia.edu/~cs2035/courses/ieor4405.S13/datacenter_scheduling.ppt).
    """
    cpu = _POWERS[_step(columns.cpu_free - request.cpu, columns.cpu)]
    memory = _POWERS[_step(columns.memory_free - request.memory, columns.memory)]
    return np.asarray((20.0 - cpu - memory) / 18.0, dtype=np.float64)


def bestfit_of(columns: Columns, request: Request, row: int, cpu_free: int, memory_free: int) -> float:
    """`bestfit` of one row, were so much free."""
    cpu = (cpu_free - request.cpu) / max(int(columns.cpu[row]), 1)
    memory = (memory_free - request.memory) / max(int(columns.memory[row]), 1)
    powers = [float(_POWERS[int(min(max(share, 0.0), 1.0) * _STEPS)]) for share in (cpu, memory)]
    return (20.0 - powers[0] - powers[1]) / 18.0


def _step(free: Ints, total: Ints) -> Ints:
    share = np.clip(free / np.maximum(total, 1), 0.0, 1.0)
    return np.asarray((share * _STEPS).astype(np.int64), dtype=np.int64)


PARTS: dict[str, Part] = {
    "labels": labels,
    "affinity": affinity,
    "service": service,
    "app": app,
    "bestfit": bestfit,
    "fragmentation": fragmentation,
    "image": image,
    "load": load,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A named choice of weights by part. A part that is not named does not count."""

    name: str
    weights: Mapping[str, float]
    unit: UnitChoice = field(default=fullest)
    """Which unit of the chosen node gives a share."""


SPREAD = Policy(
    "spread", {"labels": 1.0, "affinity": 100.0, "service": 1e3, "app": 10.0, "image": 5.0, "load": 1.0}
)
"""Evenly over the labels asked for, then over nodes; within that, apart from the rest of the app. Each weight
outweighs all that follow it together; a preferred affinity of weight 10 is worth one container of the service."""

BINPACK = Policy(
    "binpack", {"labels": 1.0, "affinity": 100.0, "bestfit": 100.0, "image": 5.0, "service": 0.0625}
)
"""As full as possible, so that whole nodes stay free; labels asked for are still spread over."""

FGD = Policy(
    "fgd",
    {
        "labels": 1.0,
        "affinity": 100.0,
        "fragmentation": 1e3,
        "bestfit": 10.0,
        "image": 5.0,
        "service": 0.0625,
    },
)
"""Where least of a generic resource becomes useless to what usually runs: a thousandth of a unit counts 1. Without
such resources it is BINPACK."""

POLICIES: dict[str, Policy] = {policy.name: policy for policy in (SPREAD, BINPACK, FGD)}

AVOIDED = -1e12
"""Of a node on which the slot just failed: it is taken when nothing else fits."""
PREFERRED = 1e13
"""Of the node that the want names."""


_STEPPED = frozenset({"labels", "affinity", "service", "app", "image", "load"})
"""Parts whose values are multiples of 1/1024, and stay so under a whole weight."""


def total(columns: Columns, request: Request, policy: Policy, *, without: str = "") -> Floats:
    """The sum of the weighted parts (but for one) as a column of its own; of meaning only where it fits."""
    column: Floats | None = None
    fewer: list[tuple[str, float, Fewer]] = []
    for name, weight in policy.weights.items():
        part = PARTS[name](columns, request) if name != without else None
        if isinstance(part, Fewer):
            fewer.append((name, weight, part))
        elif part is not None:
            weighted = _exact(name, weight, part)
            column = weighted.copy() if column is None else np.add(column, weighted, out=column)
    if column is None:
        column = np.zeros(len(columns.nodes))
    for name, weight, few in fewer:
        few.add_to(column, name, weight)
    return column


def score(columns: Columns, request: Request, policy: Policy) -> dict[str, Floats]:
    """The weighted parts that are not 0 everywhere, each as a column."""
    found = {}
    for name, weight in policy.weights.items():
        part = PARTS[name](columns, request)
        if isinstance(part, Fewer):
            found[name] = np.zeros(len(columns.nodes))
            part.add_to(found[name], name, weight)
        elif part is not None:
            found[name] = _exact(name, weight, part)
    return found


def _exact(name: str, weight: float, part: Floats) -> Floats:
    """Weighted, in steps of 1/1024: sums are exact in every order, and no total depends on who adds it up."""
    if name in _STEPPED and float(weight).is_integer():
        return part if weight == 1 else part * weight
    return np.asarray(np.round(weight * part * 1024.0) / 1024.0, dtype=np.float64)
