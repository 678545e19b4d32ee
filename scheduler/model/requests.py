"""What is asked of a node, and what is held of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Port:
    """One published port. `host` 0 leaves the choice to the scheduler."""

    container: int
    host: int = 0
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Constraint:
    """`key == value` or `key != value`. Keys: `node.id`, `node.hostname`, `node.zone`, `node.labels.X`,
    `node.platform.os|arch` (as labels `platform.os`), as in Compose's placement constraints."""

    key: str
    equal: bool
    value: str

    def __str__(self) -> str:
        return f"{self.key} {'==' if self.equal else '!='} {self.value}"


@dataclass(frozen=True, slots=True)
class Spread:
    """A wish to have equally many of the service wherever `key` (as in a constraint) has another value."""

    key: str
    weight: float = 1.0
    """Against the other keys: a list in which each key outweighs all later ones has weights 1, 1e-3, 1e-6 …"""


@dataclass(frozen=True, slots=True)
class Affinity:
    """Near, or (`anti`) away from, containers of a service of the same app; `*` is any service of it.

    A required `anti` holds both ways: whoever came first, the other does not join it. A required affinity is
    waived for the first of a service that asks to be near itself.
    """

    service: str
    over: str = "node.id"
    """Near is: on nodes where this key (as in a constraint) has the same value. A node without it is near
    nothing."""
    anti: bool = False
    required: bool = False
    weight: float = 1.0
    """Of a preferred one (1 to 100)."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Whole units of a generic resource, or (`share`, in thousandths, with `units` 0) a share of one unit."""

    kind: str
    units: int = 0
    share: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """Which units of a node were given, numbered from 0. A share is of exactly one unit."""

    kind: str
    units: tuple[int, ...]
    share: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What every slot of one service asks of a node. One object per service and release: the scheduler
    shares its work between wants whose request is the same object, and keeps it for what was placed."""

    app: str
    service: str
    cpu: int
    memory: int
    team: str = ""
    pids: int = 0
    disk: int = 0
    resources: tuple[Resource, ...] = ()
    ports: tuple[Port, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    spread: tuple[Spread, ...] = ()
    affinity: tuple[Affinity, ...] = ()
    max_per_node: int = 0
    """Most slots of this service on one node; 0 is no limit."""
    volumes: tuple[str, ...] = ()
    """Keys of local volumes; a volume binds all its users to its node."""
    secrets: bool = False
    """It has some: only nodes whose agents know them can be chosen."""
    image: str = ""
    image_local_only: bool = False
    """The image is in no registry: only nodes that have it can be chosen."""
    priority: int = 0
    """Higher goes first, and may make lower ones leave."""
    exclusive: bool = False
    """Never two of a slot run at once: what leaves may take long to come back."""

    @property
    def bound(self) -> bool:
        """What it has cannot be had elsewhere, or not soon."""
        return self.exclusive or bool(self.volumes)


class Want(NamedTuple):
    """One slot to fill. A tuple, because a million of them are made in a run."""

    request: Request
    slot: str
    container: str = ""
    """Id of the container that will fill the slot, under which `Cluster.free` gives back what a decision
    reserved. Empty: that stays reserved for as long as the `Cluster` lives."""
    node: str = ""
    """Only this node (a slot of a global service); empty: any."""
    prefer: str = ""
    """This node if it fits (a move that was planned), whatever the scores say."""
    avoid: tuple[str, ...] = ()
    """Nodes on which this slot just failed: taken only when nothing else fits."""


class Allocation(NamedTuple):
    """What one live container holds of a node. A tuple, for the same reason as `Want`."""

    container: str
    slot: str
    node: str
    request: Request
    ports: tuple[Port, ...] = ()
    grants: tuple[Grant, ...] = ()
    leaving: bool = False
    """It was told to stop: what it holds will soon be free."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that a team may hold in all; None is no limit."""

    containers: int | None = None
    cpu: int | None = None
    memory: int | None = None
