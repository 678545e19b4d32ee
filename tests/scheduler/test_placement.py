"""Where containers go: examples. The properties are in test_placement_properties.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scheduler.model import (
    Affinity,
    Allocation,
    Constraint,
    Decision,
    Explanation,
    Grant,
    NodeState,
    Port,
    Quota,
    Request,
    Resource,
    Spread,
    Want,
)
from scheduler.placement import Cluster
from scheduler.scores import BINPACK, POLICIES, SPREAD, Policy
from tests.scheduler.builders import GIB, node, request


def place(cluster: Cluster, requests: Sequence[Request], policy: Policy = SPREAD) -> list[Decision]:
    return cluster.place([Want(each, f"s{number}") for number, each in enumerate(requests)], policy)


def places(cluster: Cluster, requests: Sequence[Request], policy: Policy = SPREAD) -> list[str | None]:
    return [each.node for each in place(cluster, requests, policy)]


def why(cluster: Cluster, asked: Request, policy: Policy = SPREAD) -> Explanation:
    [decision] = place(cluster, [asked], policy)
    return cluster.explain(decision)


def held(name: str, service: str, where: str, app: str = "shop", **more: object) -> Allocation:
    ports = more.pop("ports", ())
    return Allocation(name, "s", where, request(service, app, **{"cpu": 0, "memory": 0, **more}), ports)  # type: ignore[arg-type]


# -- examples


def test_six_replicas_over_three_equal_nodes_end_two_on_each() -> None:
    cluster = Cluster([node("n1"), node("n2"), node("n3")])
    assert places(cluster, [request()] * 6) == ["n1", "n2", "n3", "n1", "n2", "n3"]


def test_spread_counts_the_service_before_the_app_and_the_app_before_the_load() -> None:
    cluster = Cluster([node("n1"), node("n2"), node("n3", cpu=1000)])
    place(cluster, [request("db", constraints=(Constraint("node.id", True, "n1"),))])
    assert places(cluster, [request()] * 3) == ["n2", "n3", "n1"]


def test_the_service_outweighs_any_number_of_others() -> None:
    """n1 has one of this service and is else empty; n2 is full of the same app and of load."""
    cluster = Cluster([node("n1"), node("n2")])
    cluster.reserve(held("c", "web", "n1", "shop"))
    for number in range(60):
        cluster.reserve(held(f"d{number}", "db", "n2", "shop", cpu=60, memory=0))
    assert places(cluster, [request()]) == ["n2"]


def test_the_app_outweighs_image_and_load() -> None:
    full = node("n2", cpu=100)
    cluster = Cluster([node("n1", images=frozenset({"demo"})), full])
    cluster.reserve(held("c", "db", "n1", "shop"))
    assert places(cluster, [request(image="demo")]) == ["n2"]


def test_load_is_that_of_the_scarcer_of_cpu_and_memory() -> None:
    cluster = Cluster([node("n1"), node("n2")])
    cluster.reserve(held("c", "web", "n1", "blog", cpu=3000, memory=0))
    cluster.reserve(held("d", "web", "n2", "blog", cpu=2000, memory=2 * GIB))
    assert places(cluster, [request()]) == ["n2"]


def test_the_first_label_outweighs_the_second() -> None:
    """Rack x has one of the service, rack y two; only disk would prefer y."""
    nodes = [
        node("x1", labels={"rack": "x", "disk": "a"}),
        node("x2", labels={"rack": "x", "disk": "b"}),
        node("y1", labels={"rack": "y", "disk": "c"}),
        node("y2", labels={"rack": "y", "disk": "b"}),
    ]
    there = [held(f"c{i}", "web", "y2", "shop") for i in range(2)]
    cluster = Cluster(nodes, [*there, held("d", "web", "x1", "shop")])
    only = (Constraint("node.id", False, "x1"), Constraint("node.id", False, "y2"))
    asked = request(spread=(Spread("node.labels.rack"), Spread("node.labels.disk", 1e-3)), constraints=only)
    assert places(cluster, [asked]) == ["x2"]


def test_constraints_compare_without_regard_to_case() -> None:
    asked = request(constraints=(Constraint("node.labels.disk", True, "SSD"),))
    assert places(Cluster([node("n1", labels={"disk": "ssd"})]), [asked]) == ["n1"]


def test_a_wanted_port_in_the_range_leaves_one_less_to_give() -> None:
    both = request(ports=(Port(80, 30000), Port(81)))
    refused = why(Cluster([node("n1", port_first=30000, port_last=30000)]), both)
    assert refused.summary == "0 of 1 node fits: 1 has too few ports left in 30000-30000"
    [placed] = place(Cluster([node("n1", port_first=30000, port_last=30001)]), [both])
    assert [port.host for port in placed.ports] == [30000, 30001]


def test_spread_over_zones_comes_first() -> None:
    cluster = Cluster(
        [node("a1", zone="a"), node("b1", zone="b"), node("b2", zone="b"), node("b3", zone="b")]
    )
    asked = request(spread=(Spread("node.labels.zone"),))
    assert places(cluster, [asked] * 6) == ["a1", "b1", "b2", "a1", "b3", "a1"]


def test_binpack_fills_one_node_before_the_next() -> None:
    cluster = Cluster([node("n1"), node("n2", memory=2 * GIB)])
    assert places(cluster, [request(memory=GIB, cpu=1000)] * 4, BINPACK) == ["n2", "n2", "n1", "n1"]


def test_a_bestfit_score_is_that_of_the_formula() -> None:
    [verdict] = why(
        Cluster([node("n1", cpu=1000, memory=1000)]), request(cpu=500, memory=250), BINPACK
    ).verdicts
    assert verdict.scores["bestfit"] == pytest.approx(100 * (20 - 10**0.5 - 10**0.75) / 18, abs=0.15)


def test_an_image_that_is_present_draws() -> None:
    cluster = Cluster([node("n1"), node("n2", images=frozenset({"demo"}))])
    assert places(cluster, [request(image="demo")] * 2) == ["n2", "n1"]


def test_a_volume_binds_all_its_users_to_its_first_node() -> None:
    cluster = Cluster([node("n1"), node("n2", images=frozenset({"demo"}))])
    asked = request(image="demo", volumes=("data",))
    assert places(cluster, [asked, request("other", volumes=("data",))]) == ["n2", "n2"]


def test_what_runs_is_counted_even_beyond_capacity() -> None:
    there = held("c", "db", "n1", "shop", cpu=9000, memory=GIB, ports=(Port(80, 8080),))
    elsewhere = held("d", "db", "unknown", "shop", cpu=1, memory=1)
    cluster = Cluster([node("n1")], [there, elsewhere])
    refused = why(cluster, request())
    assert refused.summary == "0 of 1 node fits: 1 lacks cpu (free 0 CPUs, asked 0.1 CPUs)"
    cluster.free("c")
    [placed] = place(cluster, [request(ports=(Port(80, 8080),))])
    assert placed.node == "n1"


def test_reserving_twice_counts_once() -> None:
    there = held("c", "db", "n1", "shop", cpu=3000, memory=GIB)
    cluster = Cluster([node("n1")], [there, there])
    assert places(cluster, [request(cpu=1000), request(cpu=1)]) == ["n1", None]


def test_a_port_held_twice_is_free_only_when_both_are_gone() -> None:
    """An engine allows it for the moment in which an old container still stops."""
    both = [held(name, "w", "n1", "a", ports=(Port(80, 30000),)) for name in ("c", "d")]
    cluster = Cluster([node("n1", port_first=30000, port_last=30001)], both)
    two = request(ports=(Port(80), Port(81)))
    [third] = cluster.place([Want(request(ports=(Port(80),)), "s", "e")])
    assert third.node == "n1"
    cluster.free("e")
    cluster.free("c")
    assert places(cluster, [two]) == [None]
    cluster.free("d")
    assert places(cluster, [two]) == ["n1"]


def test_the_policies_have_their_names() -> None:
    assert {name: policy.name for name, policy in POLICIES.items()} == {name: name for name in POLICIES}
    assert (POLICIES["spread"], POLICIES["binpack"]) == (SPREAD, BINPACK)


def test_an_anti_affinity_holds_whoever_came_first() -> None:
    nodes = [node("a1", zone="a"), node("a2", zone="a"), node("b1", zone="b")]
    shy = request("web", affinity=(Affinity("db", over="node.zone", anti=True, required=True),))
    here = (Constraint("node.id", True, "a1"),)
    cluster = Cluster(nodes)
    assert places(cluster, [request("db", constraints=here), shy, shy]) == ["a1", "b1", "b1"]
    cluster = Cluster(nodes)
    [first] = place(cluster, [request("web", affinity=shy.affinity, constraints=here)])
    assert first.node == "a1"
    assert places(cluster, [request("db")] * 2) == ["b1", "b1"]
    assert why(cluster, request("db", constraints=here)).summary == (
        "0 of 3 nodes fit: 2 do not meet node.id == a1, 1 has a service that keeps db away (over node.zone)"
    )


def test_an_affinity_follows_and_the_first_of_its_own_kind_goes_anywhere() -> None:
    nodes = [node("n1"), node("n2")]
    close = request("web", affinity=(Affinity("cache", required=True),))
    assert why(Cluster(nodes), close).summary == (
        "0 of 2 nodes fit: 2 have none of cache near (over node.id)"
    )
    cluster = Cluster(nodes, [held("c", "cache", "n2")])
    assert places(cluster, [close] * 2) == ["n2", "n2"]
    together = request("web", affinity=(Affinity("web", required=True),))
    assert places(Cluster(nodes), [together] * 3) == ["n1", "n1", "n1"]


def test_a_preferred_affinity_of_weight_ten_is_worth_one_container() -> None:
    nodes = [node("n1"), node("n2")]
    near = request("web", affinity=(Affinity("cache", weight=30.0),))
    cluster = Cluster(nodes, [held("c", "cache", "n2")])
    assert places(cluster, [near] * 4) == ["n2", "n2", "n2", "n1"]


def test_units_and_shares_are_given_by_number() -> None:
    cluster = Cluster([node("n1", resources={"gpu": 3})])
    half = request(resources=(Resource("gpu", share=500),))
    whole = request("db", resources=(Resource("gpu", units=2),))
    grants = [each.grants for each in place(cluster, [half, half, whole])]
    assert grants == [(Grant("gpu", (0,), 500),), (Grant("gpu", (0,), 500),), (Grant("gpu", (1, 2)),)]
    assert why(cluster, half).summary == (
        "0 of 1 node fits: 1 lacks a share of one gpu (largest free 0, asked 0.5)"
    )
    assert why(cluster, whole).summary == "0 of 1 node fits: 1 lacks gpu (free 0 of 3, asked 2)"
    assert why(cluster, whole).remedies == ("Free what n1 lacks: it lacks gpu (free 0 of 3, asked 2)",)
    strange = why(cluster, request(resources=(Resource("fpga", units=1),)))
    assert strange.summary == "0 of 1 node fits: 1 has no fpga"
    assert strange.remedies == (
        "Add a node with 1 fpga, or declare in the agent's configuration what n1 has of it",
    )


def test_a_quota_is_the_team_s_not_a_node_s() -> None:
    cluster = Cluster([node("n1"), node("n2")], quotas={"red": Quota(containers=2)})
    asked = request(team="red")
    assert places(cluster, [asked] * 3) == ["n1", "n2", None]
    explained = why(cluster, asked)
    assert explained.summary == "0 of 2 nodes fit: the quota of team red has 0 of 2 containers left"
    assert explained.remedies == ("Raise the quota of team red, or scale something of it down",)


def test_what_a_want_says_of_nodes() -> None:
    cluster = Cluster([node("n1"), node("n2"), node("n3")])
    asked = request()
    wants = [
        Want(asked, "s1", node="n2"),
        Want(asked, "s2", prefer="n2"),
        Want(asked, "s3", avoid=("n1", "n3")),
        Want(asked, "s4", node="n9"),
    ]
    decisions = cluster.place(wants)
    assert [each.node for each in decisions] == ["n2", "n2", "n2", None]
    assert cluster.explain(decisions[3]).summary == "0 of 3 nodes fit: 3 are not the node it is for"


def test_remedies_begin_with_the_smallest_change() -> None:
    nodes = [node("w1", memory=GIB), node("w2", memory=GIB // 2), node("w3", cordoned=True)]
    assert why(Cluster(nodes), request(memory=2 * GIB)).remedies == (
        "Uncordon w3",
        "Ask for at most 1 GiB of memory",
        "Free 1 GiB of memory on w1",
    )


def test_a_container_is_placed_once() -> None:
    cluster = Cluster([node("n1")])
    cluster.place([Want(request(), "s", "c")])
    with pytest.raises(ValueError, match="placed already"):
        cluster.place([Want(request(), "s", "c")])


def test_a_node_that_comes_and_goes() -> None:
    cluster = Cluster([node("n2")], [held("c", "web", "n2", cpu=4000)])
    assert places(cluster, [request()]) == [None]
    cluster.update(node("n1"))
    assert places(cluster, [request()]) == ["n1"]
    cluster.update(node("n2", cpu=8000))
    assert places(cluster, [request("db", cpu=3950)]) == ["n2"]
    cluster.update(node("n1", NodeState.DRAINING))
    cluster.drop("n2")
    assert places(cluster, [request()]) == [None]
    assert cluster.get("c") is None


def test_who_is_eligible_does_not_depend_on_amounts() -> None:
    nodes = [node("n1", cpu=250), node("n2", cpu=100), node("n3", NodeState.DOWN)]
    cluster = Cluster(nodes)
    assert cluster.eligible(request(cpu=9000)) == ("n1", "n2")
