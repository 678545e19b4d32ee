"""Moves within a budget: only for the better, never back, never against a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from scheduler.model import Affinity, Allocation, Constraint, Node, NodeState, Port, Request, Spread
from scheduler.placement import Cluster
from scheduler.rebalance import Move, Rebalance, rebalance
from scheduler.scores import BINPACK, SPREAD
from tests.scheduler.builders import GIB, node, request
from tests.scheduler.crowds import held as held_by
from tests.scheduler.crowds import really

SMALL: dict[str, Any] = {"cpu": 400, "memory": 4 * GIB // 10}
"""A tenth of a node."""


def held(name: str, on: str, asked: Request, **more: Any) -> Allocation:
    return Allocation(name, f"{name}-slot", on, asked)._replace(**more)


def many(number: int, on: str, prefix: str = "", **more: Any) -> list[Allocation]:
    """Containers of as many services."""
    names = [f"{prefix or on}{n}" for n in range(number)]
    return [held(name, on, request(name, **{**SMALL, **more})) for name in names]


def run(machines: Sequence[Node], there: Sequence[Allocation], **more: Any) -> Rebalance:
    asked: dict[str, Any] = {
        "budget": 50,
        "gain": 0.001,
        "healthy": {(each.request.app, each.request.service): 1 for each in there},
        **more,
    }
    movable = asked.pop("movable", [each.container for each in there])
    return rebalance(Cluster(machines, there), movable, **asked)


def steps(answer: Rebalance) -> list[tuple[str, str, str]]:
    return [(each.container, each.source, each.target) for each in answer.moves]


# -- what is worth a move


def test_a_new_empty_node_gets_its_share() -> None:
    answer = run([node("a"), node("b"), node("c")], [*many(6, "a"), *many(6, "b")])
    assert Counter((each.source, each.target) for each in answer.moves) == {("a", "c"): 2, ("b", "c"): 2}
    assert answer.stopped == "No other move gains 0.001"
    after = really(Cluster([node("a"), node("b"), node("c")], [*many(6, "a"), *many(6, "b")]), answer.moves)
    assert run(after.nodes, list(held_by(after).values())).moves == ()


def test_a_larger_node_gets_a_larger_share() -> None:
    answer = run([node("a"), node("b", cpu=8000, memory=8 * GIB)], many(6, "a"))
    assert Counter(each.target for each in answer.moves) == {"b": 4}


def test_the_first_move_and_its_words_are_exact() -> None:
    answer = run([node("a"), node("b")], [*many(6, "a"), *many(2, "b")], budget=1)
    assert answer.moves == (
        Move("a0", "a0-slot", "a", "b", pytest.approx(0.06), "a is 60% full, b 20%"),  # type: ignore[arg-type]
    )
    assert answer.before == pytest.approx(0.36 + 0.04 + 8 * 0.1)
    assert answer.after == pytest.approx(0.25 + 0.09 + 8 * 0.1)
    assert answer.stopped == "The budget of 1 move is used up"


def test_a_small_gain_is_not_worth_it() -> None:
    there = [*many(6, "a"), *many(2, "b")]
    assert steps(run([node("a"), node("b")], there, gain=0.07)) == []
    assert len(run([node("a"), node("b")], there, gain=0.06 - 1e-9).moves) == 1


def test_a_gain_that_may_be_rounding_is_refused() -> None:
    with pytest.raises(ValueError, match="The least gain is 1e-06"):
        run([node("a")], [], gain=0.0)


def test_replicas_part_over_zones_first() -> None:
    web = request("web", **SMALL, spread=(Spread("node.zone"),))
    machines = [node("a", zone="east"), node("b", zone="east"), node("c", zone="west")]
    there = [held("w1", "a", web), held("w2", "b", web), held("w3", "b", web), *many(5, "c")]
    answer = run(machines, there, budget=1)
    assert steps(answer) == [("w2", "b", "c")]
    assert answer.moves[0].reason == "b has 3 of web by node.zone, c none"


def test_replicas_part_over_nodes() -> None:
    web = request("web", cpu=1, memory=1)
    answer = run([node("a"), node("b")], [held("w1", "a", web), held("w2", "a", web)])
    assert steps(answer) == [("w1", "a", "b")]
    assert answer.moves[0].reason == "a has 2 of web, b none"


def test_packing_empties_a_node() -> None:
    there = [*many(5, "a"), *many(1, "b"), *many(2, "c")]
    answer = run([node("a"), node("b"), node("c")], there, policy=BINPACK)
    assert [(each.source, each.target) for each in answer.moves] == [("b", "a"), ("c", "a"), ("c", "a")]
    assert [each.reason for each in answer.moves] == [
        "It empties b",
        "c is 20% full, a 60%",
        "It empties c",
    ]


def test_packing_stops_where_there_is_no_room() -> None:
    there = [*many(9, "a"), *many(2, "b")]
    answer = run([node("a"), node("b")], there, policy=BINPACK)
    assert [(each.source, each.target) for each in answer.moves] == [("b", "a")]


# -- who may move, and how many


@pytest.mark.parametrize("closed", [{"cordoned": True}, *({"state": s} for s in NodeState if s != "ready")])
def test_a_node_that_takes_nothing_gets_nothing(closed: dict[str, Any]) -> None:
    assert steps(run([node("a"), node("b", **closed)], many(6, "a"))) == []


def test_only_what_may_move_moves() -> None:
    there = many(6, "a")
    answer = run([node("a"), node("b")], there, movable=["a4"])
    assert steps(answer) == [("a4", "a", "b")]
    assert run([node("a"), node("b")], there, movable=[]).stopped == "There is no container that may move"


@pytest.mark.parametrize(
    "stays",
    [
        {"volumes": ("data",)},
        {"affinity": (Affinity("db"),)},
        {"constraints": (Constraint("node.id", True, "a"),)},
    ],
)
def test_what_has_a_reason_to_be_there_stays(stays: dict[str, Any]) -> None:
    assert steps(run([node("a"), node("b")], many(6, "a", **stays))) == []


def test_a_draining_node_is_emptied_by_others() -> None:
    assert steps(run([node("a", NodeState.DRAINING), node("b")], many(6, "a"))) == []


def test_a_service_moves_as_many_as_it_can_spare() -> None:
    web = request("web", **SMALL)
    there = [held(f"w{n}", "a", web) for n in range(8)]
    machines = [node("a"), node("b")]
    assert len(run(machines, there).moves) == 1
    assert len(run(machines, there, healthy={("shop", "web"): 3}).moves) == 3
    answer = run(machines, there, healthy={})
    assert steps(answer) == []
    assert answer.stopped == "No other move gains 0.001; 1 service is not well or on the move already"


def test_one_that_leaves_is_on_its_way_already() -> None:
    web = request("web", **SMALL)
    there = [held(f"w{n}", "a", web) for n in range(6)]
    leaving = [there[0]._replace(leaving=True), *there[1:]]
    assert steps(run([node("a"), node("b")], leaving)) == []


def test_a_place_that_is_refused_is_passed_over() -> None:
    """`b` is emptiest, but somebody has the port there."""
    web = request("web", **SMALL, ports=(Port(80, 8080),))
    edge = held("edge", "b", request("edge", cpu=1, memory=1), ports=(Port(80, 8080),))
    there = [held("w", "a", web, ports=web.ports), *many(5, "a"), edge, *many(1, "c")]
    answer = run([node("a"), node("b"), node("c")], there, movable=["w"])
    assert steps(answer) == [("w", "a", "c")]


def test_what_was_refused_is_tried_again_after_other_moves() -> None:
    """The port on `b` is free only when its holder has moved on."""
    public: dict[str, Any] = {"ports": (Port(80, 8080),)}
    tall = request("tall", cpu=400, memory=4 * GIB // 10, **public)
    edge = request("edge", cpu=100, memory=GIB // 10, **public)
    there = [
        held("t", "a", tall, ports=tall.ports),
        *many(8, "a"),
        held("e", "b", edge, ports=edge.ports),
        *many(4, "b", "x"),
    ]
    machines = [node("a"), node("b"), node("c", cpu=300, memory=3 * GIB // 10)]
    answer = run(machines, there, movable=["t", "e"])
    assert steps(answer) == [("e", "b", "c"), ("t", "a", "b")]


def test_no_nodes_and_nothing_there() -> None:
    assert run([], []) == Rebalance((), 0.0, 0.0, "There is no container that may move")
    assert run([], [], policy=SPREAD, budget=0).stopped == "The budget of 0 moves is used up"
