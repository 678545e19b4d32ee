"""What would happen: if nodes went, if they were drained, if more were asked for. All on a copy; the cluster
is as before.

Higher priority is placed first; among equals the order is that of app, service, slot and container.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from scheduler.model import Allocation, Explanation, NodeState, Request, Want
from scheduler.placement import Cluster
from scheduler.scores import SPREAD, Policy


@dataclass(frozen=True, slots=True)
class Relocation:
    """A container that would be replaced on another node."""

    container: str
    slot: str
    app: str
    service: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that would have no place. `reason` and `remedies` as in an explanation."""

    container: str
    slot: str
    app: str
    service: str
    source: str
    reason: str
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the containers of some nodes."""

    moved: tuple[Relocation, ...]
    pending: tuple[Waiting, ...]
    bound: tuple[Waiting, ...]
    """What goes nowhere else: its data, or its only right to run, is there."""
    summary: str
    """A sentence: '12 containers would move, 3 would wait: 0 of 4 nodes fit: …'."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many more replicas fit."""

    fits: int
    nodes: tuple[tuple[str, int], ...]
    """How many on which node, in the order of their ids; only nodes that get any."""
    refusal: Explanation | None
    """Of the next one; None: the limit was reached."""
    summary: str


def without(
    cluster: Cluster, node_ids: Iterable[str], policy: Policy = SPREAD, *, pinned: Collection[str] = ()
) -> Outcome:
    """If these nodes were gone at once. `pinned` are containers that are not replaced elsewhere, besides those
    with a volume: exclusive ones, and those of global services. ValueError for a node that is not there."""
    copy = cluster.copy()
    gone = _known(cluster, node_ids)
    movable, bound = _split(copy, gone, pinned)
    copy.free_many([each.container for node_id in gone for each in copy.on(node_id)])
    for node_id in gone:
        copy.drop(node_id)
    moved, pending = _relocate(copy, movable, policy)
    return _outcome(moved, pending, bound, "be down until their node is back")


def drained(
    cluster: Cluster, node_ids: Iterable[str], policy: Policy = SPREAD, *, pinned: Collection[str] = ()
) -> Outcome:
    """If these nodes were drained: as `without`, but what is bound to them stays and runs on (design,
    decision 8)."""
    copy = cluster.copy()
    emptied = _known(cluster, node_ids)
    movable, bound = _split(copy, emptied, pinned)
    for node in [each for each in copy.nodes if each.id in emptied]:
        copy.update(replace(node, state=NodeState.DRAINING))
    copy.free_many([each.container for each in movable])
    moved, pending = _relocate(copy, movable, policy)
    return _outcome(moved, pending, bound, "stay, bound to their node")


def room(cluster: Cluster, request: Request, limit: int, policy: Policy = SPREAD) -> Room:
    """How many more replicas fit, up to `limit`, where, and what refuses the next one."""
    copy = cluster.copy()
    decisions = copy.place([Want(request, f"{request.service}+{number}") for number in range(limit)], policy)
    placed = [each.node for each in decisions if each.node is not None]
    refused = next((each for each in decisions if each.node is None), None)
    refusal = None if refused is None else copy.explain(refused)
    nodes = tuple(sorted(Counter(placed).items()))
    more = f"{len(placed)} more of {request.service} {'fits' if len(placed) == 1 else 'fit'}"
    if refusal is None:
        summary = f"{more}, which is all that was asked about"
    else:
        summary = f"{more}; the next one would wait: {refusal.summary}"
    return Room(len(placed), nodes, refusal, summary)


# -- the parts


def _known(cluster: Cluster, node_ids: Iterable[str]) -> tuple[str, ...]:
    asked = set(node_ids)
    if unknown := asked - {node.id for node in cluster.nodes}:
        raise ValueError(f"No such node: {', '.join(sorted(unknown))}")
    return tuple(sorted(asked))


def _split(
    copy: Cluster, node_ids: Iterable[str], pinned: Collection[str]
) -> tuple[list[Allocation], list[Allocation]]:
    """Containers of these nodes that can go elsewhere, in the order in which they are placed, and those that
    cannot. What is leaving is neither: it is on its way out."""
    there = sorted(
        (each for node_id in node_ids for each in copy.on(node_id) if not each.leaving), key=_order
    )
    stays = [each for each in there if each.request.volumes or each.container in pinned]
    kept = {each.container for each in stays}
    return [each for each in there if each.container not in kept], stays


def _order(allocation: Allocation) -> tuple[int, str, str, str, str]:
    request = allocation.request
    return (-request.priority, request.app, request.service, allocation.slot, allocation.container)


def _relocate(
    copy: Cluster, movable: Sequence[Allocation], policy: Policy
) -> tuple[list[Relocation], list[Waiting]]:
    decisions = copy.place([Want(each.request, each.slot, each.container) for each in movable], policy)
    moved: list[Relocation] = []
    pending: list[Waiting] = []
    reasons: dict[int, Explanation] = {}
    for each, decision in zip(movable, decisions, strict=True):
        request = each.request
        if decision.node is not None:
            names = (each.container, each.slot, request.app, request.service)
            moved.append(Relocation(*names, each.node, decision.node))
        else:
            if id(request) not in reasons:
                reasons[id(request)] = copy.explain(decision)
            why = reasons[id(request)]
            reason = why.summary if copy.nodes else "No node would be left"
            pending.append(_stuck(each, reason, why.remedies))
    return moved, pending


def _stuck(allocation: Allocation, reason: str, remedies: tuple[str, ...] = ()) -> Waiting:
    request = allocation.request
    return Waiting(
        allocation.container,
        allocation.slot,
        request.app,
        request.service,
        allocation.node,
        reason,
        remedies,
    )


# -- sentences


def _outcome(
    moved: Sequence[Relocation], pending: Sequence[Waiting], bound: Sequence[Allocation], fate: str
) -> Outcome:
    ties = f"; {_would(len(bound), fate)}" if bound else ""
    waits = _waits([each.reason for each in pending])
    alone = f"it would {fate.replace('their', 'its')}"
    return Outcome(
        tuple(moved),
        tuple(pending),
        tuple(_stuck(each, alone) for each in bound),
        f"{_would(len(moved), 'move')}{ties}{waits}",
    )


def _would(number: int, what: str) -> str:
    if number == 1:
        return f"1 container would {what.replace('their', 'its')}"
    return f"{number or 'No'} containers would {what}"


def _waits(reasons: Sequence[str]) -> str:
    """The most frequent reason stands for all."""
    if not reasons:
        return ""
    [(usual, _)] = Counter(reasons).most_common(1)
    return f"; {len(reasons)} would wait: {usual}"
