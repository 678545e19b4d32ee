"""What would happen is what then happens, and asking changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model import Allocation, NodeState, Request, Want
from scheduler.placement import Cluster
from scheduler.whatif import Outcome, Relocation, Room, Waiting, drained, room, without
from tests.scheduler.builders import GIB, node, request
from tests.scheduler.crowds import FEW, Crowd, crowds, requests
from tests.scheduler.crowds import held as held_by
from tests.scheduler.strategies import MANY

WEB = request("web", cpu=1000)
DB = request("db", cpu=1000, volumes=("data",))
TOP = request("top", cpu=1000, priority=5)


def held(name: str, on: str, asked: Request = WEB) -> Allocation:
    return Allocation(name, f"{name}-slot", on, asked)


def three() -> Cluster:
    """`a` is full, `b` has room for one, `c` for none."""
    machines = [node("a", cpu=4000), node("b", cpu=1000), node("c", cpu=500)]
    there = [held("web-1", "a"), held("web-2", "a"), held("top-1", "a", TOP), held("db-1", "a", DB)]
    return Cluster(machines, there, {"data": "a"})


def test_if_a_node_went() -> None:
    refused = "0 of 2 nodes fit: 2 lack cpu (largest free 0.5 CPUs, asked 1 CPU)"
    outcome = without(three(), ["a"])
    down = "would be down until its node is back"
    assert replace(outcome, pending=tuple(replace(each, remedies=()) for each in outcome.pending)) == Outcome(
        moved=(Relocation("top-1", "top-1-slot", "shop", "top", "a", "b"),),
        pending=(
            Waiting("web-1", "web-1-slot", "shop", "web", "a", refused),
            Waiting("web-2", "web-2-slot", "shop", "web", "a", refused),
        ),
        bound=(Waiting("db-1", "db-1-slot", "shop", "db", "a", f"it {down}"),),
        summary=f"1 container would move; 1 container {down}; 2 would wait: {refused}",
    )


def test_if_a_node_were_drained_what_is_bound_stays() -> None:
    outcome = drained(three(), ["a"])
    assert [each.container for each in outcome.moved] == ["top-1"]
    assert [each.container for each in outcome.pending] == ["web-1", "web-2"]
    assert [(each.container, each.reason) for each in outcome.bound] == [
        ("db-1", "it would stay, bound to its node")
    ]
    assert outcome.summary == (
        "1 container would move; 1 container would stay, bound to its node; 2 would wait: "
        "0 of 3 nodes fit: 2 lack cpu (largest free 0.5 CPUs, asked 1 CPU), 1 is draining"
    )


def test_if_two_nodes_went_nothing_moves_between_them() -> None:
    cluster = Cluster([node("a"), node("b"), node("c")], [held("x", "a"), held("y", "b")])
    outcome = without(cluster, ["b", "a"])
    assert [(each.source, each.target) for each in outcome.moved] == [("a", "c"), ("b", "c")]
    assert outcome.summary == "2 containers would move"


def test_an_empty_node_can_go_without_a_word() -> None:
    assert without(Cluster([node("a")]), ["a"]) == Outcome((), (), (), "No containers would move")


def test_what_is_pinned_or_leaving_is_not_placed_elsewhere() -> None:
    there = [held("x", "a"), held("y", "a"), held("z", "a")._replace(leaving=True)]
    outcome = without(Cluster([node("a"), node("b")], there), ["a"], pinned=["y"])
    assert [each.container for each in outcome.moved] == ["x"]
    assert [each.container for each in outcome.bound] == ["y"]


@pytest.mark.parametrize("ask", [without, drained])
def test_a_node_that_is_not_there_is_refused(ask: Callable[..., Outcome]) -> None:
    with pytest.raises(ValueError, match="No such node: x, y"):
        ask(Cluster([node("a")]), ["y", "a", "x"])


def test_room_says_how_many_where_and_what_refuses_the_next() -> None:
    answer = room(Cluster([node("a", cpu=2000), node("b", cpu=1000)]), WEB, 10)
    assert (answer.fits, answer.nodes) == (3, (("a", 2), ("b", 1)))
    assert answer.refusal is not None
    assert answer.summary == (
        "3 more of web fit; the next one would wait: "
        "0 of 2 nodes fit: 2 lack cpu (largest free 0 CPUs, asked 1 CPU)"
    )


def test_room_stops_at_the_limit() -> None:
    answer = room(Cluster([node("a")]), WEB, 1)
    assert answer == Room(1, (("a", 1),), None, "1 more of web fits, which is all that was asked about")


def test_the_most_frequent_reason_stands_for_all() -> None:
    large = request("big", cpu=100, memory=8 * GIB)
    held = [
        Allocation("c1", "big.1", "b", large),
        *(Allocation(f"c{n}", f"web.{n}", "b", WEB) for n in (2, 3)),
    ]
    cluster = Cluster([node("a", cpu=500), node("b", cpu=8000, memory=16 * GIB)], held)
    assert without(cluster, ["b"]).summary.startswith(
        "No containers would move; 3 would wait: 0 of 1 node fits: 1 lacks cpu"
    )


def test_without_its_only_node_nothing_has_a_place() -> None:
    cluster = Cluster([node("a")], [Allocation("c1", "web.1", "a", WEB)])
    assert without(cluster, ["a"]).summary == "No containers would move; 1 would wait: No node would be left"


# -- properties


@st.composite
def cases(draw: st.DrawFn) -> tuple[Crowd, set[str]]:
    crowd = draw(crowds())
    return crowd, draw(st.sets(st.sampled_from([each.id for each in crowd.nodes]), min_size=1))


def told(outcome: Outcome) -> list[tuple[str, str | None]]:
    moved = [(each.container, each.target) for each in outcome.moved]
    waiting = [(each.container, None) for each in outcome.pending]
    return sorted([*moved, *waiting])


def movable(crowd: Crowd, emptied: set[str]) -> list[Allocation]:
    """What has to go elsewhere, in the order in which it is placed."""
    there = [
        each
        for each in crowd.allocations
        if each.node in emptied and not each.leaving and not each.request.volumes
    ]
    return sorted(
        there, key=lambda each: (-each.request.priority, each.request.app, each.request.service, each.slot)
    )


def really(cluster: Cluster, moving: list[Allocation]) -> list[tuple[str, str | None]]:
    decisions = cluster.place([Want(each.request, each.slot, each.container) for each in moving])
    return sorted((each.want.container, each.node) for each in decisions)


@pytest.mark.thorough
@MANY
@given(cases())
def test_without_is_what_happens_when_they_go(case: tuple[Crowd, set[str]]) -> None:
    crowd, gone = case
    cluster = crowd.cluster()
    outcome = without(cluster, gone)
    assert held_by(cluster) == {each.container: each for each in crowd.allocations}
    left = Cluster(
        [each for each in crowd.nodes if each.id not in gone],
        [each for each in crowd.allocations if each.node not in gone],
        crowd.volumes,
        crowd.quotas,
    )
    assert told(outcome) == really(left, movable(crowd, gone))
    assert not {each.target for each in outcome.moved} & gone


@pytest.mark.thorough
@MANY
@given(cases())
def test_drained_is_what_happens_when_they_are(case: tuple[Crowd, set[str]]) -> None:
    crowd, emptied = case
    cluster = crowd.cluster()
    outcome = drained(cluster, emptied)
    assert held_by(cluster) == {each.container: each for each in crowd.allocations}
    moving = movable(crowd, emptied)
    draining = {
        each.id: replace(each, state=NodeState.DRAINING) for each in crowd.nodes if each.id in emptied
    }
    left = crowd.without({each.container for each in moving}, **draining)
    assert told(outcome) == really(left, moving)
    assert not {each.target for each in outcome.moved} & emptied


@pytest.mark.thorough
@FEW
@given(crowds(), requests(), st.integers(0, 6))
def test_room_is_what_then_fits(crowd: Crowd, asked: Request, limit: int) -> None:
    cluster = crowd.cluster()
    answer = room(cluster, asked, limit)
    assert (answer.refusal is None) is (answer.fits == limit)
    fitting = cluster.place([Want(asked, f"{asked.service}+{number}") for number in range(answer.fits)])
    assert dict(answer.nodes) == Counter(each.node for each in fitting)
    if answer.refusal is not None:
        assert cluster.place([Want(asked, "one-more")])[0].node is None
