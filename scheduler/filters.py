"""Which nodes cannot take a request at all, and why each of them cannot.

A reason starts with its verb, so that it reads both after a node's name ("worker-2 is draining") and, with
the verb in the plural, after a number ("2 are draining"); `scheduler.explain` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from scheduler import affinity, quotas
from scheduler.arrays import Ints, Mask
from scheduler.columns import Columns
from scheduler.model import Constraint, NodeState, Refusal, Request, Resource
from scheduler.ports import open_ports, own_in_range
from scheduler.units import of_bytes, of_cpu, of_share, plain


@dataclass(frozen=True, slots=True)
class Filter:
    """`refuses` gives the nodes that cannot (None: all can); `refuse` says why one of them cannot."""

    name: str
    refuses: Callable[[Columns, Request], Mask | None]
    refuse: Callable[[Columns, Request, int], Refusal]
    lasting: bool = False
    """It does not depend on what is taken."""
    show: Callable[[int], str] | None = None
    """How its numbers are written; None: it has none to compare."""
    free: Callable[[Columns], Ints] | None = None
    """Of an amount: what is left of it, less than 0 where more runs than there is."""


# -- the node's state

_STATES = {
    NodeState.SUSPECT: "is out of contact",
    NodeState.DRAINING: "is draining",
    NodeState.DOWN: "is down",
}


def _refuse_state(columns: Columns, _request: Request, row: int) -> Refusal:
    return Refusal("ready", _STATES.get(columns.nodes[row].state, "is cordoned"))


# -- networks across hosts


def _refuse_overlay(columns: Columns, _request: Request, row: int) -> Refusal:
    return Refusal("overlay", columns.nodes[row].off_overlay)


# -- secrets


def _off_secrets(columns: Columns, request: Request) -> Mask | None:
    return columns.off_secrets if request.secrets else None


def _refuse_secrets(columns: Columns, _request: Request, row: int) -> Refusal:
    return Refusal("secrets", columns.nodes[row].off_secrets)


# -- full disks


def _low_on_disk(columns: Columns, request: Request) -> Mask | None:
    """What has its data there can go nowhere else."""
    if any(each in columns.volumes for each in request.volumes):
        return None
    return columns.low_on_disk


def _refuse_low_on_disk(_columns: Columns, _request: Request, _row: int) -> Refusal:
    return Refusal("free_disk", "has hardly any disk free")


# -- constraints


def _breaks(columns: Columns, request: Request) -> Mask | None:
    refused: Mask | None = None
    for each in request.constraints:
        broken = columns.masks.breaks(each)
        refused = broken if refused is None else refused | broken
    return refused


def _refuse_constraints(columns: Columns, request: Request, row: int) -> Refusal:
    return Refusal("constraints", f"does not meet {' and '.join(map(str, broken(columns, request, row)))}")


def broken(columns: Columns, request: Request, row: int) -> list[Constraint]:
    """The constraints that this node does not meet."""
    return [each for each in request.constraints if columns.masks.breaks(each)[row]]


# -- volumes and images


def _away(columns: Columns, request: Request) -> Mask | None:
    homes = {columns.volumes[each] for each in request.volumes if each in columns.volumes}
    if not homes:
        return None
    refused = np.ones(len(columns.nodes), dtype=np.bool_)
    row = columns.index.get(homes.pop()) if len(homes) == 1 else None
    if row is not None:
        refused[row] = False
    return refused


def _refuse_volumes(columns: Columns, request: Request, row: int) -> Refusal:
    node = columns.nodes[row].id
    volume, home = next(
        (each, columns.volumes[each]) for each in request.volumes if columns.volumes.get(each, node) != node
    )
    name = columns.nodes[columns.index[home]].name if home in columns.index else "a node that is gone"
    return Refusal("volumes", f"does not hold volume {volume} (it is on {name})")


def _lacks_image(columns: Columns, request: Request) -> Mask | None:
    return columns.masks.lacks_image(request.image) if request.image_local_only else None


def _refuse_image(_columns: Columns, request: Request, _row: int) -> Refusal:
    return Refusal("image", f"does not have image {request.image[:19]}, which is in no registry")


# -- amounts


def _amount(
    name: str,
    asked: Callable[[Request], int],
    free: Callable[[Columns], Ints],
    show: Callable[[int], str],
    *,
    always: bool = True,
) -> Filter:
    """`always`: also who asks for nothing is refused where more than there is was taken."""

    def refuses(columns: Columns, request: Request) -> Mask | None:
        wanted = asked(request)
        return free(columns) < wanted if wanted or always else None

    def refuse(columns: Columns, request: Request, row: int) -> Refusal:
        wanted, left = asked(request), max(int(free(columns)[row]), 0)
        reason = f"lacks {name} (free {show(left)}, asked {show(wanted)})"
        return Refusal(name, reason, asked=wanted, free=left)

    return Filter(name, refuses, refuse, show=show, free=free)


# -- generic resources


def _lacking(columns: Columns, resource: Resource) -> Mask | None:
    """None: no node has any of the kind."""
    units = columns.units.get(resource.kind)
    return None if units is None else units.lacks(resource)


def _lacks_resources(columns: Columns, request: Request) -> Mask | None:
    refused: Mask | None = None
    for each in request.resources:
        lacking = _lacking(columns, each)
        if lacking is None:
            return np.ones(len(columns.nodes), dtype=np.bool_)
        refused = lacking if refused is None else refused | lacking
    return refused


def _refuse_resources(columns: Columns, request: Request, row: int) -> Refusal:
    each = next(
        one for one in request.resources if (lacking := _lacking(columns, one)) is None or lacking[row]
    )
    units = columns.units.get(each.kind)
    asked = each.share or each.units
    if units is None or not units.count[row]:
        return Refusal("resources", f"has no {each.kind}", asked=asked)
    if each.share:
        free = int(units.largest[row])
        text = f"lacks a share of one {each.kind} (largest free {of_share(free)}, asked {of_share(asked)})"
    else:
        free = int(units.whole[row])
        text = f"lacks {each.kind} (free {free} of {units.count[row]}, asked {asked})"
    return Refusal("resources", text, asked=asked, free=free)


# -- host ports


def _lacks_ports(columns: Columns, request: Request) -> Mask | None:
    if not request.ports:
        return None
    refused = np.zeros(len(columns.nodes), dtype=np.bool_)
    for port in request.ports:
        if port.host:
            refused[columns.ports.users(port.protocol, port.host)] = True
    for protocol, number in open_ports(request.ports).items():
        own = (
            [own_in_range(request.ports, protocol, node) for node in columns.nodes] if _named(request) else 0
        )
        refused |= columns.ports.room[protocol] - own < number
    return refused


def _named(request: Request) -> bool:
    return any(port.host for port in request.ports)


def has_given(columns: Columns, request: Request, row: int) -> bool:
    """Whether one node has the ports and units, as `FILTERS` asks of all."""
    node = columns.nodes[row]
    return (
        all(columns.units[each.kind].has(row, each) for each in request.resources)
        and not any(
            port.host and columns.ports.taken(row, port.protocol, port.host) for port in request.ports
        )
        and all(
            columns.ports.room[protocol][row] - own_in_range(request.ports, protocol, node) >= number
            for protocol, number in open_ports(request.ports).items()
        )
    )


def _refuse_ports(columns: Columns, request: Request, row: int) -> Refusal:
    for port in request.ports:
        if port.host and columns.ports.taken(row, port.protocol, port.host):
            suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
            return Refusal("ports", f"has port {port.host}{suffix} taken", asked=port.host)
    node = columns.nodes[row]
    wanted = open_ports(request.ports)
    left = min(int(columns.ports.room[protocol][row]) for protocol in wanted)
    reason = f"has too few ports left in {node.port_first}-{node.port_last}"
    return Refusal("ports", reason, asked=wanted.total(), free=left)


# -- who else is there


def _has_most(columns: Columns, request: Request) -> Mask | None:
    if not request.max_per_node:
        return None
    rows = columns.service(request.app, request.service).rows
    full = [row for row, number in rows.items() if number >= request.max_per_node]
    if not full:
        return None
    refused = np.zeros(len(columns.nodes), dtype=np.bool_)
    refused[full] = True
    return refused


def _refuse_most(columns: Columns, request: Request, row: int) -> Refusal:
    there = columns.service(request.app, request.service).rows.get(row, 0)
    reason = f"has {there} of {request.service} already (at most {request.max_per_node} on a node)"
    return Refusal("max_per_node", reason, asked=request.max_per_node, free=0)


def _refuse_far(columns: Columns, request: Request, row: int) -> Refusal:
    each = next(
        one
        for one in request.affinity
        if one.required
        and not one.anti
        and not affinity.waived(columns, request, one)
        and not affinity.named(columns, request, one).near(columns.masks.domains(one.over))[row]
    )
    return Refusal("affinity", f"has none of {_called(each.service)} near (over {each.over})")


def _refuse_repelled(columns: Columns, request: Request, row: int) -> Refusal:
    service, key = affinity.refusers(columns, request, row)[0]
    if service == request.service and not any(
        each.anti and each.required and each.service == service for each in request.affinity
    ):
        return Refusal("anti_affinity", f"has a service that keeps {request.service} away (over {key})")
    return Refusal("anti_affinity", f"has {_called(service)} near, which it must be away from (over {key})")


def _called(service: str) -> str:
    return "its app" if service == affinity.ANY else service


FILTERS: tuple[Filter, ...] = (
    Filter("ready", lambda columns, _request: columns.unready, _refuse_state, lasting=True),
    Filter("overlay", lambda columns, _request: columns.off_overlay, _refuse_overlay, lasting=True),
    Filter("secrets", _off_secrets, _refuse_secrets, lasting=True),
    Filter("free_disk", _low_on_disk, _refuse_low_on_disk),
    Filter("constraints", _breaks, _refuse_constraints, lasting=True),
    Filter("volumes", _away, _refuse_volumes, lasting=True),
    Filter("image", _lacks_image, _refuse_image, lasting=True),
    Filter("quota", quotas.refuses, quotas.refuse),
    _amount("memory", lambda request: request.memory, lambda columns: columns.memory_free, of_bytes),
    _amount("cpu", lambda request: request.cpu, lambda columns: columns.cpu_free, of_cpu),
    _amount("pids", lambda request: request.pids, lambda columns: columns.pids_free, plain),
    _amount("disk", lambda request: request.disk, lambda columns: columns.disk_free, of_bytes, always=False),
    Filter("resources", _lacks_resources, _refuse_resources),
    Filter("ports", _lacks_ports, _refuse_ports),
    Filter("max_per_node", _has_most, _refuse_most),
    Filter("affinity", affinity.far, _refuse_far),
    Filter("anti_affinity", affinity.repelled, _refuse_repelled),
)
"""In the order in which they are asked: a node's refusal is that of the first that refuses it."""

SHOW: dict[str, Callable[[int], str]] = {each.name: each.show for each in FILTERS if each.show}
"""How the numbers of each amount's refusal are written."""

LASTING = tuple(each for each in FILTERS if each.lasting)
AMOUNTS = tuple(each for each in FILTERS if each.free)
BUT_AMOUNTS = tuple(each for each in FILTERS if not each.free)


def refused(columns: Columns, request: Request, by: Iterable[Filter] = FILTERS) -> Mask:
    """The nodes that any of the filters refuses, as a mask of its own."""
    found = np.zeros(len(columns.nodes), dtype=np.bool_)
    for each in by:
        mask = each.refuses(columns, request)
        if mask is not None:
            found |= mask
    return found


def has_amounts(columns: Columns, request: Request, row: int, times: int = 1) -> bool:
    """Whether one node has what so many of the request ask of it together, as `AMOUNTS` asks of all."""
    return (
        columns.memory_free.item(row) >= times * request.memory
        and columns.cpu_free.item(row) >= times * request.cpu
        and columns.pids_free.item(row) >= times * request.pids
        and (not request.disk or columns.disk_free.item(row) >= times * request.disk)
    )
