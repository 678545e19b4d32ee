"""What lives is replaced slot by slot: by a new release, a restart, a drain, a move."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.draft import Draft
from scheduler.failures import gave_up
from scheduler.lifecycle import State
from scheduler.model import ContainerView, Rehearsed
from scheduler.slots import Judge, in_contact
from scheduler.stands import Group, Stand

_Due = tuple[Stand, ContainerView]
"""A slot, and the one in it that is to be replaced."""


@dataclass(frozen=True, slots=True)
class Gates:
    """What other services make this one wait for; empty: nothing."""

    update: str
    restart: str


def replace_some(draft: Draft, group: Group, gates: Gates) -> bool:
    """As many as the service's parallelism allows; whether any was held back by a gate.

    A slot takes up room from when it is touched until it has been well for the delay, and so does one that is
    not well for other reasons. Slots whose container is to go anyway do not, and go first when not well; but
    no well one is stopped while as many as the parallelism lack one.
    """
    due, held, busy, lacking = [], False, len(group.new), 0
    for stand in group.stands:
        if _takes_room(draft, group.judge, stand):
            busy += 1
        elif stand.target is None and stand.keeper is not None:
            gate = _gate(group.judge, stand.keeper, gates)
            if gate is None and _may_go(draft, group.judge, stand, stand.keeper):
                due.append((stand, stand.keeper))
            held = held or bool(gate)
            lacking += not group.judge.well(stand.keeper)
    if due:
        due.sort(key=lambda each: _rank(group.judge, *each))
        _replace_due(draft, group, due, _room(draft, group, busy), lacking)
    return held


def _room(draft: Draft, group: Group, busy: int) -> int:
    update = group.service.update
    if not update.parallelism:
        return group.wanted
    if update.delay:
        busy += sum(_waits_for_delay(draft, group.judge, slot.containers[0]) for slot in group.calm)
    return update.parallelism - busy


def _rank(judge: Judge, stand: Stand, keeper: ContainerView) -> tuple[bool, bool, bool, int]:
    """One that has to wait does so behind the others. One whose next generation was tried already comes before
    one that is not well, before the rest."""
    answer = _answer(judge, stand)
    held = stand.slot.waiting and not (answer and answer.ready)
    return (held, stand.slot.current is keeper, judge.well(keeper), stand.slot.index)


def _replace_due(draft: Draft, group: Group, due: list[_Due], room: int, lacking: int) -> None:
    """What starts first is placed; what stops first is stopped once that is known to be of use. Where two of a
    slot find no room, the old one makes way; where the new one finds none either, the old one stays, and holds
    nobody up."""
    judge, limited, asked = group.judge, group.service.update.parallelism, 0
    for stand, keeper in due:
        slot, well, first = stand.slot, judge.well(keeper), _comes_first(judge, keeper)
        if _is_to_ask(judge, stand, keeper, first):
            if slot.waiting or asked < room:
                asked += not slot.waiting
                draft.ask(judge, slot, keeper)
            continue
        answer = _answer(judge, stand)
        ready = answer is None or answer.ready
        instead = not first or (answer is not None and ready)
        if room <= 0 or (limited and well and instead and room <= lacking):
            if slot.waiting:
                draft.waits.append(slot.id)
            continue
        if not instead:
            draft.fill(judge, slot, leaves=keeper, makes_way=not slot.waiting and judge.outdated(keeper))
        elif ready:
            draft.stop_live(keeper, _reason(judge, keeper, makes_way=first))
        else:
            continue
        room -= 1
        lacking -= instead and not well


def _is_to_ask(judge: Judge, stand: Stand, keeper: ContainerView, first: bool) -> bool:
    """Of what is replaced by another digest, before it is stopped; of what starts first, only once that was seen
    to find no room."""
    answers = judge.view.rehearsed
    if answers is None or stand.slot.id in answers:
        return False
    if first:
        return stand.slot.waiting and judge.outdated(keeper)
    return keeper.digest != judge.service.digest and keeper.state is State.RUNNING


def _answer(judge: Judge, stand: Stand) -> Rehearsed | None:
    """None: it was not asked for."""
    return (judge.view.rehearsed or {}).get(stand.slot.id)


# -- slots that take up room


def _takes_room(draft: Draft, judge: Judge, stand: Stand) -> bool:
    target, keeper, current = stand.target, stand.keeper, stand.slot.current
    if current is None or stand.slot.id in draft.filled or _is_stopped(draft, stand):
        return True
    if target is not None and keeper is not None:
        return True
    if judge.rolling_out and gave_up(judge, stand):
        return False
    if target is not None:
        return not judge.well(target) or _waits_for_delay(draft, judge, target)
    if keeper is not None:
        return _waits_for_next(draft, judge, stand, keeper)
    done = judge.done(current) and not judge.outdated(current)
    return not done or _waits_for_delay(draft, judge, current)


def _is_stopped(draft: Draft, stand: Stand) -> bool:
    """By this plan, and more than what nobody needs."""
    return any(each is not None and each.id in draft.stop for each in (stand.target, stand.keeper))


def _waits_for_delay(draft: Draft, judge: Judge, container: ContainerView) -> bool:
    until = judge.settled_at(container) + judge.service.update.delay
    draft.wakes.append(until)
    return until > judge.now


def _waits_for_next(draft: Draft, judge: Judge, stand: Stand, keeper: ContainerView) -> bool:
    """Its next generation was tried, and is tried again later; the old one serves."""
    if stand.slot.current is keeper or (judge.halted and keeper.digest != judge.service.digest):
        return False
    at = judge.next_at(stand.slot)
    if at is not None:
        draft.wakes.append(at)
    return at is not None and at > judge.now


# -- slots that are due


def _gate(judge: Judge, keeper: ContainerView, gates: Gates) -> str | None:
    """What holds the replacement back; None: nothing does."""
    if keeper.digest != judge.service.digest:
        return gates.update or None
    return (judge.outdated(keeper) and gates.restart) or None


def _may_go(draft: Draft, judge: Judge, stand: Stand, keeper: ContainerView) -> bool:
    """A stop would reach it, and its next generation has not given up."""
    if not in_contact(draft.view, keeper) or (judge.halted and keeper.digest != judge.service.digest):
        return False
    if not judge.outdated(keeper) and keeper.state is not State.RUNNING:
        return False
    if stand.slot.current is keeper:
        return True
    at = None if judge.rolling_out and gave_up(judge, stand) else judge.next_at(stand.slot)
    return at is not None and at <= judge.now


def _comes_first(judge: Judge, keeper: ContainerView) -> bool:
    """The next generation is placed while this one serves. Where it is only in the wrong place, always."""
    first = judge.service.update.start_first and judge.overlaps
    return keeper.state is State.RUNNING and (first or not judge.outdated(keeper))


def is_due(judge: Judge, stand: Stand) -> bool:
    """What serves in it is to be replaced by a release or a restart, be it now or later."""
    keeper = stand.keeper
    if stand.target is not None or keeper is None or not judge.outdated(keeper):
        return False
    return not (judge.halted and keeper.digest != judge.service.digest)


def _reason(judge: Judge, keeper: ContainerView, *, makes_way: bool) -> str:
    same = keeper.digest == judge.service.digest
    why = "restart asked for" if same else "replaced by a new release"
    return f"{why}; there is no room for both" if makes_way else why
