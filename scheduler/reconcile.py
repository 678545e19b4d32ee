"""What must change for one app: a view and a time in, a plan out. Pure; the same view gives the same plan,
and once a plan is applied, the next one at the same time is empty."""

from __future__ import annotations

from dataclasses import replace

from scheduler.commands import commands_end
from scheduler.dependencies import restart_waits, waits
from scheduler.draft import Draft
from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    ContainerView,
    Counts,
    NodeState,
    Plan,
    RolloutMove,
    RolloutState,
    SlotView,
)
from scheduler.rollout import verdict
from scheduler.slots import Judge, staying
from scheduler.stands import Group, Stand, Standing, standing
from scheduler.updates import Gates, is_due, replace_some


def reconcile(view: AppView, now: float) -> Plan:
    """The plan for one app at this time. See `Plan` for what each bucket asks of the caller."""
    app, draft = standing(view, now), Draft(view, now)
    move = verdict(app, now)
    if move is not None:
        _announce(app, move)
    for slots in app.gone:
        _excess(draft, slots)
    for group in app.groups.values():
        _service(draft, app, group)
    if view.rollout is not None and view.rollout.state is RolloutState.RUNNING and move is None:
        draft.wakes.append(view.rollout.deadline)
    draft.wakes.append(view.commands_by)
    return draft.plan(move, commands_end(app, now))


def _announce(app: Standing, move: RolloutMove) -> None:
    """What follows from the verdict is in the same plan."""
    for group in app.groups.values():
        if group.judge.rollout is not None:
            group.judge.rollout = replace(group.judge.rollout, state=move.state)


def _service(draft: Draft, app: Standing, group: Group) -> None:
    gates = Gates(waits(app, group), restart_waits(app, group))
    _excess(draft, group.excess)
    for stand in group.kept:
        _tidy(draft, stand)
    for new in group.new:
        draft.make(group.judge, new, fill=not gates.update)
    held = bool(group.new and gates.update)
    for stand in group.stands:
        _tidy(draft, stand)
        _stop_failing(draft, group.judge, stand)
        held |= not _fill(draft, group.judge, stand, gates.update)
        _watch(draft, group.judge, stand)
    held |= replace_some(draft, group, gates)
    draft.counts.append(_count(group, (gates.update or gates.restart) if held else ""))


# -- slots that are wanted no more, and remains


def _excess(draft: Draft, slots: list[SlotView]) -> None:
    """Stop what lives, highest index first; a slot with nothing left in an engine goes."""
    for slot in reversed(slots):
        drained = draft.view.node_states.get(slot.node) is NodeState.DRAINING
        for container in slot.containers:
            draft.stop_live(container, "its node is being drained" if drained else "no longer wanted")
        if all(each.node is None or (each.state.ended and each.removed) for each in slot.containers):
            draft.retire.append(slot.id)
        draft.clear(slot.containers)


def _tidy(draft: Draft, stand: Stand) -> None:
    """Stop what nobody needs, and remove what has ended."""
    heir = stand.target or stand.keeper or stand.slot.current
    for each in stand.surplus:
        draft.stop_live(each, _superseded(each, heir))
    draft.clear(stand.slot.containers)


def _superseded(container: ContainerView, heir: ContainerView | None) -> str:
    if heir is None or heir.generation < container.generation:
        return "an earlier generation serves"
    return f"superseded by generation {heir.generation}"


# -- slots that are wanted


def _stop_failing(draft: Draft, judge: Judge, stand: Stand) -> None:
    """Only the newest one's failure counts against the slot: an older one is to go anyway."""
    for each in stand.slot.containers:
        if staying(each) and (reason := judge.failing(each)):
            draft.stop_live(each, reason, failure=each is stand.slot.current)


def _fill(draft: Draft, judge: Judge, stand: Stand, waiting: str) -> bool:
    """Place the next generation where nothing lives, or where what lives is cut off with its node. False: it
    has to wait for another service."""
    slot = stand.slot
    if stand.target or stand.keeper or (judge.pinned and any(each.state.live for each in slot.containers)):
        return True
    at = judge.next_at(slot)
    if at is None or at > judge.now:
        draft.wakes += [] if at is None else [at]
        return True
    if waiting and _is_first(judge, slot):
        return False
    draft.fill(judge, slot)
    return True


def _is_first(judge: Judge, slot: SlotView) -> bool:
    """The slot starts out, with this release or after a time in which it was not wanted."""
    current = slot.current
    if current is None or current.state is State.PENDING or current.digest != judge.service.digest:
        return True
    rested = current.state.ended and current.stopped and slot.failures == 0
    return rested and not judge.outdated(current)


def _watch(draft: Draft, judge: Judge, stand: Stand) -> None:
    """Look again when time alone makes a container well, or failed."""
    for each in stand.slot.containers:
        if each.state is State.RUNNING:
            draft.wakes += [judge.failing_at(each), judge.well_at(each)]


def _count(group: Group, waiting: str) -> Counts:
    stands = [stand.slot for stand in group.stands]
    live = sum(each.state.live for slot in (*stands, *group.excess) for each in slot.containers)
    well = len(group.calm) + sum(stand.settled for stand in group.stands)
    due = sum(is_due(group.judge, stand) for stand in group.stands)
    return Counts(group.service.name, group.wanted, well, len(group.calm) + live, waiting, due)
