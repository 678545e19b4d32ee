"""The table of moves, as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.lifecycle import (
    MOVES,
    RANK,
    Actor,
    Facts,
    IllegalMove,
    State,
    may_move,
    mermaid,
    move,
    observe,
)

FACTS = st.builds(
    Facts,
    engine_state=st.sampled_from(
        ["created", "running", "paused", "restarting", "removing", "exited", "dead"]
    ),
    exit_code=st.sampled_from([None, 0, 1, 137]),
    oom=st.booleans(),
    error=st.sampled_from(["", "no such file"]),
)


def reach(start: State, actors: set[Actor]) -> set[State]:
    """Every state that these actors together can bring `start` to."""
    seen = {start}
    while True:
        more = {new for old, new in MOVES if old in seen and MOVES[old, new] & actors} - seen
        if not more:
            return seen
        seen |= more


@pytest.mark.parametrize(("current", "target"), MOVES)
def test_a_move_never_falls_and_never_leaves_an_end(current: State, target: State) -> None:
    assert RANK[target] > RANK[current]
    assert not current.ended
    assert MOVES[current, target]


def test_every_state_is_reachable() -> None:
    assert reach(State.PENDING, set(Actor)) == set(State)


@pytest.mark.parametrize("state", [state for state in State if not state.ended])
def test_every_unfinished_state_can_end(state: State) -> None:
    assert any(end.ended for end in reach(state, {Actor.CONTROLLER, Actor.REPORT}) - {State.LOST})
    assert state is State.PENDING or may_move(state, State.LOST, Actor.OPERATOR)


def test_a_report_never_says_that_a_container_is_lost_or_stopping() -> None:
    told = {target for (_, target), actors in MOVES.items() if Actor.REPORT in actors}
    assert told == {State.PREPARING, State.STARTING, State.RUNNING, State.EXITED, State.FAILED}


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(IllegalMove, match="report may not move a container from running to lost"):
        move(State.RUNNING, State.LOST, Actor.REPORT)


@given(current=st.sampled_from(State), facts=st.lists(FACTS))
def test_whatever_is_observed_the_state_never_falls(current: State, facts: list[Facts]) -> None:
    for fact in facts:
        after = observe(current, fact)
        assert RANK[after] >= RANK[current]
        assert after is current or not current.ended
        current = after


def test_an_end_that_was_asked_for_is_no_failure() -> None:
    assert observe(State.STOPPING, Facts("exited", exit_code=137)) is State.EXITED
    assert observe(State.RUNNING, Facts("exited", exit_code=137)) is State.FAILED


def test_the_diagram_has_every_move_once() -> None:
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> pending"]
    assert "    running --> lost: controller, operator" in lines
    assert len(lines) == 2 + len(MOVES) + 3
    assert len(set(lines)) == len(lines)
