"""What the scheduler sees. Plain frozen data: CPU in thousandths of a core, memory in bytes, times in
seconds of whatever clock the caller uses (it must only grow)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.lifecycle import State


class NodeState(StrEnum):
    READY = "ready"
    SUSPECT = "suspect"
    DRAINING = "draining"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    name: str
    state: NodeState
    cpu: int
    memory: int
    pids: int = 32768
    cordoned: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    port_first: int = 30000
    """Host ports from here …"""
    port_last: int = 32767
    """… to here are given to requests that leave the choice open."""
    images: frozenset[str] = frozenset()
    """Identities (config digests and repo digests) of the images present."""


@dataclass(frozen=True, slots=True)
class Port:
    """One published port. `host` 0 leaves the choice to the scheduler."""

    container: int
    host: int = 0
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Constraint:
    """`key == value` or `key != value`. Keys: `node.id`, `node.hostname`, `node.labels.X`,
    `node.platform.os|arch` (as labels `platform.os`), as in Compose's placement constraints."""

    key: str
    equal: bool
    value: str

    def __str__(self) -> str:
        return f"{self.key} {'==' if self.equal else '!='} {self.value}"


@dataclass(frozen=True, slots=True)
class Request:
    """What one slot asks of a node."""

    slot: str
    app: str
    service: str
    cpu: int
    memory: int
    pids: int = 0
    ports: tuple[Port, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    spread_over: tuple[str, ...] = ()
    """Label keys (`node.labels.zone`) over which to spread, first matters most."""
    max_per_node: int = 0
    """Most slots of this service on one node; 0 is no limit."""
    volumes: tuple[str, ...] = ()
    """Keys of local volumes; a volume binds all its users to its node."""
    image: str = ""
    image_local_only: bool = False
    """The image is in no registry: only nodes that have it can be chosen."""
    container: str = ""
    """Id of the container that will fill the slot, under which `Cluster.free` gives back what a decision
    reserved. Empty: that stays reserved for as long as the `Cluster` lives."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one live container holds of a node."""

    container: str
    slot: str
    app: str
    service: str
    node: str
    cpu: int
    memory: int
    pids: int = 0
    ports: tuple[Port, ...] = ()
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one node cannot take a request: the filter's name, a sentence, and the numbers in it."""

    filter: str
    reason: str
    asked: int = 0
    free: int = 0


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """One node in an explanation: refused by a filter, or scored by part (higher is better)."""

    node: str
    name: str
    refusal: Refusal | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.scores.values())


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request goes (`node` None: nowhere now), with which host ports, and why."""

    request: Request
    node: str | None
    ports: tuple[Port, ...] = ()
    verdicts: tuple[NodeVerdict, ...] = ()
    summary: str = ""
    """A sentence for people: '0 of 5 nodes fit: 3 lack memory (largest free 1.2 GiB, asked 2 GiB), …'."""


class ReleaseState(StrEnum):
    RESOLVING = "resolving"
    READY = "ready"
    FAILED = "failed"


class RolloutState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"


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

    @property
    def current(self) -> ContainerView | None:
        """The newest generation's container, ended or not."""
        return self.containers[0] if self.containers else None


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service as it is wanted now."""

    name: str
    replicas: int
    """Wanted now: 0 when the app or the service is stopped or being deleted."""
    digest: str
    """Spec digest of the release that is being rolled out."""
    request: Request
    """Template; `slot` is filled in for each slot."""
    restart: str = "any"
    """Compose's condition: any, on-failure, none."""
    has_healthcheck: bool = False
    monitor: float = 2.0
    """Seconds a container without a health check must stay up to count as well."""
    bound: bool = False
    """It has a local volume or is exclusive: never replaced for lack of contact."""
    restart_epoch: float = 0.0
    """As `AppView.restart_epoch`, for this service alone."""


@dataclass(frozen=True, slots=True)
class RolloutView:
    id: str
    state: RolloutState
    started_at: float
    deadline: float


@dataclass(frozen=True, slots=True)
class AppView:
    """One app: what is wanted and what is there. `slots` includes those of services that are gone."""

    id: str
    services: tuple[ServiceView, ...]
    slots: tuple[SlotView, ...]
    rollout: RolloutView | None = None
    node_states: Mapping[str, NodeState] = field(default_factory=dict)
    """State of every node that a container of this app is on; an unknown node is down."""
    frozen: bool = False
    """Storm brake or blind console: nothing is replaced for lack of contact."""
    restart_epoch: float = 0.0
    """Containers started before this time are replaced one by one (a user asked for a restart)."""


@dataclass(frozen=True, slots=True)
class NewSlot:
    service: str
    index: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Fill this slot (of an existing or just created slot, by service and index) with a new generation.

    `request.slot` is empty for a slot that the same plan creates.
    """

    service: str
    index: int
    digest: str
    request: Request
    replaces: str | None = None
    """Container that becomes `lost` in the same transaction."""


@dataclass(frozen=True, slots=True)
class StopContainer:
    container: str
    reason: str
    failure: bool = False
    """It counts as a failure of the slot (back-off grows)."""


@dataclass(frozen=True, slots=True)
class RolloutMove:
    state: RolloutState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Slots of one service: wanted, well on the wanted digest (a task that is done counts), and its
    containers that are live at all."""

    service: str
    wanted: int
    well: int
    live: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What must change for one app, in named buckets. An empty plan changes nothing."""

    create: tuple[NewSlot, ...] = ()
    place: tuple[Placement, ...] = ()
    stop: tuple[StopContainer, ...] = ()
    remove: tuple[str, ...] = ()
    """Ended containers whose record is saved and whose remains in the engine can go."""
    retire: tuple[str, ...] = ()
    """Slots that are wanted no more and have no container left."""
    rollout: RolloutMove | None = None
    counts: tuple[Counts, ...] = ()
    wake_at: float | None = None
    """Time at which to look again though nothing changed."""

    @property
    def empty(self) -> bool:
        return not (self.create or self.place or self.stop or self.remove or self.retire or self.rollout)
