"""What must change for one app: a view and a time in, a plan out. Pure; the same view gives the same plan,
and once a plan is applied, the next one at the same time is empty."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    ContainerView,
    Counts,
    NewSlot,
    Placement,
    Plan,
    RolloutMove,
    RolloutState,
    ServiceView,
    SlotView,
    StopContainer,
)
from scheduler.rollout import verdict
from scheduler.slots import (
    again_at,
    by_service,
    failing,
    failing_at,
    in_contact,
    node_down,
    outdated,
    settled,
    wanted,
    well,
    well_at,
)


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    view: AppView
    now: float
    create: list[NewSlot] = field(default_factory=list)
    place: list[Placement] = field(default_factory=list)
    stop: dict[str, StopContainer] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    retire: list[str] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    filled: set[str] = field(default_factory=set)
    """Slots that get a new generation by this plan."""

    def stop_live(self, container: ContainerView, reason: str, failure: bool = False) -> None:
        """Stop it, unless it is stopping, has ended, or another rule of this plan stops it."""
        if not container.state.ended and container.state is not State.STOPPING:
            self.stop.setdefault(container.id, StopContainer(container.id, reason, failure))

    def plan(self, rollout: RolloutMove | None) -> Plan:
        return Plan(
            create=tuple(self.create),
            place=tuple(self.place),
            stop=tuple(self.stop.values()),
            remove=tuple(self.remove),
            retire=tuple(self.retire),
            rollout=rollout,
            counts=tuple(self.counts),
            wake_at=min((at for at in self.wakes if self.now < at < float("inf")), default=None),
        )


def reconcile(view: AppView, now: float) -> Plan:
    """The plan for one app at this time. See `Plan` for what each bucket asks of the caller."""
    draft = _Draft(view, now)
    move = verdict(view, now)
    slots = by_service(view)
    services = {service.name: service for service in view.services}
    for name, group in slots.items():
        service = services.get(name)
        _excess(draft, group if service is None else [s for s in group if s.index > service.replicas])
        if service is not None:
            _service(draft, service, wanted(service, group), rolling=not _halted(view, move))
            draft.counts.append(_count(draft, service, group))
        for slot in group:
            _clean(draft, slot)
    if view.rollout is not None and view.rollout.state is RolloutState.RUNNING and move is None:
        draft.wakes.append(view.rollout.deadline)
    return draft.plan(move)


def _halted(view: AppView, move: RolloutMove | None) -> bool:
    """A failed rollout replaces nothing that lives: the old generation keeps serving."""
    state = view.rollout.state if view.rollout else None
    return RolloutState.FAILED in (state, move.state if move else None)


def _service(draft: _Draft, service: ServiceView, slots: list[SlotView], *, rolling: bool) -> None:
    _create(draft, service, slots)
    for slot in slots:
        _stop_failing(draft, slot)
        _fill(draft, service, slot)
        _watch(draft, service, slot)
    _replace_one(draft, service, slots, rolling=rolling)


# -- slots that are wanted no more, and remains


def _excess(draft: _Draft, slots: list[SlotView]) -> None:
    """Stop what lives, highest index first; a slot with nothing left in an engine goes."""
    for slot in reversed(slots):
        for container in slot.containers:
            draft.stop_live(container, "no longer wanted")
        if all(each.node is None or (each.state.ended and each.removed) for each in slot.containers):
            draft.retire.append(slot.id)


def _clean(draft: _Draft, slot: SlotView) -> None:
    """Stop what a newer generation has superseded, and remove what ended, where the node can be reached."""
    for older in slot.containers[1:]:
        draft.stop_live(older, f"superseded by generation {slot.containers[0].generation}")
    draft.remove.extend(
        each.id
        for each in slot.containers
        if each.state.ended and not (each.removed or each.removing) and in_contact(draft.view, each)
    )


# -- slots that are wanted


def _create(draft: _Draft, service: ServiceView, slots: list[SlotView]) -> None:
    there = {slot.index for slot in slots}
    for index in range(1, service.replicas + 1):
        if index not in there:
            draft.create.append(NewSlot(service.name, index))
            draft.place.append(Placement(service.name, index, service.digest, service.request))


def _stop_failing(draft: _Draft, slot: SlotView) -> None:
    if slot.current is not None and (reason := failing(draft.view, slot.current, draft.now)):
        draft.stop_live(slot.current, reason, failure=True)


def _fill(draft: _Draft, service: ServiceView, slot: SlotView) -> None:
    """Place the next generation where nothing lives, or where what lives is cut off with its node."""
    current = slot.current
    if service.bound and any(each.state.live for each in slot.containers):
        return
    if current is None or current.state is State.PENDING:
        if current is not None:
            draft.stop_live(current, "it never had a node")
        _place(draft, service, slot)
    elif current.state.ended:
        at = again_at(draft.view, service, slot, current)
        if at is not None and at <= draft.now:
            _place(draft, service, slot)
        elif at is not None:
            draft.wakes.append(at)
    elif (
        node_down(draft.view, current)
        and not draft.view.frozen
        and again_at(draft.view, service, slot, current) is not None
    ):
        _place(draft, service, slot, replaces=current.id)


def _place(draft: _Draft, service: ServiceView, slot: SlotView, replaces: str | None = None) -> None:
    draft.filled.add(slot.id)
    request = replace(service.request, slot=slot.id)
    draft.place.append(Placement(service.name, slot.index, service.digest, request, replaces))


def _watch(draft: _Draft, service: ServiceView, slot: SlotView) -> None:
    """Look again when time alone makes the current container well, or failed."""
    if slot.current is not None and slot.current.state is State.RUNNING:
        draft.wakes += [failing_at(slot.current), well_at(service, slot.current)]


# -- one at a time


def _replace_one(draft: _Draft, service: ServiceView, slots: list[SlotView], *, rolling: bool) -> None:
    """Stop one outdated container, if every other slot of the service has one that serves.

    What is outdated itself does not hold the others up, well or not: it is to go anyway, and goes first
    when it is not well. A slot without a container, or with one that is on its way in or out, does.
    """
    if any(_holds_up(draft, service, slot) for slot in slots) or len(slots) < service.replicas:
        return
    candidates = [
        current
        for slot in slots
        if (current := slot.current) is not None
        and outdated(draft.view, service, current)
        and (rolling or current.digest == service.digest)
        and in_contact(draft.view, current)
    ]
    candidates.sort(key=lambda container: well(draft.view, service, container, draft.now))
    for current in candidates[:1]:
        draft.stop_live(current, _reason(service, current))


def _holds_up(draft: _Draft, service: ServiceView, slot: SlotView) -> bool:
    current = slot.current
    if current is None or slot.id in draft.filled or current.id in draft.stop:
        return True
    if outdated(draft.view, service, current):
        return not current.state.live or current.state is State.STOPPING
    return not settled(draft.view, service, slot, draft.now)


def _reason(service: ServiceView, container: ContainerView) -> str:
    return "restart asked for" if container.digest == service.digest else "replaced by a new release"


def _count(draft: _Draft, service: ServiceView, slots: list[SlotView]) -> Counts:
    good = sum(settled(draft.view, service, slot, draft.now) for slot in wanted(service, slots))
    live = sum(container.state.live for slot in slots for container in slot.containers)
    return Counts(service.name, service.replicas, good, live)
