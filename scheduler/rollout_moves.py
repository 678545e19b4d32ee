"""The states of a rollout, and who moves it from one to another."""

from __future__ import annotations

from scheduler.model import RolloutState

_RUNNING, _PAUSED = RolloutState.RUNNING, RolloutState.PAUSED

MOVES: dict[tuple[RolloutState, RolloutState], str] = {
    (_RUNNING, _PAUSED): "person",
    (_PAUSED, _RUNNING): "person",
    (_RUNNING, RolloutState.SUCCEEDED): "reconcile",
    (_RUNNING, RolloutState.FAILED): "reconcile",
    (_RUNNING, RolloutState.ROLLED_BACK): "reconcile",
    (_RUNNING, RolloutState.SUPERSEDED): "newer rollout",
    (_PAUSED, RolloutState.SUPERSEDED): "newer rollout",
}
"""Every move that can happen, and its one owner. A rollout that rolls back ends; another one goes back."""


def mermaid() -> str:
    """The table as a Mermaid state diagram. For docs/architecture.md."""
    moves = [f"    {current} --> {target}: {owner}" for (current, target), owner in MOVES.items()]
    open_states = {current for current, _target in MOVES}
    ends = [f"    {state} --> [*]" for state in RolloutState if state not in open_states]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {_RUNNING}", *moves, *ends]) + "\n"
