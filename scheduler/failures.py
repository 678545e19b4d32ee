"""When a slot has given up in a rollout, and the words for it."""

from __future__ import annotations

from scheduler.lifecycle import State
from scheduler.model import AppView, ContainerView, ServiceView, SlotView
from scheduler.slots import Judge
from scheduler.stands import Group, Stand

MOST_FAILURES = 3
"""Failures in a row with which a slot has given up."""


def given_up(group: Group) -> list[Stand]:
    """Slots that the new release failed in the course of the present rollout."""
    return [stand for stand in group.stands if gave_up(group.judge, stand)]


def gave_up(judge: Judge, stand: Stand) -> bool:
    """It ended badly, and that for good or too often. Where a rollout puts up with failures and goes on, that
    stands while it is tried once more; else the first such end decides."""
    slot, current = stand.slot, stand.slot.current
    if refusal(judge.view, slot) and not stand.settled:
        return True
    if current is None or current.digest != judge.service.digest or stand.settled:
        return False
    if current.state is State.STOPPING or not judge.ended_since(current):
        return False
    often = slot.failures >= MOST_FAILURES
    failed = current.state in (State.EXITED, State.FAILED) and current.node is not None
    return (often and _tolerant(judge.service)) or (
        failed and (often or judge.again_at(slot, current) is None)
    )


def refusal(view: AppView, slot: SlotView) -> str:
    """Why the slot's next generation will never start; empty: nothing says so before it is tried."""
    answer = (view.rehearsed or {}).get(slot.id)
    return answer.failure if answer is not None else ""


def _tolerant(service: ServiceView) -> bool:
    return service.update.failure_action == "continue" or service.update.max_failure_ratio > 0


def lost_hope(judge: Judge, stand: Stand) -> bool:
    """Outside a rollout too: nothing of the slot is well, and its next try is far or never."""
    current = stand.slot.current
    if current is None or current.node is None or stand.settled or not current.state.ended:
        return False
    return stand.slot.failures >= MOST_FAILURES or judge.next_at(stand.slot) is None


def what_failed(judge: Judge, stand: Stand) -> str:
    """'web.1 exited with code 1 three times: no such file'. The slot must have a container."""
    slot, current = stand.slot, stand.slot.current
    if words := refusal(judge.view, slot):
        return f"{slot_name(slot)} was left as it was: {words}"
    return f"{slot_name(slot)} {_what(slot, current)}" if current else slot_name(slot)


def slot_name(slot: SlotView) -> str:
    return f"{slot.service}.{slot.index}"


def _what(slot: SlotView, current: ContainerView) -> str:
    if not current.state.ended:
        what = f"failed{_times(slot.failures)}"
    elif current.fatal:
        what = "cannot start"
    elif current.stopped and current.health == "unhealthy":
        what = f"stayed unhealthy{_times(slot.failures)}"
    elif current.exit_code is None:
        what = f"could not start{_times(slot.failures)}"
    else:
        what = f"exited with code {current.exit_code}{_times(slot.failures)}"
    return f"{what}: {current.error}" if current.error else what


def _times(number: int) -> str:
    words = {0: "", 1: "", 2: " twice", 3: " three times"}
    return words.get(number, f" {number} times")
