"""How good each fitting node is for a request: columns of parts, weighted by a policy. Higher is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.columns import Columns, Floats, Ints, Mask
from scheduler.model import Request

Part = Callable[[Columns, Request, Mask], Floats]

MOST_COUNTED = 50
"""Containers of the same app beyond this many on a node make no difference any more."""


def _fewer(counts: Ints, fits: Mask) -> Floats:
    """0 for the fitting nodes with the fewest, -1 for each one more."""
    least = counts[fits].min() if fits.any() else 0
    return (least - counts).astype(np.float64)


def labels(columns: Columns, request: Request, fits: Mask) -> Floats:
    """Fewest containers of this service in the node's domain of each key in `spread_over`. One key outweighs
    all later ones (up to 1000 containers in a domain)."""
    here = columns.of_service(request.app, request.service)
    score = np.zeros(len(columns.nodes))
    for key in request.spread_over:
        domain = columns.domains(key)
        counts = np.bincount(domain, weights=here).astype(np.int64)[domain]
        score = score * 1000 + _fewer(counts, fits)
    return score


def service(columns: Columns, request: Request, fits: Mask) -> Floats:
    """Fewest containers of this service."""
    return _fewer(columns.of_service(request.app, request.service), fits)


def app(columns: Columns, request: Request, fits: Mask) -> Floats:
    """Fewest containers of this app."""
    return _fewer(np.minimum(columns.of_app(request.app), MOST_COUNTED), fits)


def image(columns: Columns, request: Request, _fits: Mask) -> Floats:
    """1 where the image is present."""
    return np.array([request.image in node.images for node in columns.nodes], dtype=np.float64)


def _free_shares(columns: Columns, request: Request) -> tuple[Floats, Floats]:
    """Shares of CPU and memory that would be left."""
    cpu = (columns.cpu_free - request.cpu) / np.maximum(columns.cpu, 1)
    memory = (columns.memory_free - request.memory) / np.maximum(columns.memory, 1)
    return np.clip(cpu, 0.0, 1.0), np.clip(memory, 0.0, 1.0)


def load(columns: Columns, request: Request, _fits: Mask) -> Floats:
    """Share that would be left of whichever is scarcer, CPU or memory."""
    cpu, memory = _free_shares(columns, request)
    return np.minimum(cpu, memory)


def bestfit(columns: Columns, request: Request, _fits: Mask) -> Floats:
    """BestFit v3: 20 - 10^(free CPU share) - 10^(free memory share), over 18 so that a full node has 1.

    Source: C. Stein, "Scheduling a large datacenter", work done at Google; Nomad's `ScoreFitBinPack` uses it
    too (www.columbia.edu/~cs2035/courses/ieor4405.S13/datacenter_scheduling.ppt).
    """
    cpu, memory = _free_shares(columns, request)
    return np.asarray((20.0 - np.power(10.0, cpu) - np.power(10.0, memory)) / 18.0, dtype=np.float64)


PARTS: Mapping[str, Part] = {
    "labels": labels,
    "service": service,
    "app": app,
    "bestfit": bestfit,
    "image": image,
    "load": load,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A named choice of weights by part. A part that is not named does not count."""

    name: str
    weights: Mapping[str, float]


SPREAD = Policy("spread", {"labels": 1e6, "service": 1e3, "app": 10.0, "image": 5.0, "load": 1.0})
"""Evenly over the labels asked for, then over nodes; within that, apart from the rest of the app. Each weight
outweighs all that follow it together."""

BINPACK = Policy("binpack", {"labels": 1e6, "bestfit": 100.0, "image": 5.0, "service": 0.01})
"""As full as possible, so that whole nodes stay free; labels asked for are still spread over."""

POLICIES: Mapping[str, Policy] = {policy.name: policy for policy in (SPREAD, BINPACK)}


def score(columns: Columns, request: Request, fits: Mask, policy: Policy) -> dict[str, Floats]:
    """Weighted parts as columns; of meaning only where `fits`.

    Rounded to 1/1024, so that sums are exact in every order and a total cannot depend on who adds it up.
    """
    return {
        name: np.round(weight * PARTS[name](columns, request, fits) * 1024.0) / 1024.0
        for name, weight in policy.weights.items()
        if name != "labels" or request.spread_over
    }
