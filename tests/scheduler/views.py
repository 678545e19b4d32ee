"""Short ways to make what reconcile sees, and to read what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.lifecycle import State
from scheduler.model import (
    AppView,
    ContainerView,
    NodeState,
    Placement,
    Plan,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
)
from tests.scheduler.builders import request


def service(name: str = "web", replicas: int = 1, digest: str = "new", **more: Any) -> ServiceView:
    return ServiceView(name, replicas, digest, request(name), **more)


def container(slot: str, generation: int = 1, state: State = State.RUNNING, **more: Any) -> ContainerView:
    """By default a running one of the wanted digest that has been up for long."""
    values: dict[str, Any] = {"digest": "new", "node": "n1", "running_since": 0.0, **more}
    if state.ended:
        values.setdefault("ended_at", 90.0)
    return ContainerView(f"{slot}-g{generation}", slot, generation, state, **values)


def slot(name: str, *containers: ContainerView, **more: Any) -> SlotView:
    """`slot("web.2", …)`; its id is its name."""
    owner, _, index = name.rpartition(".")
    generation = containers[0].generation if containers else 0
    return SlotView(name, owner, int(index), generation, containers, **more)


def running(name: str, **more: Any) -> SlotView:
    return slot(name, container(name, **more))


def rollout(**more: Any) -> RolloutView:
    values = {"state": RolloutState.RUNNING, "started_at": 50.0, "deadline": 400.0, **more}
    return RolloutView("r", **values)


def view(
    services: list[ServiceView],
    slots: list[SlotView],
    nodes: Mapping[str, NodeState] | None = None,
    **more: Any,
) -> AppView:
    states = {"n1": NodeState.READY, **(nodes or {})}
    return AppView("shop", tuple(services), tuple(slots), node_states=states, **more)


def placed(plan: Plan) -> list[tuple[str, int]]:
    return [(each.service, each.index) for each in plan.place]


def stopped(plan: Plan) -> list[str]:
    return [each.container for each in plan.stop]


def replaced(plan: Plan) -> list[Placement]:
    return [each for each in plan.place if each.replaces]
