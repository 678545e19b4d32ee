"""The verdict on a rollout, and the sentence that goes with it."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.dependencies import waits
from scheduler.failures import gave_up, given_up, slot_name, what_failed
from scheduler.lifecycle import State
from scheduler.model import ContainerView, RolloutMove, RolloutState, RolloutView, ServiceView, SlotView
from scheduler.slots import in_contact, node_down
from scheduler.stands import Group, Stand, Standing


def verdict(app: Standing, now: float) -> RolloutMove | None:
    """How a running rollout ends, or None while it goes on. A console that is blind gives none."""
    rollout = app.view.rollout
    if rollout is None or rollout.state is not RolloutState.RUNNING or app.view.frozen:
        return None
    for group in app.groups.values():
        if group.service.update.failure_action != "continue" and _too_many(group):
            return _failed(rollout, group.service, _reason(group), _culprit(group))
    late = rollout.deadline <= now
    if _reached(app, late=late):
        return _ended(app)
    return _late(app, rollout) if late else None


def _failed(rollout: RolloutView, service: ServiceView, reason: str, container: str = "") -> RolloutMove:
    """By the service's failure action; without a release to go back to, the rollout is merely halted."""
    back = service.update.failure_action == "rollback" and rollout.can_roll_back and not rollout.rollback
    return RolloutMove(RolloutState.ROLLED_BACK if back else RolloutState.FAILED, reason, container)


# -- failures


def _too_many(group: Group) -> bool:
    return len(given_up(group)) > group.service.update.max_failure_ratio * group.wanted


def _reason(group: Group) -> str:
    first, *others = given_up(group)
    what = what_failed(group.judge, first)
    return f"{what} (and {len(others)} more)" if others else what


def _culprit(group: Group) -> str:
    """Id of the container that the reason is about; empty where it is about one that never was."""
    stand = given_up(group)[0]
    current = stand.slot.current
    return current.id if current is not None and current.digest == group.service.digest else ""


# -- the end is reached


def _reached(app: Standing, *, late: bool) -> bool:
    """All that is wanted is there, but for slots whose failure is put up with, and nothing else is. A job must
    be done; when the time is up, one that runs well will do."""
    return (
        not any(group.new for group in app.groups.values())
        and not any(_open(group, late) for group in app.groups.values())
        and not any(_strangers(app))
    )


def _open(group: Group, late: bool) -> Stand | SlotView | None:
    """The first slot of the service that is not where the rollout wants it."""
    must_end = group.service.mode.job and not late
    for stand in group.stands:
        there = _is_done(group, stand) if must_end else _is_seen(group, stand)
        if not there and not gave_up(group.judge, stand):
            return stand
    return group.calm[0] if must_end and group.calm else None


def _is_seen(group: Group, stand: Stand) -> bool:
    """What is well in it is known to be so now: its node speaks to us."""
    one = stand.target or stand.keeper
    return stand.settled and (one is None or in_contact(group.judge.view, one))


def _is_done(group: Group, stand: Stand) -> bool:
    return stand.settled and stand.slot.current is not None and group.judge.done(stand.slot.current)


def _ended(app: Standing) -> RolloutMove:
    """It went through. Failures that were put up with are told; more of them than that make it a failure."""
    failed = [group for group in app.groups.values() if given_up(group)]
    worst = next((group for group in failed if _too_many(group)), None)
    if worst is not None:
        return RolloutMove(RolloutState.FAILED, _reason(worst), _culprit(worst))
    return RolloutMove(RolloutState.SUCCEEDED, _reason(failed[0]) if failed else "")


def _strangers(app: Standing) -> Iterator[str]:
    """Live containers of another digest than their service's, or of a service that is gone. Those that are
    cut off do not count: they are cleaned up at their node's return. Nor does what serves in a slot that the
    new release failed."""
    for slots in app.gone:
        for slot in slots:
            yield from _live_of_others(app, slot, None)
    for group in app.groups.values():
        digest = group.service.digest
        for stand in group.stands:
            if not gave_up(group.judge, stand):
                yield from _live_of_others(app, stand.slot, digest)
        for slot in group.excess:
            yield from _live_of_others(app, slot, digest)


def _live_of_others(app: Standing, slot: SlotView, digest: str | None) -> Iterator[str]:
    return (
        each.id
        for each in slot.containers
        if each.digest != digest and each.state.live and not node_down(app.view, each)
    )


# -- lateness


def _late(app: Standing, rollout: RolloutView) -> RolloutMove:
    time = f"when the time of {rollout.deadline - rollout.started_at:.0f} s was up"
    for group in app.groups.values():
        late = _open(group, late=True)
        if isinstance(late, Stand):
            reason = f"{slot_name(late.slot)} {holds(app, group, late)} {time}"
            return _failed(rollout, group.service, reason)
        if group.new:
            new = group.new[0]
            return _failed(rollout, group.service, f"{new.service}.{new.index} was not there {time}")
    return RolloutMove(RolloutState.FAILED, f"old containers were still there {time}")


def holds(app: Standing, group: Group, stand: Stand) -> str:
    """What the slot is held up by."""
    current, waiting = stand.slot.current, waits(app, group)
    if waiting and (current is None or current.digest != group.service.digest):
        return waiting.replace("waits", "waited", 1)
    if current is None or current.state is State.PENDING:
        return "had no node"
    if node_down(app.view, current):
        return "was on a node that is down"
    if not in_contact(app.view, current):
        return "was on a node that is silent"
    return _still(group, current)


def _still(group: Group, current: ContainerView) -> str:
    if current.state.ended:
        return "waited for its next try"
    if current.digest != group.service.digest:
        return "still had its old container"
    if current.state is State.RUNNING:
        return "was not healthy" if current.health != "none" else "had not been up for long enough"
    return f"was {current.state}"
