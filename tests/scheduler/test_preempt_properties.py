"""Whoever is asked to leave has to, on whatever cluster."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model import (
    Want,
)
from scheduler.preempt import preempt
from tests.scheduler.crowds import FEW, Crowd, crowds, requests
from tests.scheduler.crowds import held as held_by
from tests.scheduler.strategies import MANY


@st.composite
def cases(draw: st.DrawFn) -> tuple[Crowd, Want]:
    return draw(crowds()), Want(draw(requests()), "wanted", "wanted")


def fits_without(crowd: Crowd, want: Want, on: str, gone: Iterable[str]) -> bool:
    leaving = {each.container for each in crowd.allocations if each.leaving}
    return crowd.without(leaving | set(gone)).place([want._replace(node=on)])[0].node == on


@pytest.mark.thorough
@MANY
@given(cases())
def test_it_fits_without_the_victims_and_with_any_of_them_it_does_not(case: tuple[Crowd, Want]) -> None:
    crowd, want = case
    answer = preempt(crowd.cluster(), want)
    below = {
        each.container: each.node
        for each in crowd.allocations
        if each.request.priority < want.request.priority
        and (each.request.app, each.request.service) != (want.request.app, want.request.service)
        and (each.request.team == want.request.team or not each.request.volumes)
    }
    if answer is None:
        for each in crowd.nodes:
            assert not fits_without(
                crowd, want, each.id, [name for name, on in below.items() if on == each.id]
            )
        return
    assert {below[victim] for victim in answer.victims} <= {answer.node}
    assert fits_without(crowd, want, answer.node, answer.victims)
    for size in range(len(answer.victims)):
        for some in combinations(answer.victims, size):
            assert not fits_without(crowd, want, answer.node, some)


@pytest.mark.thorough
@FEW
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_does_not_matter(case: tuple[Crowd, Want], shuffle: Random) -> None:
    crowd, want = case
    assert preempt(crowd.shuffled(shuffle), want) == preempt(crowd.cluster(), want)


@pytest.mark.thorough
@FEW
@given(cases())
def test_the_cluster_is_not_changed(case: tuple[Crowd, Want]) -> None:
    crowd, want = case
    cluster = crowd.cluster()
    preempt(cluster, want)
    assert held_by(cluster) == {each.container: each for each in crowd.allocations}
    assert cluster.place([want]) == crowd.cluster().place([want])
