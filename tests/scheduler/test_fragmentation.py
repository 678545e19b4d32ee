"""The tables against the definition, spelled out task by task."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.fragmentation import Mix, Shape, State
from scheduler.model import Request, Resource, Want
from scheduler.placement import Cluster
from scheduler.resources import WHOLE
from scheduler.scores import BINPACK, FGD
from tests.scheduler.builders import GIB, node, request

UNITS = 4

SMALL = st.integers(0, 5)
SLICES = st.sampled_from([100, 250, 500, 900])
SHAPES = st.one_of(
    st.builds(Shape, SMALL, SMALL, units=st.just(0), share=SLICES),
    st.builds(Shape, SMALL, SMALL, units=st.integers(0, UNITS), share=st.just(0)),
)
MIXES = st.dictionaries(SHAPES, st.integers(1, 9), max_size=6)
UNIT = st.sampled_from([0, 50, 100, 300, 500, 750, 900, WHOLE])


@st.composite
def states(draw: st.DrawFn) -> State:
    number = draw(st.integers(1, 4))
    amounts = st.lists(st.integers(0, 6), min_size=number, max_size=number)
    units = st.lists(UNIT, min_size=UNITS, max_size=UNITS)
    free = draw(st.lists(units, min_size=number, max_size=number))
    return State(np.array(draw(amounts)), np.array(draw(amounts)), np.array(free))


def _can_use(shape: Shape, cpu: int, free: list[int]) -> int:
    """What one task could use of a node: nothing unless it fits, and then what is free of each unit that is
    enough for its slice (for a whole one when it asks for several)."""
    least = shape.slice or WHOLE
    enough = [amount for amount in free if amount >= least]
    fits = cpu >= shape.cpu and len(enough) >= max(shape.units, 1)
    return sum(enough) if fits and shape.asked else 0


def _usable(mix: dict[Shape, int], cpu: int, free: list[int]) -> float:
    """By what each shape asks for in all."""
    amounts = {shape: number * shape.asked for shape, number in mix.items()}
    used = sum(amount * _can_use(shape, cpu, free) for shape, amount in amounts.items())
    return used / max(sum(amounts.values()), 1)


def _left(shape: Shape, free: list[int]) -> list[int]:
    """A slice is of the fullest unit that has it; whole units are the first ones."""
    left, units = list(free), shape.units
    if shape.slice:
        left[free.index(min(amount for amount in free if amount >= shape.slice))] -= shape.slice
        return left
    for place, amount in enumerate(free):
        if amount == WHOLE and units:
            left[place], units = 0, units - 1
    return left


@pytest.mark.thorough
@settings(deadline=None, max_examples=200)
@given(mix=MIXES, state=states())
def test_usable_is_what_the_average_task_can_use(mix: dict[Shape, int], state: State) -> None:
    wanted = [_usable(mix, int(cpu), free) for cpu, free in zip(state.cpu, state.free.tolist(), strict=True)]
    assert Mix.of(mix, UNITS).usable(state) == pytest.approx(wanted)


@pytest.mark.thorough
@settings(deadline=None, max_examples=200)
@given(mix=MIXES, state=states(), shape=SHAPES)
def test_what_is_lost_is_the_difference_that_the_placement_makes(
    mix: dict[Shape, int], state: State, shape: Shape
) -> None:
    fits = [
        row
        for row, free in enumerate(state.free.tolist())
        if state.cpu[row] >= shape.cpu
        and sum(amount >= (shape.slice or WHOLE) for amount in free)
        >= (max(shape.units, 1) if shape.asked else 0)
    ]
    state = State(state.cpu[fits], state.memory[fits], state.free[fits])
    tables = Mix.of(mix, UNITS)
    left = State(
        state.cpu - shape.cpu,
        state.memory - shape.memory,
        np.array([_left(shape, free) for free in state.free.tolist()], dtype=np.int64).reshape(-1, UNITS),
    )
    before, after = (tables.usable(each) + tables.served(each) for each in (state, left))
    assert tables.lost(state, shape) == pytest.approx(before - after)


def test_served_ends_where_the_cpu_ends() -> None:
    mix = Mix.of({Shape(cpu=2000, memory=0, units=1): 1}, UNITS)
    state = State(np.array([3000, 9000]), np.array([0, 0]), np.array([[WHOLE] * UNITS] * 2))
    assert mix.served(state).tolist() == [1500, 4000]


def test_a_share_goes_where_nothing_else_can_use_the_hole() -> None:
    mix = Mix.of({Shape(0, 0, share=300): 1, Shape(0, 0, share=700): 8}, UNITS)
    state = State(np.array([0] * 3), np.array([0] * 3), np.array([[WHOLE], [700], [300]]))
    assert np.argsort(mix.lost(state, Shape(0, 0, share=300))).tolist() == [2, 0, 1]


def test_a_task_that_asks_for_none_goes_where_the_resource_is_not() -> None:
    mix = Mix.of({Shape(cpu=1000, memory=0, units=1): 1}, UNITS)
    state = State(np.array([4000, 4000]), np.array([1, 1]), np.array([[WHOLE] * UNITS, [0] * UNITS]))
    lost = mix.lost(state, Shape(cpu=1000, memory=0))
    assert lost.tolist() == [1000, 0]


def test_without_a_mix_only_what_is_free_counts() -> None:
    state = State(np.array([1]), np.array([1]), np.array([[WHOLE, 500, 0, 0]]))
    assert Mix.of({}, UNITS).lost(state, Shape(0, 0, share=500)).tolist() == [500]


AMOUNTS = st.lists(st.sampled_from([0, 100, 300, 500, WHOLE, 2 * WHOLE]), min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)
@given(amounts=AMOUNTS, freed=st.sets(st.integers(0, 29)))
def test_what_is_kept_is_as_if_scored_anew(amounts: list[int], freed: set[int]) -> None:
    cluster = Cluster([node(name, resources={"gpu": 3}) for name in ("n1", "n2", "n3")])
    requests = [_asking(amount) for amount in amounts]
    for place, each in enumerate(requests):
        cluster.place([Want(each, f"s{place}", f"c{place}")], FGD)
        if place in freed:
            cluster.free(f"c{place // 2}")
    for each in requests:
        kept = cluster.columns.fragments.lost(cluster.columns, each)
        anew = cluster.columns.fragments.copy().lost(cluster.columns, each)
        assert kept is not None
        assert anew is not None
        assert kept.tolist() == anew.tolist()


def _asking(amount: int) -> Request:
    gpu = Resource("gpu", units=amount // WHOLE, share=amount % WHOLE)
    return request(f"s{amount}", resources=(gpu,) if amount else ())


def test_a_rare_large_task_keeps_a_node_free() -> None:
    cluster = Cluster([node(name, resources={"gpu": 2}) for name in ("n1", "n2")])
    wants = [
        Want(_asking(amount), f"{place}") for place, amount in enumerate([500, 2 * WHOLE, 300, 500, 200])
    ]
    assert [each.node for each in cluster.place(wants, FGD)] == ["n1", "n2", "n1", "n1", "n1"]


def test_without_such_a_resource_it_is_bin_packing() -> None:
    wants = [Want(request(f"s{place}", cpu=place * 100), f"{place}") for place in range(1, 9)]
    nodes = [node("n1", cpu=3000), node("n2"), node("n3", memory=8 * GIB)]
    chosen = [[each.node for each in Cluster(nodes).place(wants, policy)] for policy in (FGD, BINPACK)]
    assert chosen[0] == chosen[1]
