"""What reconcile asks of one container or slot. Each question has one answer, from the view."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    ContainerView,
    NodeState,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
)

UNHEALTHY_FOR = 30.0
"""Seconds of bad health after which a container is stopped."""

MOST_RESTARTS = 5
"""Restarts by the engine within ten minutes at which the controller takes over (design, decision 7)."""

AT_ONCE = float("-inf")
NOT_YET = float("inf")
"""No time is known: something else must happen first."""

_HALTED = (RolloutState.PAUSED, RolloutState.FAILED, RolloutState.ROLLED_BACK)


def node_down(view: AppView, container: ContainerView) -> bool:
    return _node_state(view, container) is NodeState.DOWN


def in_contact(view: AppView, container: ContainerView) -> bool:
    """What is known of it is recent, and a stop would reach it."""
    return not view.frozen and _node_state(view, container) in (NodeState.READY, NodeState.DRAINING)


def _node_state(view: AppView, container: ContainerView) -> NodeState:
    return view.node_states.get(container.node or "", NodeState.DOWN)


def staying(container: ContainerView) -> bool:
    """Live, and not told to stop."""
    return container.state.live and container.state is not State.STOPPING


def failed_on(slot: SlotView) -> tuple[str, ...]:
    """Nodes on which containers of the slot failed, as far back as they are seen, the latest first."""
    nodes = (each.node for each in slot.containers if each.node and _failed(each))
    return tuple(dict.fromkeys(nodes))


def _failed(container: ContainerView) -> bool:
    """It failed, or was stopped because it did not do well."""
    poor = container.health == "unhealthy" or container.restarts >= MOST_RESTARTS
    return container.state is State.FAILED or (container.stopped and poor)


@dataclass(slots=True)
class Judge:
    """One service at one time."""

    view: AppView
    service: ServiceView
    now: float
    epoch: float
    """What started before this time was asked to restart."""
    rollout: RolloutView | None
    """The view's; once there is a verdict on it, in that state."""

    # -- the service

    @property
    def rolling_out(self) -> bool:
        return self.rollout is not None and self.rollout.state is RolloutState.RUNNING

    @property
    def halted(self) -> bool:
        """Nothing that lives is replaced by another digest: the old generation keeps serving."""
        return self.rollout is not None and self.rollout.state in _HALTED

    @property
    def pinned(self) -> bool:
        """Nothing is placed while anything of the slot may live."""
        return self.service.bound or self.service.exclusive or self.service.command

    @property
    def once(self) -> bool:
        """Its containers do their work once: one that works is left to finish, and no second one joins it."""
        return self.service.mode.job or self.service.restart == "none"

    @property
    def overlaps(self) -> bool:
        """Two generations of a slot may run side by side."""
        return not (self.pinned or self.once)

    # -- a container

    def well(self, container: ContainerView) -> bool:
        """Running, and healthy or, without a health check, up for long enough."""
        if container.state is not State.RUNNING or node_down(self.view, container):
            return False
        return self.well_at(container) <= self.now

    def well_at(self, container: ContainerView) -> float:
        """When a running container counts as well, should it go on as it does."""
        checked = container.health != "none" or self.service.has_healthcheck
        if checked and container.health != "healthy":
            return NOT_YET
        since = container.running_since
        if checked:
            since = container.healthy_since or since
        return NOT_YET if since is None else since + self.service.update.monitor

    def settled_at(self, container: ContainerView) -> float:
        """Since when one that is well or done is so; what is not known was long ago."""
        if not container.state.ended:
            return self.well_at(container)
        return AT_ONCE if container.ended_at is None else container.ended_at

    def done(self, container: ContainerView) -> bool:
        """It ended well by itself, and its service does not ask for more."""
        finite = self.service.mode.job or self.service.restart != "any"
        return finite and container.state is State.EXITED and not container.stopped

    def outdated(self, container: ContainerView) -> bool:
        """Of another release, or from before the last request to restart."""
        began = container.ended_at if container.running_since is None else container.running_since
        return container.digest != self.service.digest or (began is not None and began < self.epoch)

    def displaced(self, slot: SlotView, container: ContainerView) -> bool:
        """As wanted, but wanted elsewhere: its node is to be empty, or it is to move. A move is over once its
        target failed the slot, and waits for a target that is not ready."""
        if self.service.mode.everywhere or not self.overlaps:
            return False
        if _node_state(self.view, container) is NodeState.DRAINING:
            return True
        target = container.move_to
        ready = self.view.node_states.get(target, NodeState.READY) is NodeState.READY
        return target not in ("", container.node) and ready and target not in failed_on(slot)

    def failing(self, container: ContainerView) -> str:
        """Why a running container must be stopped as a failure; empty when it need not be."""
        if container.state is not State.RUNNING or not in_contact(self.view, container):
            return ""
        if container.restarts >= MOST_RESTARTS:
            return f"the engine restarted it {container.restarts} times within ten minutes"
        if self.failing_at(container) <= self.now:
            return f"it was unhealthy for {UNHEALTHY_FOR:.0f} s"
        return ""

    def failing_at(self, container: ContainerView) -> float:
        """When bad health becomes a failure."""
        since = container.unhealthy_since
        return since + UNHEALTHY_FOR if container.health == "unhealthy" and since is not None else NOT_YET

    # -- a slot's next generation

    def next_at(self, slot: SlotView) -> float | None:
        """When the slot may get its next generation, by what became of the newest one; None is never, and
        `NOT_YET` once what is on its way out has ended."""
        current = slot.current
        if any(self._still_stops(each) for each in slot.containers[1:]):
            return NOT_YET
        if current is None or current.state is State.PENDING:
            return AT_ONCE
        if current.state.ended:
            return self.again_at(slot, current)
        if node_down(self.view, current) and not self.view.frozen:
            return None if self.again_at(slot, current) is None else AT_ONCE
        return NOT_YET

    def _still_stops(self, container: ContainerView) -> bool:
        return container.state is State.STOPPING and not node_down(self.view, container)

    def again_at(self, slot: SlotView, current: ContainerView) -> float | None:
        """When the slot gets its next generation after `current` is gone; None is never.

        A new release and a request to restart count at once. So does, for what had failed before it, a new
        rollout: whoever deploys again has mended something.
        """
        if self.outdated(current):
            return AT_ONCE
        if not self._policy_wants(slot, current):
            return None
        if self.rolling_out and not self.ended_since(current):
            return AT_ONCE
        used_up = 0 < self.service.attempts < slot.failures
        return None if current.fatal or used_up else slot.not_before

    def ended_since(self, container: ContainerView) -> bool:
        """False only for what had ended before this rollout began."""
        return (
            self.rollout is None
            or container.ended_at is None
            or container.ended_at >= self.rollout.started_at
        )

    def _policy_wants(self, slot: SlotView, current: ContainerView) -> bool:
        """Compose's condition. What was stopped only because it was not wanted for a while did not end by
        itself."""
        if self.service.restart == "none":
            digest = self.service.digest
            ran = any(_ran(each) for each in slot.containers if each.digest == digest)
            stopped = current.stopped and slot.failures == 0 and not self.service.command
            return not ran or stopped
        return not self.done(current)


def _ran(container: ContainerView) -> bool:
    return container.running_since is not None or container.state in (State.EXITED, State.FAILED)
