"""What reconcile asks of one container or slot. Each function answers one question from the view."""

from __future__ import annotations

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


def by_service(view: AppView) -> dict[str, list[SlotView]]:
    """Slots of each service in the order of their index; services that are gone included."""
    groups: dict[str, list[SlotView]] = {service.name: [] for service in view.services}
    for slot in sorted(view.slots, key=lambda slot: (slot.service, slot.index)):
        groups.setdefault(slot.service, []).append(slot)
    return groups


def wanted(service: ServiceView, slots: list[SlotView]) -> list[SlotView]:
    """The slots 1..replicas that are there."""
    return [slot for slot in slots if slot.index <= service.replicas]


def node_down(view: AppView, container: ContainerView) -> bool:
    return _node_state(view, container) is NodeState.DOWN


def in_contact(view: AppView, container: ContainerView) -> bool:
    """What is known of it is recent, and a stop would reach it."""
    return not view.frozen and _node_state(view, container) in (NodeState.READY, NodeState.DRAINING)


def _node_state(view: AppView, container: ContainerView) -> NodeState:
    return view.node_states.get(container.node or "", NodeState.DOWN)


def well(view: AppView, service: ServiceView, container: ContainerView, now: float) -> bool:
    """Running, and healthy or, without a health check, up for long enough."""
    if container.state is not State.RUNNING or node_down(view, container):
        return False
    if container.health != "none" or service.has_healthcheck:
        return container.health == "healthy"
    return well_at(service, container) <= now


def well_at(service: ServiceView, container: ContainerView) -> float:
    """When a running container without a health check counts as well."""
    since = container.running_since
    return float("inf") if since is None else since + service.monitor


def done(service: ServiceView, container: ContainerView) -> bool:
    """It ended well by itself, and its service does not ask for more."""
    return service.restart != "any" and container.state is State.EXITED and not container.stopped


def settled(view: AppView, service: ServiceView, slot: SlotView, now: float) -> bool:
    """The slot has what is wanted, and that is well or done."""
    current = slot.current
    return (
        current is not None
        and current.digest == service.digest
        and (well(view, service, current, now) or done(service, current))
    )


def outdated(view: AppView, service: ServiceView, container: ContainerView) -> bool:
    """Of another release, or from before the last request to restart."""
    began = container.ended_at if container.running_since is None else container.running_since
    epoch = max(view.restart_epoch, service.restart_epoch)
    return container.digest != service.digest or (began is not None and began < epoch)


def failing(view: AppView, container: ContainerView, now: float) -> str:
    """Why a running container must be stopped as a failure; empty when it need not be."""
    if container.state is not State.RUNNING or not in_contact(view, container):
        return ""
    if container.restarts >= MOST_RESTARTS:
        return f"the engine restarted it {container.restarts} times within ten minutes"
    if failing_at(container) <= now:
        return f"it was unhealthy for {UNHEALTHY_FOR:.0f} s"
    return ""


def failing_at(container: ContainerView) -> float:
    """When bad health becomes a failure."""
    since = container.unhealthy_since
    return since + UNHEALTHY_FOR if container.health == "unhealthy" and since is not None else float("inf")


def again_at(view: AppView, service: ServiceView, slot: SlotView, current: ContainerView) -> float | None:
    """When the slot gets its next generation after `current` is gone; None is never.

    A new release and a request to restart count at once. So does, for what had failed before it, a new
    rollout: whoever deploys again has mended something.
    """
    if outdated(view, service, current):
        return AT_ONCE
    if not _policy_wants(service, slot, current):
        return None
    rollout = view.rollout
    if rollout is not None and rollout.state is RolloutState.RUNNING and not ended_since(rollout, current):
        return AT_ONCE
    return None if current.fatal else slot.not_before


def ended_since(rollout: RolloutView, container: ContainerView) -> bool:
    """False only for what had ended before this rollout began."""
    return container.ended_at is None or container.ended_at >= rollout.started_at


def _policy_wants(service: ServiceView, slot: SlotView, current: ContainerView) -> bool:
    """Compose's condition. What was stopped only because it was not wanted for a while did not end by itself."""
    match service.restart:
        case "none":
            ran = any(_ran(each) for each in slot.containers if each.digest == service.digest)
            return not ran or (current.stopped and slot.failures == 0)
        case "on-failure":
            return not done(service, current)
    return True


def _ran(container: ContainerView) -> bool:
    return container.running_since is not None or container.state in (State.EXITED, State.FAILED)
