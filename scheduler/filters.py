"""Which nodes can take a request at all, and for each that cannot, why.

A reason starts with its verb, so that it reads both after a node's name ("worker-2 is draining") and, with
the verb in the plural, after a number ("2 are draining"); `scheduler.explain` does that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scheduler.columns import Columns, Ints, Mask, attribute
from scheduler.model import Constraint, Node, NodeState, Refusal, Request
from scheduler.units import of_bytes, of_cpu, of_pids


@dataclass(frozen=True, slots=True)
class Filter:
    """`passes` gives a column; `refuse` says why a row of it is false."""

    name: str
    passes: Callable[[Columns, Request], Mask]
    refuse: Callable[[Columns, Request, int], Refusal]


def _everywhere(columns: Columns) -> Mask:
    return np.ones(len(columns.nodes), dtype=np.bool_)


# -- the node's state

_STATES = {
    NodeState.SUSPECT: "is out of contact",
    NodeState.DRAINING: "is draining",
    NodeState.DOWN: "is down",
}


def _refuse_state(columns: Columns, _request: Request, row: int) -> Refusal:
    return Refusal("ready", _STATES.get(columns.nodes[row].state, "is cordoned"))


# -- amounts


def _amount(
    name: str,
    asked: Callable[[Request], int],
    free: Callable[[Columns], Ints],
    show: Callable[[int], str],
) -> Filter:
    def passes(columns: Columns, request: Request) -> Mask:
        return free(columns) >= asked(request)

    def refuse(columns: Columns, request: Request, row: int) -> Refusal:
        wanted, left = asked(request), max(int(free(columns)[row]), 0)
        reason = f"lacks {name} (free {show(left)}, asked {show(wanted)})"
        return Refusal(name, reason, asked=wanted, free=left)

    return Filter(name, passes, refuse)


SHOW: dict[str, Callable[[int], str]] = {"memory": of_bytes, "cpu": of_cpu, "pids": of_pids}
"""How the numbers of each amount's refusal are written."""

# -- constraints


def _meets(node: Node, constraint: Constraint) -> bool:
    """Without regard to case, as Swarm compares; a label that is missing is the empty text."""
    same = attribute(node, constraint.key).casefold() == constraint.value.casefold()
    return same is constraint.equal


def _pass_constraints(columns: Columns, request: Request) -> Mask:
    if not request.constraints:
        return _everywhere(columns)
    return np.array(
        [all(_meets(node, constraint) for constraint in request.constraints) for node in columns.nodes],
        dtype=np.bool_,
    )


def _refuse_constraints(columns: Columns, request: Request, row: int) -> Refusal:
    broken = [str(each) for each in request.constraints if not _meets(columns.nodes[row], each)]
    return Refusal("constraints", f"does not meet {' and '.join(broken)}")


# -- host ports


def _open_ports(request: Request) -> Counter[str]:
    return Counter(port.protocol for port in request.ports if not port.host)


def _own_ports_in_range(request: Request, protocol: str, columns: Columns) -> Ints:
    """How many of the wanted host ports each node would take from its own range."""
    wanted = [port.host for port in request.ports if port.host and port.protocol == protocol]
    return columns.column(
        sum(node.port_first <= host <= node.port_last for host in wanted) for node in columns.nodes
    )


def _pass_ports(columns: Columns, request: Request) -> Mask:
    passes = _everywhere(columns)
    for port in request.ports:
        if port.host:
            passes &= columns.mask(columns.port_users(port.protocol, port.host), inside=False)
    for protocol, number in _open_ports(request).items():
        left = columns.port_room[protocol] - _own_ports_in_range(request, protocol, columns)
        passes &= left >= number
    return passes


def _refuse_ports(columns: Columns, request: Request, row: int) -> Refusal:
    for port in request.ports:
        if port.host and row in columns.port_users(port.protocol, port.host):
            suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
            return Refusal("ports", f"has port {port.host}{suffix} taken", asked=port.host)
    node = columns.nodes[row]
    wanted = _open_ports(request)
    left = min(int(columns.port_room[protocol][row]) for protocol in wanted)
    return Refusal(
        "ports",
        f"has too few ports left in {node.port_first}-{node.port_last}",
        asked=wanted.total(),
        free=left,
    )


# -- at most so many on a node


def _pass_max(columns: Columns, request: Request) -> Mask:
    if not request.max_per_node:
        return _everywhere(columns)
    return columns.of_service(request.app, request.service) < request.max_per_node


def _refuse_max(columns: Columns, request: Request, row: int) -> Refusal:
    there, most = int(columns.of_service(request.app, request.service)[row]), request.max_per_node
    reason = f"has {there} of {request.service} already (at most {most} on a node)"
    return Refusal("max_per_node", reason, asked=most, free=0)


# -- volumes and images


def _elsewhere(columns: Columns, request: Request, row: int) -> str | None:
    """A volume of the request that is bound to another node."""
    node = columns.nodes[row].id
    return next((each for each in request.volumes if columns.volumes.get(each, node) != node), None)


def _pass_volumes(columns: Columns, request: Request) -> Mask:
    passes = _everywhere(columns)
    for home in {columns.volumes[each] for each in request.volumes if each in columns.volumes}:
        passes &= columns.mask([columns.index[home]] if home in columns.index else [], inside=True)
    return passes


def _refuse_volumes(columns: Columns, request: Request, row: int) -> Refusal:
    volume = _elsewhere(columns, request, row) or ""
    home = columns.volumes[volume]
    name = columns.nodes[columns.index[home]].name if home in columns.index else "a node that is gone"
    return Refusal("volumes", f"does not hold volume {volume} (it is on {name})")


def _pass_image(columns: Columns, request: Request) -> Mask:
    if not request.image_local_only:
        return _everywhere(columns)
    return np.array([request.image in node.images for node in columns.nodes], dtype=np.bool_)


def _refuse_image(_columns: Columns, request: Request, _row: int) -> Refusal:
    return Refusal("image", f"does not have image {request.image[:19]}, which is in no registry")


FILTERS: tuple[Filter, ...] = (
    Filter("ready", lambda columns, _request: columns.ready, _refuse_state),
    Filter("constraints", _pass_constraints, _refuse_constraints),
    Filter("volumes", _pass_volumes, _refuse_volumes),
    Filter("image", _pass_image, _refuse_image),
    _amount("memory", lambda request: request.memory, lambda columns: columns.memory_free, of_bytes),
    _amount("cpu", lambda request: request.cpu, lambda columns: columns.cpu_free, of_cpu),
    _amount("pids", lambda request: request.pids, lambda columns: columns.pids_free, of_pids),
    Filter("ports", _pass_ports, _refuse_ports),
    Filter("max_per_node", _pass_max, _refuse_max),
)
"""In the order in which they are asked: a node's refusal is that of the first that refuses it."""
