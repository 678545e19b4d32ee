"""Who leaves for something of higher priority: as little as possible, and never in vain."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.model import (
    Affinity,
    Allocation,
    Grant,
    NodeState,
    Port,
    Quota,
    Request,
    Resource,
    Want,
)
from scheduler.placement import Cluster
from scheduler.preempt import Preemption, preempt, preempt_each
from tests.scheduler.builders import GIB, node, request


def held(name: str, on: str, asked: Request, **more: Any) -> Allocation:
    return Allocation(name, f"{name}-slot", on, asked)._replace(**more)


def low(service: str, cpu: int, priority: int = 0, **more: Any) -> Request:
    return request(service, cpu=cpu, priority=priority, **more)


def high(cpu: int, **more: Any) -> Want:
    return Want(request("boss", cpu=cpu, priority=100, **more), "boss.1", "boss-1")


def found(cluster: Cluster, want: Want) -> tuple[str, tuple[str, ...]] | None:
    answer = preempt(cluster, want)
    return None if answer is None else (answer.node, answer.victims)


# -- the order


def test_the_lowest_priorities_leave_even_if_they_are_more() -> None:
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)],
        [
            held("a1", "a", low("one", 1000, priority=5)),
            held("b1", "b", low("two", 500, priority=1)),
            held("b2", "b", low("two", 500, priority=1)),
        ],
    )
    assert found(cluster, high(1000)) == ("b", ("b1", "b2"))


def test_then_fewer_of_the_highest_among_the_victims() -> None:
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)],
        [
            held("a1", "a", low("one", 500, priority=5)),
            held("a2", "a", low("one", 500, priority=5)),
            held("b1", "b", low("two", 500, priority=5)),
            held("b2", "b", low("two", 250, priority=1)),
            held("b3", "b", low("two", 250, priority=1)),
        ],
    )
    assert found(cluster, high(1000)) == ("b", ("b2", "b3", "b1"))


def test_then_fewer_containers() -> None:
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)],
        [
            *(held(f"a{n}", "a", low("one", 250)) for n in range(4)),
            held("b1", "b", low("two", 500)),
            held("b2", "b", low("two", 500)),
        ],
    )
    assert found(cluster, high(500)) == ("b", ("b2",))


def test_then_what_frees_least_beyond_need() -> None:
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)],
        [
            held("a1", "a", low("one", 1000)),
            held("b1", "b", low("two", 600)),
            held("b2", "b", low("two", 400, priority=200)),
        ],
    )
    assert found(cluster, high(500)) == ("b", ("b1",))


def test_then_the_lowest_node_id() -> None:
    same = [held(f"{n}1", n, low("one", 1000)) for n in "cba"]
    cluster = Cluster([node(n, cpu=1000) for n in "bca"], same)
    assert found(cluster, high(500)) == ("a", ("a1",))


def test_one_large_one_leaves_rather_than_four_small_ones() -> None:
    sizes = {"big": 400, "s1": 100, "s2": 100, "s3": 100, "s4": 100}
    cluster = Cluster([node("a", cpu=800)], [held(n, "a", low(n, cpu)) for n, cpu in sizes.items()])
    assert found(cluster, high(400)) == ("a", ("big",))


def test_a_node_that_the_slot_just_failed_on_comes_last() -> None:
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)],
        [held("a1", "a", low("one", 1000)), held("b1", "b", low("two", 1000, priority=50))],
    )
    assert found(cluster, high(1000)._replace(avoid=("a",))) == ("b", ("b1",))


# -- who may not be asked to leave


def test_equals_in_priority_stay() -> None:
    cluster = Cluster([node("a", cpu=1000)], [held("a1", "a", low("one", 1000, priority=100))])
    assert preempt(cluster, high(500)) is None


def test_the_wants_own_service_stays() -> None:
    cluster = Cluster([node("a", cpu=1000)], [held("a1", "a", low("boss", 1000))])
    assert preempt(cluster, high(500)) is None


def test_a_container_that_leaves_anyway_is_waited_for() -> None:
    leaving = held("a1", "a", low("one", 1000, priority=200), leaving=True)
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)], [leaving, held("b1", "b", low("two", 1000))]
    )
    want = high(500)
    assert preempt(cluster, want) == Preemption(
        want, "a", (), ("a1",), "a has room for boss once 1 container that leaves it is gone"
    )


def test_leaving_ones_cost_nothing() -> None:
    cluster = Cluster(
        [node("a", cpu=1000)],
        [
            held("a1", "a", low("one", 400), leaving=True),
            held("a2", "a", low("one", 300)),
            held("a3", "a", low("two", 300)),
        ],
    )
    assert found(cluster, high(700)) == ("a", ("a3",))


# -- what only `place` knows


def test_who_holds_the_port_leaves_though_there_is_room() -> None:
    web = low("web", 100, ports=(Port(80, 8080),))
    cluster = Cluster(
        [node("a")],
        [held("a1", "a", low("one", 100)), held("a2", "a", web, ports=web.ports)],
    )
    assert found(cluster, high(100, ports=(Port(80, 8080),))) == ("a", ("a2",))


def test_a_port_of_an_equal_rules_the_node_out() -> None:
    web = low("web", 100, priority=100, ports=(Port(80, 8080),))
    cluster = Cluster([node("a")], [held("a1", "a", low("one", 4000)), held("a2", "a", web, ports=web.ports)])
    assert preempt(cluster, high(100, ports=(Port(80, 8080),))) is None


def test_a_full_port_range_is_found_out_by_place() -> None:
    open_port = low("web", 100, ports=(Port(80),))
    cluster = Cluster(
        [node("a", port_first=30000, port_last=30000)],
        [
            held("a1", "a", low("one", 50)),
            held("a2", "a", open_port, ports=(Port(80, 30000),)),
        ],
    )
    assert found(cluster, high(100, ports=(Port(80),))) == ("a", ("a2",))


@pytest.mark.parametrize("unfit", [{"state": NodeState.DRAINING}, {"cordoned": True}])
def test_a_node_that_takes_nothing_is_not_chosen(unfit: dict[str, Any]) -> None:
    cluster = Cluster([node("a", **unfit)], [held("a1", "a", low("one", 4000))])
    assert preempt(cluster, high(100)) is None


def test_an_unbound_volume_of_the_want_is_not_bound_by_the_search() -> None:
    cluster = Cluster(
        [node("a", cpu=1000, memory=GIB), node("b", cpu=1000, memory=GIB)],
        [
            held("a1", "a", low("one", 1000, priority=200)),
            held("a2", "a", low("two", 0, memory=GIB // 2)),
            held("b1", "b", low("one", 1000)),
        ],
    )
    assert found(cluster, high(500, volumes=("data",))) == ("b", ("b1",))


def test_a_want_for_one_node_looks_nowhere_else() -> None:
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)],
        [held("a1", "a", low("one", 1000)), held("b1", "b", low("two", 1000, priority=9))],
    )
    assert found(cluster, high(1000)._replace(node="b")) == ("b", ("b1",))


def test_the_reason_is_a_sentence() -> None:
    cluster = Cluster([node("a", cpu=1000)], [held(n, "a", low("one", 500)) for n in ("x", "y")])
    answer = preempt(cluster, high(1000))
    assert answer is not None
    assert answer.reason == "a: boss (priority 100) takes the place of 2 containers of lower priority"


def test_within_a_full_quota_one_of_the_team_makes_room() -> None:
    """Though the nodes have room, and others would be of lower priority still."""
    mine = low("mine", 100, priority=2, team="red")
    there = [held("a1", "a", low("one", 100)), held("a2", "a", mine), held("b1", "b", low("two", 100))]
    cluster = Cluster([node("a"), node("b")], there, quotas={"red": Quota(containers=1)})
    assert found(cluster, high(100, team="red")) == ("a", ("a2",))


def test_a_quota_that_equals_fill_is_not_broken() -> None:
    mine = low("mine", 100, priority=100, team="red")
    cluster = Cluster(
        [node("a")], [held("a1", "a", low("one", 100)), held("a2", "a", mine)], quotas={"red": Quota(cpu=150)}
    )
    assert preempt(cluster, high(100, team="red")) is None


def test_what_is_bound_leaves_for_its_own_team_alone() -> None:
    for more in ({"volumes": ("app/data",)}, {"exclusive": True}):
        there = [held("a1", "a", low("one", 4000, team="red", **more))]
        assert found(Cluster([node("a")], there), high(100, team="blue")) is None
        assert found(Cluster([node("a")], there), high(100, team="red")) == ("a", ("a1",))


def test_a_graphics_card_is_taken_from_who_has_it() -> None:
    """Room in the others is of no use."""
    card = low("train", 100, resources=(Resource("gpu", units=1),))
    share = low("infer", 100, priority=3, resources=(Resource("gpu", share=500),))
    there = [
        held("a1", "a", low("one", 3000)),
        held("a2", "a", card, grants=(Grant("gpu", (0,)),)),
        held("a3", "a", share, grants=(Grant("gpu", (1,), 500),)),
    ]
    cluster = Cluster([node("a", resources={"gpu": 2})], there)
    assert found(cluster, high(100, resources=(Resource("gpu", units=1),))) == ("a", ("a2",))
    assert found(cluster, high(100, resources=(Resource("gpu", units=2),))) == ("a", ("a2", "a3"))


@pytest.mark.parametrize("whose", ["victim", "want"])
def test_who_must_be_apart_from_the_want_leaves(whose: str) -> None:
    apart = {
        "victim": Affinity("boss", anti=True, required=True),
        "want": Affinity("rival", anti=True, required=True),
    }
    rival = low("rival", 100, affinity=(apart["victim"],) if whose == "victim" else ())
    cluster = Cluster([node("a")], [held("a1", "a", low("one", 100)), held("a2", "a", rival)])
    want = high(100, affinity=(apart["want"],) if whose == "want" else ())
    assert found(cluster, want) == ("a", ("a2",))


def test_who_the_want_must_be_near_stays() -> None:
    there = [held("a1", "a", low("db", 3000)), held("a2", "a", low("one", 1000, priority=9))]
    cluster = Cluster([node("a"), node("b")], there)
    want = high(1000, affinity=(Affinity("db", required=True),))
    assert found(cluster, want) == ("a", ("a2",))


def test_the_limit_per_node_is_no_reason_to_evict() -> None:
    there = [held("a1", "a", low("boss", 100)), held("a2", "a", low("one", 100))]
    assert preempt(Cluster([node("a")], there), high(100, max_per_node=1)) is None


# -- several at once


def test_two_wants_do_not_count_on_the_same_room() -> None:
    cluster = Cluster(
        [node("a", cpu=1000), node("b", cpu=1000)],
        [held("a1", "a", low("one", 1000)), held("b1", "b", low("two", 1000))],
    )
    answers = preempt_each(
        cluster, [high(1000)._replace(slot=f"boss.{n}", container=f"boss-{n}") for n in (1, 2, 3)]
    )
    assert [each and (each.node, each.victims) for each in answers] == [
        ("a", ("a1",)),
        ("b", ("b1",)),
        None,
    ]


def test_the_highest_priority_is_served_first() -> None:
    cluster = Cluster([node("a", cpu=1000)], [held("a1", "a", low("one", 1000))])
    lesser = Want(request("clerk", cpu=1000, priority=10), "clerk.1", "clerk-1")
    answers = preempt_each(cluster, [lesser, high(1000)])
    assert [each is not None for each in answers] == [False, True]
