"""Where containers go: properties first, checked by a second reading of the rules that shares no code."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.columns import attribute
from scheduler.model import Allocation, Constraint, Decision, Node, NodeState, Port, Request
from scheduler.placement import Cluster
from scheduler.scores import BINPACK, POLICIES, SPREAD, Policy
from tests.scheduler.builders import GIB, node, request
from tests.scheduler.strategies import MANY, REQUESTS, nodes

BATCHES = st.lists(REQUESTS, max_size=8)
CHOICES = st.sampled_from(list(POLICIES.values()))


def held_by(decisions: list[Decision], name: str) -> list[tuple[Request, tuple[Port, ...]]]:
    return [(each.request, each.ports) for each in decisions if each.node == name]


def fits(each: Node, asked: Request, before: list[Decision]) -> bool:
    """Could this node take this request, after these decisions?"""
    there = held_by(before, each.id)
    taken = {(port.protocol, port.host) for _, ports in there for port in ports}
    homes = {volume: d.node for d in before if d.node for volume in d.request.volumes}
    same = [r for r, _ in there if (r.app, r.service) == (asked.app, asked.service)]
    wanted = {(port.protocol, port.host) for port in asked.ports if port.host}
    span = range(each.port_first, each.port_last + 1)
    left = {p: sum((p, n) not in taken | wanted for n in span) for p in ("tcp", "udp")}
    open_ports = Counter(port.protocol for port in asked.ports if not port.host)
    return (
        (each.state is NodeState.READY and not each.cordoned)
        and sum(r.cpu for r, _ in there) + asked.cpu <= each.cpu
        and sum(r.memory for r, _ in there) + asked.memory <= each.memory
        and sum(r.pids for r, _ in there) + asked.pids <= each.pids
        and all((attribute(each, c.key).lower() == c.value.lower()) == c.equal for c in asked.constraints)
        and not wanted & taken
        and all(left[protocol] >= number for protocol, number in open_ports.items())
        and (not asked.max_per_node or len(same) < asked.max_per_node)
        and all(homes.get(volume, each.id) == each.id for volume in asked.volumes)
        and (not asked.image_local_only or asked.image in each.images)
    )


@MANY
@given(cluster=nodes(), batch=BATCHES, policy=CHOICES)
def test_a_node_is_refused_exactly_when_it_cannot_take_the_request(
    cluster: list[Node], batch: list[Request], policy: Policy
) -> None:
    decisions = Cluster(cluster).place(batch, policy)
    by_id = {each.id: each for each in cluster}
    for number, decision in enumerate(decisions):
        told = {each.node: each.refusal is None for each in decision.verdicts}
        assert told == {name: fits(by_id[name], decision.request, decisions[:number]) for name in by_id}


@MANY
@given(cluster=nodes(), batch=BATCHES, policy=CHOICES)
def test_the_verdicts_agree_with_the_decision(
    cluster: list[Node], batch: list[Request], policy: Policy
) -> None:
    for decision in Cluster(cluster).place(batch, policy):
        fitting = [each for each in decision.verdicts if each.refusal is None]
        best = min(fitting, key=lambda each: (-each.total, each.node), default=None)
        assert decision.node == (best.node if best else None)
        assert decision.summary.startswith(f"{best.name}: " if best else ("0 of" if cluster else "There is"))


@MANY
@given(cluster=nodes(), batch=BATCHES, policy=CHOICES)
def test_host_ports_are_as_asked_or_of_the_range_and_never_given_twice(
    cluster: list[Node], batch: list[Request], policy: Policy
) -> None:
    decisions = Cluster(cluster).place(batch, policy)
    for each in cluster:
        given_ports = [
            (port.protocol, port.host) for _, ports in held_by(decisions, each.id) for port in ports
        ]
        assert len(given_ports) == len(set(given_ports))
    for decision in decisions:
        if decision.node is not None:
            assert [port.host for port in decision.ports] == [
                asked.host or given.host
                for asked, given in zip(decision.request.ports, decision.ports, strict=True)
            ]
            assert all(port.host for port in decision.ports)


@MANY
@given(cluster=nodes(), batch=BATCHES, policy=CHOICES, data=st.data())
def test_the_order_of_nodes_does_not_matter(
    cluster: list[Node], batch: list[Request], policy: Policy, data: st.DataObject
) -> None:
    other = data.draw(st.permutations(cluster))
    assert Cluster(other).place(batch, policy) == Cluster(cluster).place(batch, policy)


@MANY
@given(cluster=nodes(), batch=BATCHES, asked=REQUESTS)
def test_what_is_freed_can_be_had_again(cluster: list[Node], batch: list[Request], asked: Request) -> None:
    """Placing and freeing leaves no trace but the volumes' homes."""
    kept = Cluster(cluster)
    kept.place(batch)
    before = Cluster(cluster)
    before.place(batch)
    named = replace(asked, container="c", volumes=())
    [first] = kept.place([named])
    kept.free("c")
    kept.free("c")
    assert kept.place([named]) == [first] == before.place([named])


# -- examples


def places(decisions: list[Decision]) -> list[str | None]:
    return [each.node for each in decisions]


def test_six_replicas_over_three_equal_nodes_end_two_on_each() -> None:
    cluster = Cluster([node("n1"), node("n2"), node("n3")])
    assert places(cluster.place([request()] * 6)) == ["n1", "n2", "n3", "n1", "n2", "n3"]


def test_spread_counts_the_service_before_the_app_and_the_app_before_the_load() -> None:
    cluster = Cluster([node("n1"), node("n2"), node("n3", cpu=1000)])
    cluster.place([request("db", constraints=(Constraint("node.id", True, "n1"),))])
    assert places(cluster.place([request()] * 3)) == ["n2", "n3", "n1"]


def test_the_service_outweighs_any_number_of_others() -> None:
    """n1 has one of this service and is else empty; n2 is full of the same app and of load."""
    cluster = Cluster([node("n1"), node("n2")])
    cluster.reserve(Allocation("c", "s", "shop", "web", "n1", 0, 0))
    for number in range(60):
        cluster.reserve(Allocation(f"d{number}", "s", "shop", "db", "n2", cpu=60, memory=0))
    assert places(cluster.place([request()])) == ["n2"]


def test_the_app_outweighs_image_and_load() -> None:
    full = node("n2", cpu=100)
    cluster = Cluster([node("n1", images=frozenset({"demo"})), full])
    cluster.reserve(Allocation("c", "s", "shop", "db", "n1", 0, 0))
    assert places(cluster.place([request(image="demo")])) == ["n2"]


def test_load_is_that_of_the_scarcer_of_cpu_and_memory() -> None:
    cluster = Cluster([node("n1"), node("n2")])
    cluster.reserve(Allocation("c", "s", "blog", "web", "n1", cpu=3000, memory=0))
    cluster.reserve(Allocation("d", "s", "blog", "web", "n2", cpu=2000, memory=2 * GIB))
    assert places(cluster.place([request()])) == ["n2"]


def test_the_first_label_outweighs_the_second() -> None:
    """Rack x has one of the service, rack y two; only disk would prefer y."""
    nodes = [
        node("x1", labels={"rack": "x", "disk": "a"}),
        node("x2", labels={"rack": "x", "disk": "b"}),
        node("y1", labels={"rack": "y", "disk": "c"}),
        node("y2", labels={"rack": "y", "disk": "b"}),
    ]
    held = [Allocation(f"c{i}", "s", "shop", "web", "y2", 0, 0) for i in range(2)]
    cluster = Cluster(nodes, [*held, Allocation("d", "s", "shop", "web", "x1", 0, 0)])
    only = (Constraint("node.id", False, "x1"), Constraint("node.id", False, "y2"))
    asked = request(spread_over=("node.labels.rack", "node.labels.disk"), constraints=only)
    assert places(cluster.place([asked])) == ["x2"]


def test_constraints_compare_without_regard_to_case() -> None:
    asked = request(constraints=(Constraint("node.labels.disk", True, "SSD"),))
    assert places(Cluster([node("n1", labels={"disk": "ssd"})]).place([asked])) == ["n1"]


def test_a_wanted_port_in_the_range_leaves_one_less_to_give() -> None:
    both = request(ports=(Port(80, 30000), Port(81)))
    [refused] = Cluster([node("n1", port_first=30000, port_last=30000)]).place([both])
    assert refused.summary == "0 of 1 node fits: 1 has too few ports left in 30000-30000"
    [placed] = Cluster([node("n1", port_first=30000, port_last=30001)]).place([both])
    assert [port.host for port in placed.ports] == [30000, 30001]


def test_spread_over_zones_comes_first() -> None:
    cluster = Cluster(
        [node("a1", zone="a"), node("b1", zone="b"), node("b2", zone="b"), node("b3", zone="b")]
    )
    asked = request(spread_over=("node.labels.zone",))
    assert places(cluster.place([asked] * 6)) == ["a1", "b1", "b2", "a1", "b3", "a1"]


def test_binpack_fills_one_node_before_the_next() -> None:
    cluster = Cluster([node("n1"), node("n2", memory=2 * GIB)])
    assert places(cluster.place([request(memory=GIB, cpu=1000)] * 4, BINPACK)) == ["n2", "n2", "n1", "n1"]


def test_a_bestfit_score_is_that_of_the_formula() -> None:
    [decision] = Cluster([node("n1", cpu=1000, memory=1000)]).place([request(cpu=500, memory=250)], BINPACK)
    [verdict] = decision.verdicts
    assert verdict.scores["bestfit"] == pytest.approx(100 * (20 - 10**0.5 - 10**0.75) / 18, abs=0.001)


def test_an_image_that_is_present_draws() -> None:
    cluster = Cluster([node("n1"), node("n2", images=frozenset({"demo"}))])
    assert places(cluster.place([request(image="demo")] * 2)) == ["n2", "n1"]


def test_a_volume_binds_all_its_users_to_its_first_node() -> None:
    cluster = Cluster([node("n1"), node("n2", images=frozenset({"demo"}))])
    asked = request(image="demo", volumes=("data",))
    assert places(cluster.place([asked, request("other", volumes=("data",))])) == ["n2", "n2"]


def test_what_runs_is_counted_even_beyond_capacity() -> None:
    held = Allocation("c", "s", "shop", "db", "n1", cpu=9000, memory=GIB, ports=(Port(80, 8080),))
    elsewhere = Allocation("d", "s", "shop", "db", "unknown", cpu=1, memory=1)
    cluster = Cluster([node("n1")], [held, elsewhere])
    [refused] = cluster.place([request()])
    assert refused.summary == "0 of 1 node fits: 1 lacks cpu (free 0 CPUs, asked 0.1 CPUs)"
    cluster.free("c")
    [placed] = cluster.place([request(ports=(Port(80, 8080),))])
    assert placed.node == "n1"


def test_reserving_twice_counts_once() -> None:
    held = Allocation("c", "s", "shop", "db", "n1", cpu=3000, memory=GIB)
    cluster = Cluster([node("n1")], [held, held])
    assert places(cluster.place([request(cpu=1000), request(cpu=1)])) == ["n1", None]


def test_a_port_held_twice_is_free_only_when_both_are_gone() -> None:
    """An engine allows it for the moment in which an old container still stops."""
    both = [Allocation(name, "s", "a", "w", "n1", 0, 0, ports=(Port(80, 30000),)) for name in ("c", "d")]
    cluster = Cluster([node("n1", port_first=30000, port_last=30001)], both)
    two = request(ports=(Port(80), Port(81)))
    assert places(cluster.place([request(ports=(Port(80),), container="e")])) == ["n1"]
    cluster.free("e")
    cluster.free("c")
    assert places(cluster.place([two])) == [None]
    cluster.free("d")
    assert places(cluster.place([two])) == ["n1"]


def test_the_policies_have_their_names() -> None:
    assert POLICIES == {"spread": SPREAD, "binpack": BINPACK}
