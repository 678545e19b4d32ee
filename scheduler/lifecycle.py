"""States of a container, the one table of moves, and who may make each of them.

A state only moves forward (design rule 2). Health, restarts and reachability are not states.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    PENDING = "pending"
    ASSIGNED = "assigned"
    PREPARING = "preparing"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    FAILED = "failed"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        return self in ENDED

    @property
    def live(self) -> bool:
        """On a node, or on its way there: it holds resources."""
        return self not in ENDED and self is not State.PENDING


class Actor(StrEnum):
    CONTROLLER = "controller"
    """Decides: places, stops, gives up, replaces."""
    REPORT = "report"
    """What a node observed."""
    OPERATOR = "operator"
    """A person's word, where no observation can come any more."""


ENDED = frozenset({State.EXITED, State.FAILED, State.LOST})
RANK = {state: rank for rank, state in enumerate(State)}

_C, _R, _O = Actor.CONTROLLER, Actor.REPORT, Actor.OPERATOR

MOVES: dict[tuple[State, State], frozenset[Actor]] = {
    (State.PENDING, State.ASSIGNED): frozenset({_C}),
    (State.PENDING, State.EXITED): frozenset({_C}),
    (State.ASSIGNED, State.PREPARING): frozenset({_R}),
    (State.ASSIGNED, State.STARTING): frozenset({_R}),
    (State.ASSIGNED, State.RUNNING): frozenset({_R}),
    (State.ASSIGNED, State.STOPPING): frozenset({_C}),
    (State.ASSIGNED, State.EXITED): frozenset({_R}),
    (State.ASSIGNED, State.FAILED): frozenset({_R, _C}),
    (State.ASSIGNED, State.LOST): frozenset({_C, _O}),
    (State.PREPARING, State.STARTING): frozenset({_R}),
    (State.PREPARING, State.RUNNING): frozenset({_R}),
    (State.PREPARING, State.STOPPING): frozenset({_C}),
    (State.PREPARING, State.EXITED): frozenset({_R}),
    (State.PREPARING, State.FAILED): frozenset({_R, _C}),
    (State.PREPARING, State.LOST): frozenset({_C, _O}),
    (State.STARTING, State.RUNNING): frozenset({_R}),
    (State.STARTING, State.STOPPING): frozenset({_C}),
    (State.STARTING, State.EXITED): frozenset({_R}),
    (State.STARTING, State.FAILED): frozenset({_R}),
    (State.STARTING, State.LOST): frozenset({_C, _O}),
    (State.RUNNING, State.STOPPING): frozenset({_C}),
    (State.RUNNING, State.EXITED): frozenset({_R}),
    (State.RUNNING, State.FAILED): frozenset({_R}),
    (State.RUNNING, State.LOST): frozenset({_C, _O}),
    (State.STOPPING, State.EXITED): frozenset({_R}),
    (State.STOPPING, State.FAILED): frozenset({_R}),
    (State.STOPPING, State.LOST): frozenset({_C, _O}),
}
"""Every allowed move and its owners. What is not here cannot happen."""


class IllegalMove(ValueError):
    """A move that the table does not have, or not for this actor."""

    def __init__(self, current: State, target: State, actor: Actor) -> None:
        super().__init__(f"{actor} may not move a container from {current} to {target}")
        self.current, self.target, self.actor = current, target, actor


def may_move(current: State, target: State, actor: Actor) -> bool:
    return actor in MOVES.get((current, target), frozenset())


def move(current: State, target: State, actor: Actor) -> State:
    """The new state; raises `IllegalMove` unless the table has this move for this actor."""
    if not may_move(current, target, actor):
        raise IllegalMove(current, target, actor)
    return target


@dataclass(frozen=True, slots=True)
class Facts:
    """What an engine says of one container. `engine_state` is Docker's own word."""

    engine_state: str
    exit_code: int | None = None
    oom: bool = False
    restarts: int = 0
    error: str = ""


def seen_as(facts: Facts, current: State) -> State:
    """The state that the facts stand for, seen from `current`.

    An end that was asked for (stopping) is `exited` whatever its code, since a stop signal often gives
    137 or 143. A container that is `restarting` keeps running in the engine's hands (design rule 6).
    """
    match facts.engine_state:
        case "created":
            target = State.FAILED if facts.error else State.STARTING
        case "running" | "paused" | "restarting":
            target = State.RUNNING
        case _:
            wanted = current is State.STOPPING or (facts.exit_code == 0 and not facts.oom and not facts.error)
            target = State.EXITED if wanted else State.FAILED
    return target


def observe(current: State, facts: Facts) -> State:
    """`current` moved as far forward as the facts say; facts that are behind it change nothing."""
    target = seen_as(facts, current)
    return target if may_move(current, target, Actor.REPORT) else current


def mermaid() -> str:
    """The table as a Mermaid state diagram: each move with its owners. For docs/architecture.md."""
    moves = [
        f"    {current} --> {target}: {', '.join(actor for actor in Actor if actor in owners)}"
        for (current, target), owners in MOVES.items()
    ]
    ends = [f"    {state} --> [*]" for state in State if state.ended]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {State.PENDING}", *moves, *ends]) + "\n"
