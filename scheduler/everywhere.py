"""Which slots a service wants: so many, or one on each eligible node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from scheduler.model import AppView, NewSlot, NodeState, ServiceView, SlotView


class Sifted(NamedTuple):
    """A service's slots, each list in the order of their index."""

    wanted: list[SlotView]
    kept: list[SlotView]
    """Of a global service, on a node that takes nothing new just now: left as they are, and not counted."""
    excess: list[SlotView]
    new: list[NewSlot]
    """What is missing."""


def sift(view: AppView, service: ServiceView, slots: Sequence[SlotView]) -> Sifted:
    """`slots` are the service's, in the order of their index."""
    if service.mode.everywhere and service.replicas:
        return _everywhere(view, service, slots)
    wanted = [slot for slot in slots if slot.index <= service.replicas]
    there = {slot.index for slot in wanted}
    missing = range(1, service.replicas + 1) if len(there) < service.replicas else ()
    new = [NewSlot(service.name, index) for index in missing if index not in there]
    return Sifted(wanted, [], [slot for slot in slots if slot.index > service.replicas], new)


def _everywhere(view: AppView, service: ServiceView, slots: Sequence[SlotView]) -> Sifted:
    """The first slot of each node counts; one without a node is left over from another mode."""
    eligible = {node for node in service.eligible if _takes(view, node)}
    sifted = Sifted([], [], [], [])
    seen: set[str] = set()
    for slot in slots:
        if not slot.node or slot.node in seen:
            sifted.excess.append(slot)
        elif slot.node in eligible:
            sifted.wanted.append(slot)
        elif _tolerates(view, slot.node):
            sifted.kept.append(slot)
        else:
            sifted.excess.append(slot)
        seen.add(slot.node)
    numbers = _free_numbers(slots)
    sifted.new.extend(NewSlot(service.name, next(numbers), node) for node in sorted(eligible - seen))
    return sifted


def _takes(view: AppView, node: str) -> bool:
    """Nothing is known against it; placement has the last word."""
    ready = view.node_states.get(node, NodeState.READY) is NodeState.READY
    return ready and node not in view.cordoned


def _tolerates(view: AppView, node: str) -> bool:
    """A slot of this node is not eligible only for now. A node that is gone, or draining, is not that."""
    state = view.node_states.get(node)
    return state in (NodeState.SUSPECT, NodeState.DOWN) or (
        state is NodeState.READY and node in view.cordoned
    )


def _free_numbers(slots: Sequence[SlotView]) -> Iterator[int]:
    taken = {slot.index for slot in slots}
    return (number for number in count(1) if number not in taken)
