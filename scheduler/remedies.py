"""What would make a pending request fit: sentences in the imperative, the smallest change first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.arrays import Mask
from scheduler.columns import Columns
from scheduler.filters import FILTERS, SHOW, broken
from scheduler.model import Node, NodeState, Refusal, Request, Want
from scheduler.units import need_of_bytes, of_cpu, plain

MOST = 4
"""Sentences; more are no help."""


@dataclass(frozen=True, slots=True)
class _Near:
    """A node that only one thing keeps from fitting."""

    row: int
    refusal: Refusal


def remedies(columns: Columns, want: Want) -> tuple[str, ...]:
    """Each sentence is enough by itself; none means that no single change would do."""
    refusing = {
        each.name: mask for each in FILTERS if (mask := each.refuses(columns, want.request)) is not None
    }
    near = _near(columns, want, refusing)
    found: list[str] = []
    for name, say in _SAY.items():
        group = [each for each in near if each.refusal.filter == name]
        if group:
            found.extend(say(columns, want.request, group))
    if not found and not want.node and not _ELSEWHERE.intersection(refusing):
        found.append(_another(want.request))
    return tuple(dict.fromkeys(found))[:MOST]


def _near(columns: Columns, want: Want, refusing: Mapping[str, Mask]) -> list[_Near]:
    times = np.zeros(len(columns.nodes), dtype=np.int64)
    for mask in refusing.values():
        times += mask
    near = []
    for row in np.flatnonzero(times == 1).tolist():
        if want.node in ("", columns.nodes[row].id):
            only = next(each for each in FILTERS if each.name in refusing and refusing[each.name][row])
            near.append(_Near(row, only.refuse(columns, want.request, row)))
    return near


def _another(request: Request) -> str:
    meeting = f" that meets {' and '.join(map(str, request.constraints))}" if request.constraints else ""
    return (
        f"Add a node{meeting} with {of_cpu(request.cpu)} and {need_of_bytes(request.memory)} of memory free"
    )


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


_AMOUNTS: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "memory": ("{} of memory", need_of_bytes),
    "disk": ("{} of disk", need_of_bytes),
    "cpu": ("{}", of_cpu),
    "pids": ("{} pids", plain),
}
"""How one is told to ask for less, or to free more."""


def _amount(columns: Columns, _request: Request, near: list[_Near]) -> list[str]:
    name, asked = near[0].refusal.filter, near[0].refusal.asked
    free = next(each.free for each in FILTERS if each.name == name and each.free)(columns)
    best = max(near, key=lambda each: free.item(each.row)).row
    left, (text, need) = free.item(best), _AMOUNTS[name]
    sentences = [f"Free {text.format(need(asked - left))} on {columns.nodes[best].name}"]
    if left > 0:
        sentences.insert(0, f"Ask for at most {text.format(SHOW[name](left))}")
    return sentences


def _constraints(columns: Columns, request: Request, near: list[_Near]) -> list[str]:
    best = min(near, key=lambda each: len(broken(columns, request, each.row)))
    wanted, name = broken(columns, request, best.row), columns.nodes[best.row].name
    labels = [each.key.removeprefix(_LABEL) for each in wanted if each.equal and each.key.startswith(_LABEL)]
    if len(wanted) == len(labels) == 1:
        return [f"Give {name} the label {labels[0]}={wanted[0].value}, or drop the constraint"]
    return [f"Make {name} meet {' and '.join(map(str, wanted))}, or drop the constraint"]


_LABEL = "node.labels."


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


def _resources(columns: Columns, request: Request, near: list[_Near]) -> list[str]:
    """More of what a node has can be freed there; what it has not must come from elsewhere."""
    there = [each for each in near if _has_some(columns, request, each.row)]
    if there:
        best = max(there, key=lambda each: each.refusal.free)
        return [f"Free what {columns.nodes[best.row].name} lacks: it {best.refusal.reason}"]
    wanted = " and ".join(f"{each.units or 1} {each.kind}" for each in request.resources)
    name = columns.nodes[near[0].row].name
    return [f"Add a node with {wanted}, or declare in the agent's configuration what {name} has of it"]


def _has_some(columns: Columns, request: Request, row: int) -> bool:
    return all(
        (units := columns.units.get(each.kind)) is not None and units.count.item(row) >= max(each.units, 1)
        for each in request.resources
    )


def _named(text: str) -> Callable[[Columns, Request, list[_Near]], list[str]]:
    def say(columns: Columns, _request: Request, near: list[_Near]) -> list[str]:
        return [text.format(node=columns.nodes[near[0].row].name, reason=near[0].refusal.reason)]

    return say


_SAY: dict[str, Callable[[Columns, Request, list[_Near]], list[str]]] = {
    "quota": _quota,
    "ready": _ready,
    "overlay": _named("Bring {node} onto the overlay (it {reason})"),
    "free_disk": _named("Free disk on {node}"),
    "secrets": _named("Update the agent of {node} (it {reason})"),
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
"""The smallest changes first."""
_ELSEWHERE = frozenset({"quota", "volumes", "affinity"})
"""Filters of which another node would not be free."""
