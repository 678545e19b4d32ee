"""What would make a pending request fit: sentences in the imperative, the smallest change first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scheduler.columns import Columns
from scheduler.filters import FILTERS, SHOW, broken
from scheduler.model import Node, NodeState, Refusal, Request, Want

MOST = 4
"""Sentences; more are no help."""


@dataclass(frozen=True, slots=True)
class _Near:
    """A node that only one thing keeps from fitting."""

    row: int
    refusal: Refusal


def remedies(columns: Columns, want: Want) -> tuple[str, ...]:
    """Each sentence is enough by itself; none means that no single change would do."""
    if not columns.nodes:
        return ("Add a node",)
    near = _near(columns, want)
    found: list[str] = []
    for name in _ORDER:
        group = [each for each in near if each.refusal.filter == name]
        if group:
            found.extend(_SAY[name](columns, want.request, group))
    return tuple(dict.fromkeys(found))[:MOST]


def _near(columns: Columns, want: Want) -> list[_Near]:
    refusing = []
    times = np.zeros(len(columns.nodes), dtype=np.int64)
    for each in FILTERS:
        mask = each.refuses(columns, want.request)
        if mask is not None:
            times += mask
            refusing.append((each, mask))
    near = []
    for row in np.flatnonzero(times == 1):
        node = columns.nodes[int(row)]
        if not want.node or node.id == want.node:
            only = next(each for each, mask in refusing if mask[row])
            near.append(_Near(int(row), only.refuse(columns, want.request, int(row))))
    return near


# -- by filter


def _quota(_columns: Columns, request: Request, _near: list[_Near]) -> list[str]:
    return [f"Raise the quota of team {request.team}, or scale something of it down"]


_STATES: dict[NodeState, str] = {
    NodeState.DRAINING: "End the drain of {}",
    NodeState.SUSPECT: "Wait for {} to answer again",
    NodeState.DOWN: "Bring {} back",
    NodeState.READY: "Uncordon {}",
}


def _ready(columns: Columns, _request: Request, near: list[_Near]) -> list[str]:
    """One of each kind, the easiest kind first."""
    order = [NodeState.READY, NodeState.DRAINING, NodeState.SUSPECT, NodeState.DOWN]
    nodes = sorted((columns.nodes[each.row] for each in near), key=lambda node: order.index(node.state))
    firsts: dict[NodeState, Node] = {}
    for node in nodes:
        firsts.setdefault(node.state, node)
    return [_STATES[state].format(node.name) for state, node in firsts.items()]


def _amount(columns: Columns, _request: Request, near: list[_Near]) -> list[str]:
    best = min(near, key=lambda each: each.refusal.asked - each.refusal.free)
    what, show = best.refusal.filter, SHOW[best.refusal.filter]
    missing = best.refusal.asked - best.refusal.free
    freed = f"Free {show(missing)} of {what} on {columns.nodes[best.row].name}"
    return [f"Ask for at most {show(best.refusal.free)} of {what}", freed] if best.refusal.free else [freed]


def _constraints(columns: Columns, request: Request, near: list[_Near]) -> list[str]:
    best = min(near, key=lambda each: len(broken(columns, request, each.row)))
    wanted = " and ".join(str(each) for each in broken(columns, request, best.row))
    return [f"Make {columns.nodes[best.row].name} meet {wanted}, or drop the constraint"]


def _ports(columns: Columns, request: Request, near: list[_Near]) -> list[str]:
    named = [port.host for port in request.ports if port.host]
    name = columns.nodes[near[0].row].name
    if not named:
        return [f"Widen the range of ports of {name}"]
    return [
        f"Publish another port, or leave the choice of the port to Berth ({name} {near[0].refusal.reason})"
    ]


def _most(_columns: Columns, request: Request, _near: list[_Near]) -> list[str]:
    return [f"Add a node, or allow more than {request.max_per_node} of {request.service} on a node"]


def _resources(columns: Columns, _request: Request, near: list[_Near]) -> list[str]:
    best = max(near, key=lambda each: each.refusal.free)
    return [f"Free what {columns.nodes[best.row].name} lacks: it {best.refusal.reason}"]


def _named(text: str) -> Callable[[Columns, Request, list[_Near]], list[str]]:
    def say(columns: Columns, _request: Request, near: list[_Near]) -> list[str]:
        return [text.format(node=columns.nodes[near[0].row].name, reason=near[0].refusal.reason)]

    return say


_SAY: dict[str, Callable[[Columns, Request, list[_Near]], list[str]]] = {
    "quota": _quota,
    "ready": _ready,
    "memory": _amount,
    "cpu": _amount,
    "pids": _amount,
    "disk": _amount,
    "max_per_node": _most,
    "ports": _ports,
    "image": _named("Load the image on {node}, or push it to a registry"),
    "resources": _resources,
    "anti_affinity": _named("Loosen the anti-affinity ({node} {reason}), or add a node"),
    "affinity": _named("Loosen the affinity ({node} {reason})"),
    "constraints": _constraints,
    "volumes": _named("Move the volume, or use another one ({node} {reason})"),
}
_ORDER = tuple(_SAY)
