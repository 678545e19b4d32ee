"""The verdict on a rollout, and the sentence that goes with it."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    ContainerView,
    RolloutMove,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
)
from scheduler.slots import again_at, by_service, done, ended_since, node_down, settled, wanted

MOST_FAILURES = 3
"""Failures in a row of one slot that fail the rollout."""

_Pair = tuple[ServiceView, SlotView]


def verdict(view: AppView, now: float) -> RolloutMove | None:
    """How a running rollout ends, or None while it goes on. A console that is blind gives none."""
    rollout = view.rollout
    if rollout is None or rollout.state is not RolloutState.RUNNING or view.frozen:
        return None
    slots = by_service(view)
    pairs = [(service, slot) for service in view.services for slot in wanted(service, slots[service.name])]
    reason = next(_failures(view, rollout, pairs), "")
    if reason:
        return RolloutMove(RolloutState.FAILED, reason)
    if _reached(view, pairs, now):
        return RolloutMove(RolloutState.SUCCEEDED)
    if rollout.deadline <= now:
        return RolloutMove(RolloutState.FAILED, _late(view, rollout, pairs, now))
    return None


# -- success


def _reached(view: AppView, pairs: list[_Pair], now: float) -> bool:
    complete = len(pairs) == sum(service.replicas for service in view.services)
    return (
        complete
        and all(settled(view, service, slot, now) for service, slot in pairs)
        and not any(_strangers(view))
    )


def _strangers(view: AppView) -> Iterator[ContainerView]:
    """Live containers of another digest than their service's, or of a service that is gone. Those that are
    cut off do not count: they are cleaned up at their node's return."""
    digests = {service.name: service.digest for service in view.services}
    for slot in view.slots:
        for container in slot.containers:
            other = container.digest != digests.get(slot.service)
            if other and container.state.live and not node_down(view, container):
                yield container


# -- failure


def _failures(view: AppView, rollout: RolloutView, pairs: list[_Pair]) -> Iterator[str]:
    for service, slot in pairs:
        current = slot.current
        if (
            current is not None
            and _failed(rollout, service, current)
            and _gave_up(view, service, slot, current)
        ):
            yield f"{_name(slot)} {_what(slot, current)}"


def _failed(rollout: RolloutView, service: ServiceView, current: ContainerView) -> bool:
    """It is of the new release, and ended badly in the course of this rollout."""
    return (
        current.digest == service.digest
        and current.state in (State.EXITED, State.FAILED)
        and not done(service, current)
        and ended_since(rollout, current)
    )


def _gave_up(view: AppView, service: ServiceView, slot: SlotView, current: ContainerView) -> bool:
    return slot.failures >= MOST_FAILURES or again_at(view, service, slot, current) is None


def _what(slot: SlotView, current: ContainerView) -> str:
    if current.fatal:
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


# -- lateness


def _late(view: AppView, rollout: RolloutView, pairs: list[_Pair], now: float) -> str:
    late = next(((service, slot) for service, slot in pairs if not settled(view, service, slot, now)), None)
    what = "old containers were still there" if late is None else f"{_name(late[1])} {_holds(view, *late)}"
    return f"{what} when the time of {rollout.deadline - rollout.started_at:.0f} s was up"


def _holds(view: AppView, service: ServiceView, slot: SlotView) -> str:
    """What the slot is held up by."""
    current = slot.current
    if current is None or current.state is State.PENDING:
        return "had no node"
    if node_down(view, current):
        return "was on a node that is down"
    if current.state.ended:
        return "waited for its next try"
    if current.digest != service.digest:
        return "still had its old container"
    if current.state is State.RUNNING:
        return "was not healthy" if current.health != "none" else "had not been up for long enough"
    return f"was {current.state}"


def _name(slot: SlotView) -> str:
    return f"{slot.service}.{slot.index}"
