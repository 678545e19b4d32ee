"""What must change for one app."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.requests import Request
from scheduler.model.views import RolloutState


@dataclass(frozen=True, slots=True)
class NewSlot:
    service: str
    index: int
    node: str = ""
    """Of a global service: the node it is for."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Fill this slot (of an existing or just created slot, by service and index) with a new generation."""

    service: str
    index: int
    digest: str
    request: Request
    """The service's own object, so that a batch shares its work."""
    replaces: str | None = None
    """Container that becomes `lost` in the same transaction."""
    node: str = ""
    """As in `Want`."""
    prefer: str = ""
    avoid: tuple[str, ...] = ()
    leaves: str = ""
    """Container that serves until the new one is well, or makes way for it where there is no room for both."""


@dataclass(frozen=True, slots=True)
class StopContainer:
    container: str
    reason: str
    failure: bool = False
    """It counts as a failure of the slot (back-off grows)."""


@dataclass(frozen=True, slots=True)
class RolloutMove:
    state: RolloutState
    """`ROLLED_BACK` asks the caller to start the rollout of the release before."""
    reason: str = ""
    container: str = ""
    """The one whose end decided it, if one did."""


@dataclass(frozen=True, slots=True)
class CommandsEnd:
    """The release commands are all done, or one of them will not be: `reason` says why, `container` is its own."""

    ok: bool
    reason: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """Slots of one service: wanted, well on the wanted digest (a task that is done counts), and its
    containers that are live at all."""

    service: str
    wanted: int
    well: int
    live: int
    waits: str = ""
    """What keeps slots of it from being filled or updated though there may be room: 'waits until db is healthy'."""
    due: int = 0
    """Slots whose container is still to be replaced, by a release or a restart."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What must change for one app, in named buckets. An empty plan changes nothing.

    One with a `rehearse` is not to be carried out: it asks for answers, and with them in the view for another plan.
    """

    create: tuple[NewSlot, ...] = ()
    place: tuple[Placement, ...] = ()
    stop: tuple[StopContainer, ...] = ()
    remove: tuple[str, ...] = ()
    """Ended containers whose record is saved and whose remains in the engine can go."""
    retire: tuple[str, ...] = ()
    """Slots that are wanted no more and have no container left."""
    rollout: RolloutMove | None = None
    commands: CommandsEnd | None = None
    rehearse: tuple[Placement, ...] = ()
    """Before what `leaves` is stopped: whether the next generation would find a node then, with its image on it."""
    waits: tuple[str, ...] = ()
    """Slots that found no room for two, and whose old one's turn to make way has not come: they go on waiting."""
    counts: tuple[Counts, ...] = ()
    wake_at: float | None = None
    """Time at which to look again though nothing changed."""

    @property
    def empty(self) -> bool:
        moves = self.rollout or self.commands or self.rehearse
        return not (self.create or self.place or self.stop or self.remove or self.retire or moves)
