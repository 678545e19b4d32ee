"""A lower bound on the nodes that a workload needs: the linear relaxation of packing it.

Alike nodes are one type, alike requests one shape; shape m gives x[m, t] >= 0 of its tasks to type t if one of
them fits on an empty node of it. No type gives more of a resource than its nodes have together. Fractions are
allowed, and nothing is said of single nodes or units, so that no placement needs fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from scheduler.arrays import Floats
from scheduler.fragmentation import Shape
from scheduler.model import Node
from scheduler.resources import WHOLE
from scheduler.simulation.measures import shape_of
from scheduler.simulation.traces import GPU, Trace

Type = tuple[int, int, int]
"""CPU, memory, GPUs."""


def smallest(trace: Trace, nodes: Sequence[Node]) -> int | None:
    """Fewest of these nodes, from the first on, for which the relaxation has a solution; None: not even all.

    Raises `ModuleNotFoundError` without SciPy.
    """
    shapes = Counter(shape_of(want.request) for batch in trace.batches for want in batch)
    low, high = 0, len(nodes)
    if not feasible(shapes, nodes):
        return None
    while low < high:
        middle = (low + high) // 2
        if feasible(shapes, nodes[:middle]):
            high = middle
        else:
            low = middle + 1
    return low


def feasible(shapes: Counter[Shape], nodes: Iterable[Node]) -> bool:
    """Whether the tasks fit when each may be cut in pieces. Of constraints only amounts count."""
    from scipy.optimize import linprog  # noqa: PLC0415  optional, of the simulator alone
    from scipy.sparse import coo_array  # noqa: PLC0415

    types = Counter((node.cpu, node.memory, node.resources.get(GPU, 0)) for node in nodes)
    kinds, tasks = list(types), list(shapes)
    pairs = [(m, t) for m, shape in enumerate(tasks) for t, kind in enumerate(kinds) if _fits(shape, kind)]
    if {m for m, _ in pairs} != set(range(len(tasks))):
        return False
    if not pairs:
        return True
    column = np.arange(len(pairs))
    task, kind = np.array(pairs).T
    every = coo_array((np.ones(len(pairs)), (task, column)))
    needs = np.array([(shape.cpu, shape.memory, shape.asked) for shape in tasks], dtype=np.float64)
    rows = (kind[:, None] * 3 + np.arange(3)).ravel()
    taken = coo_array((needs[task].ravel(), (rows, np.repeat(column, 3))), shape=(3 * len(kinds), len(pairs)))
    there = np.array([_capacity(each, types[each]) for each in kinds]).ravel()
    scale = np.maximum(there, 1.0)
    solved = linprog(
        np.zeros(len(pairs)),
        A_ub=taken.multiply(1 / scale[:, None]).tocsr(),
        b_ub=there / scale,
        A_eq=every.tocsr(),
        b_eq=np.array([shapes[shape] for shape in tasks], dtype=np.float64),
        method="highs",
    )
    return bool(solved.status == 0)


def _fits(shape: Shape, kind: Type) -> bool:
    cpu, memory, units = kind
    return shape.cpu <= cpu and shape.memory <= memory and max(shape.units, shape.share > 0) <= units


def _capacity(kind: Type, number: int) -> Floats:
    cpu, memory, units = kind
    return np.array([cpu, memory, units * WHOLE], dtype=np.float64) * number
