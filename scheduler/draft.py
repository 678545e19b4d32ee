"""A plan in the making."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    CommandsEnd,
    ContainerView,
    Counts,
    NewSlot,
    Placement,
    Plan,
    RolloutMove,
    SlotView,
    StopContainer,
)
from scheduler.slots import NOT_YET, Judge, failed_on, in_contact


@dataclass(slots=True)
class Draft:
    view: AppView
    now: float
    create: list[NewSlot] = field(default_factory=list)
    place: list[Placement] = field(default_factory=list)
    stop: dict[str, StopContainer] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    retire: list[str] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    rehearse: list[Placement] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    filled: set[str] = field(default_factory=set)
    """Slots that get a new generation by this plan."""

    def stop_live(self, container: ContainerView, reason: str, failure: bool = False) -> None:
        """Stop it, unless it is stopping, has ended, or another rule of this plan stops it."""
        if not container.state.ended and container.state is not State.STOPPING:
            self.stop.setdefault(container.id, StopContainer(container.id, reason, failure))

    def make(self, judge: Judge, new: NewSlot, *, fill: bool) -> None:
        service = judge.service
        self.create.append(new)
        if fill:
            values = (service.name, new.index, service.digest, service.request)
            self.place.append(Placement(*values, node=new.node))

    def fill(
        self, judge: Judge, slot: SlotView, leaves: ContainerView | None = None, *, makes_way: bool = False
    ) -> None:
        """Give the slot its next generation. `leaves`: the one that serves until that is well; it `makes_way`
        where there is no room for both.

        A newest one that never had a node is stopped; one that is cut off with its node is given up for lost.
        """
        self.filled.add(slot.id)
        current = slot.current
        if current is not None and current.state is State.PENDING:
            self.stop_live(current, "it never had a node")
        cut_off = current is not None and current is not leaves and current.state.live
        self.place.append(
            _placement(
                judge,
                slot,
                leaves,
                _home(judge, slot) if leaves is None else leaves.move_to,
                replaces=current.id if current is not None and cut_off else None,
                gone=leaves.id if leaves is not None and makes_way else "",
            )
        )

    def ask(self, judge: Judge, slot: SlotView, leaves: ContainerView) -> None:
        """Whether the slot's next generation would find a node once `leaves` is gone: best its own."""
        prefer = leaves.move_to or leaves.node or ""
        self.rehearse.append(_placement(judge, slot, leaves, prefer, gone=leaves.id))

    def clear(self, containers: Iterable[ContainerView]) -> None:
        """Remove what has ended, where its node can be reached."""
        self.remove.extend(
            each.id
            for each in containers
            if each.state.ended and not (each.removed or each.removing) and in_contact(self.view, each)
        )

    def plan(self, rollout: RolloutMove | None, commands: CommandsEnd | None = None) -> Plan:
        return Plan(
            create=tuple(self.create),
            place=tuple(self.place),
            stop=tuple(self.stop.values()),
            remove=tuple(self.remove),
            retire=tuple(self.retire),
            rollout=rollout,
            commands=commands,
            rehearse=tuple(self.rehearse),
            waits=tuple(self.waits),
            counts=tuple(self.counts),
            wake_at=min((at for at in self.wakes if self.now < at < NOT_YET), default=None),
        )


def _placement(
    judge: Judge,
    slot: SlotView,
    leaves: ContainerView | None,
    prefer: str,
    *,
    replaces: str | None = None,
    gone: str = "",
) -> Placement:
    """`gone`: the container that is not there any more, or makes way, by when this one comes."""
    service, avoid = judge.service, _avoid(slot, leaves)
    return Placement(
        service.name,
        slot.index,
        service.digest,
        service.request,
        replaces,
        node=slot.node if service.mode.everywhere else "",
        prefer="" if prefer in avoid else prefer,
        avoid=avoid,
        leaves=gone,
    )


def _home(judge: Judge, slot: SlotView) -> str:
    """Where the one was that a release replaces, or was to go: the image of the next one was fetched there."""
    current = slot.current
    replaced = current is not None and current.stopped and current.digest != judge.service.digest
    return current.move_to or current.node or "" if current is not None and replaced else ""


def _avoid(slot: SlotView, leaves: ContainerView | None) -> tuple[str, ...]:
    """Where it failed; and what moves shall not land where it was."""
    nodes = failed_on(slot)
    moves = leaves is not None and leaves.move_to and leaves.node
    return tuple(dict.fromkeys((*nodes, moves))) if moves else nodes
