"""One app as reconcile sees it: what is wanted, and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.lifecycle import State
from scheduler.model.nodes import NodeState
from scheduler.model.requests import Request


class ReleaseState(StrEnum):
    RESOLVING = "resolving"
    PREPARING = "preparing"
    """Its release commands run; the release before is still the one that is wanted."""
    READY = "ready"
    FAILED = "failed"


class RolloutState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    """By a person: it replaces nothing until it is resumed, and its deadline stands still."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Halted: what still runs of the old release keeps serving."""
    ROLLED_BACK = "rolled_back"
    """It failed, and a rollout of the release before it was started."""
    SUPERSEDED = "superseded"


class Mode(StrEnum):
    """Compose's deploy.mode. A job's slots run to completion once per release."""

    REPLICATED = "replicated"
    GLOBAL = "global"
    REPLICATED_JOB = "replicated-job"
    GLOBAL_JOB = "global-job"

    @property
    def everywhere(self) -> bool:
        return self in (Mode.GLOBAL, Mode.GLOBAL_JOB)

    @property
    def job(self) -> bool:
        return self in (Mode.REPLICATED_JOB, Mode.GLOBAL_JOB)


@dataclass(frozen=True, slots=True)
class Update:
    """Compose's update_config or rollback_config."""

    parallelism: int = 1
    """Slots under replacement at once; 0 is all."""
    delay: float = 0.0
    """Seconds from when a batch is well to the next one."""
    start_first: bool = False
    """The new container is well before the old one stops."""
    monitor: float = 2.0
    """Seconds a new container must stay up (healthy, if it has a check) to count as well."""
    max_failure_ratio: float = 0.0
    """Share of the service's slots that may give up before the failure action is taken."""
    failure_action: str = "pause"
    """pause (the rollout fails, the old keeps serving), continue, rollback."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """Compose's depends_on."""

    service: str
    condition: str = "started"
    """started, healthy, completed."""
    restart: bool = False
    """After a restart of that service this one is restarted too. (A release that changes that service gives
    this one another digest as well.)"""
    required: bool = True
    """Not required: a dependency that is not there, or has given up, holds nothing up."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A slot's newest container, or an older one that still lives."""

    id: str
    slot: str
    generation: int
    state: State
    digest: str
    node: str | None
    health: str = "none"
    """none, starting, healthy, unhealthy."""
    running_since: float | None = None
    """Kept after its end; None: it never ran."""
    healthy_since: float | None = None
    """When it last became healthy; None when it is not."""
    unhealthy_since: float | None = None
    restarts: int = 0
    """Restarts by the engine within the last 10 minutes."""
    ended_at: float | None = None
    exit_code: int | None = None
    error: str = ""
    fatal: bool = False
    """Trying the same again cannot help (the image is gone, say)."""
    removed: bool = False
    """The engine has no trace of it any more (or it never reached one)."""
    stopped: bool = False
    """Its end was asked for, by a `StopContainer`."""
    removing: bool = False
    """Its removal was asked for and is not confirmed yet: it is not asked for again."""
    move_to: str = ""
    """A rebalance wants its slot on this node; empty: it may stay."""


@dataclass(frozen=True, slots=True)
class SlotView:
    """The n-th place of a service. `failures` in a row and `not_before` are its back-off."""

    id: str
    service: str
    index: int
    generation: int
    containers: tuple[ContainerView, ...] = ()
    """Newest generation first: the newest one even when it is removed, and all that are not removed yet."""
    failures: int = 0
    """In a row, of its present digest: a placement with another digest, and a new rollout, start at 0."""
    not_before: float = 0.0
    node: str = ""
    """Of a global service: the only node it may be on."""
    waiting: bool = False
    """When last looked at, its next generation found no node, or its image was not on it yet."""

    @property
    def current(self) -> ContainerView | None:
        """The newest generation's container, ended or not."""
        return self.containers[0] if self.containers else None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service as it is wanted now."""

    name: str
    replicas: int
    """Wanted now: 0 when the app or the service is stopped or being deleted. Of a global service: ignored
    but for 0."""
    digest: str
    """Spec digest of the release that is being rolled out."""
    request: Request
    mode: Mode = Mode.REPLICATED
    eligible: tuple[str, ...] = ()
    """Of a global service: ids of the nodes that meet its constraints and are not draining or cordoned."""
    restart: str = "any"
    """Compose's condition: any, on-failure, none. A job's is never any."""
    attempts: int = 0
    """Failures in a row that are followed by another try, where the engine makes none; 0: every one is."""
    has_healthcheck: bool = False
    update: Update = Update()
    """update_config, or rollback_config while the rollout is a rollback."""
    depends_on: tuple[Dependency, ...] = ()
    bound: bool = False
    """It has a local volume or is exclusive: never replaced for lack of contact."""
    exclusive: bool = False
    """Never two at once, not even of two generations: start-first and moves do not apply."""
    restart_epoch: float = 0.0
    """As `AppView.restart_epoch`, for this service alone."""
    ahead: bool = False
    """Of a release whose commands have yet to succeed: the rollout in the view is not its own."""
    command: bool = False
    """A release command: it runs once, whatever becomes of it."""


@dataclass(frozen=True, slots=True)
class RolloutView:
    id: str
    state: RolloutState
    started_at: float
    deadline: float
    rollback: bool = False
    """It is a rollback: it uses rollback_config and does not roll back itself."""
    can_roll_back: bool = False
    """There is an earlier release that once was rolled out well."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would become of a slot if the container that serves in it were stopped now."""

    node: str = ""
    """Where the next generation would go; the image is there."""
    failure: str = ""
    """Why it never will: its image cannot be had."""

    @property
    def ready(self) -> bool:
        return bool(self.node)


@dataclass(frozen=True, slots=True)
class AppView:
    """One app: what is wanted and what is there. `slots` includes those of services that are gone."""

    id: str
    services: tuple[ServiceView, ...]
    slots: tuple[SlotView, ...]
    rollout: RolloutView | None = None
    node_states: Mapping[str, NodeState] = field(default_factory=dict)
    """State of every node that a container of this app is on; an unknown node is down."""
    cordoned: frozenset[str] = frozenset()
    """Those of them, and of the nodes of a global service's slots, that take nothing new: what a global
    service has there stays as it is."""
    frozen: bool = False
    """Storm brake or blind console: nothing is replaced for lack of contact."""
    restart_epoch: float = 0.0
    """Containers started before this time are replaced one by one (a user asked for a restart)."""
    rehearsed: Mapping[str, Rehearsed] | None = None
    """Answers to a plan's `rehearse`, by slot. None: nobody is there to ask, and all will be well."""
    commands_by: float = float("inf")
    """When release commands that are not done are late."""
