"""A plan on whatever cluster: within its limits, possible, for the better, and soon at an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.evenness import measure
from scheduler.rebalance import Move, rebalance
from scheduler.scores import POLICIES
from tests.scheduler.crowds import FEW, Crowd, crowds, really
from tests.scheduler.crowds import held as held_by
from tests.scheduler.strategies import MANY


@st.composite
def cases(draw: st.DrawFn) -> tuple[Crowd, dict[str, Any]]:
    crowd = draw(crowds(most=12))
    services = {(each.request.app, each.request.service) for each in crowd.allocations}
    names = [each.container for each in crowd.allocations]
    options = {
        "movable": {name for name in names if draw(st.sampled_from([True, True, True, False]))},
        "budget": draw(st.sampled_from([0, 1, 3, 50])),
        "gain": draw(st.sampled_from([1e-6, 0.01, 0.1])),
        "policy": POLICIES[draw(st.sampled_from(sorted(POLICIES)))],
        "healthy": {service: draw(st.integers(0, 3)) for service in sorted(services)},
    }
    return crowd, options


Case = tuple[Crowd, dict[str, Any]]


def services_of(crowd: Crowd, moves: Sequence[Move]) -> list[tuple[str, str]]:
    requests = {each.container: each.request for each in crowd.allocations}
    return [(requests[each.container].app, requests[each.container].service) for each in moves]


@FEW
@given(cases())
def test_the_plan_keeps_to_its_limits(case: Case) -> None:
    crowd, options = case
    answer = rebalance(crowd.cluster(), **options)
    assert len(answer.moves) <= options["budget"]
    assert len({each.container for each in answer.moves}) == len(answer.moves)
    assert {each.container for each in answer.moves} <= options["movable"]
    assert all(each.gain >= options["gain"] for each in answer.moves)
    leaving = Counter((each.request.app, each.request.service) for each in crowd.allocations if each.leaving)
    for name, number in Counter(services_of(crowd, answer.moves)).items():
        assert number + leaving[name] <= options["healthy"][name]


@pytest.mark.thorough
@MANY
@given(cases())
def test_each_move_is_possible_and_gains_what_it_says(case: Case) -> None:
    crowd, options = case
    answer = rebalance(crowd.cluster(), **options)
    policy = options["policy"]
    assert answer.before == pytest.approx(measure(crowd.cluster(), policy))
    assert answer.after == pytest.approx(measure(really(crowd.cluster(), answer.moves), policy))
    assert answer.before - answer.after == pytest.approx(sum(each.gain for each in answer.moves), abs=1e-6)


@pytest.mark.thorough
@MANY
@given(cases())
def test_a_second_run_finds_nothing_more(case: Case) -> None:
    """What was moved is on its way, and no other service can gain from what the first run did."""
    crowd, options = case
    options["budget"] = 50
    first = rebalance(crowd.cluster(), **options)
    for name in services_of(crowd, first.moves):
        options["healthy"].pop(name, None)
    assert rebalance(really(crowd.cluster(), first.moves), **options).moves == ()


@pytest.mark.thorough
@FEW
@given(cases())
def test_run_after_run_comes_to_an_end(case: Case) -> None:
    crowd, options = case
    options |= {"budget": 3, "gain": 0.01}
    cluster = crowd.cluster()
    for _ in range(1000):
        answer = rebalance(cluster, **options)
        if not answer.moves:
            return
        assert answer.after <= answer.before - 0.01 * len(answer.moves) + 1e-6
        cluster = really(cluster, answer.moves)
    raise AssertionError("It goes on moving")


@pytest.mark.thorough
@FEW
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_does_not_matter(case: Case, shuffle: Random) -> None:
    crowd, options = case
    assert rebalance(crowd.shuffled(shuffle), **options) == rebalance(crowd.cluster(), **options)


@pytest.mark.thorough
@FEW
@given(cases())
def test_nothing_is_changed_by_planning(case: Case) -> None:
    crowd, options = case
    cluster = crowd.cluster()
    rebalance(cluster, **options)
    assert held_by(cluster) == {each.container: each for each in crowd.allocations}
