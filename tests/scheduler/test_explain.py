"""The sentences that people read."""

from __future__ import annotations

import pytest

from scheduler.model import Constraint, Explanation, Node, NodeState, Port, Request, Want
from scheduler.placement import Cluster
from scheduler.units import of_bytes, of_cpu
from tests.scheduler.builders import GIB, node, request


def explained(cluster: Cluster, *requests: Request) -> list[Explanation]:
    decisions = cluster.place([Want(each, f"s{number}") for number, each in enumerate(requests)])
    return [cluster.explain(decision) for decision in decisions]


def summary(nodes: list[Node], asked: Request, cluster: Cluster | None = None) -> str:
    [explanation] = explained(cluster or Cluster(nodes), asked)
    return explanation.summary


def test_a_pending_request_says_what_each_node_lacks() -> None:
    nodes = [
        node("w1", memory=GIB),
        node("w2", memory=GIB * 12 // 10),
        node("w3", memory=GIB // 2),
        node("w4", NodeState.DRAINING),
        node("w5"),
    ]
    cluster = Cluster(nodes)
    holder = request("edge", ports=(Port(80, 8080),), constraints=(Constraint("node.id", True, "w5"),))
    explained(cluster, holder)
    text = summary(nodes, request(memory=2 * GIB, ports=(Port(80, 8080),)), cluster)
    assert text == (
        "0 of 5 nodes fit: 3 lack memory (largest free 1.1 GiB, asked 2 GiB), "
        "1 is draining, 1 has port 8080 taken"
    )


def test_verbs_follow_the_number() -> None:
    nodes = [node("a", NodeState.DOWN), node("b", NodeState.DOWN), node("c", cordoned=True)]
    assert summary(nodes, request()) == "0 of 3 nodes fit: 2 are down, 1 is cordoned"


def test_one_node_that_lacks_says_what_is_free() -> None:
    assert summary([node("a", cpu=1000)], request(cpu=2500)) == (
        "0 of 1 node fits: 1 lacks cpu (free 1 CPU, asked 2.5 CPUs)"
    )


def test_no_nodes_at_all() -> None:
    assert summary([], request()) == "There is no node yet"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            request(constraints=(Constraint("node.labels.disk", True, "ssd"),)),
            "does not meet node.labels.disk == ssd",
        ),
        (
            request(volumes=("data",)),
            "does not hold volume data (it is on a node that is gone)",
        ),
        (
            request(image="sha256:0123456789abcdef", image_local_only=True),
            "does not have image sha256:0123456789ab, which is in no registry",
        ),
        (request(ports=(Port(80), Port(81))), "has too few ports left in 30000-30000"),
        (request(pids=200), "lacks pids (free 100, asked 200)"),
    ],
)
def test_each_refusal_says_why(asked: Request, sentence: str) -> None:
    nodes = [node("a", pids=100, port_first=30000, port_last=30000)]
    [explanation] = explained(Cluster(nodes, volumes={"data": "gone"}), asked)
    refusal = explanation.verdicts[0].refusal
    assert refusal is not None
    assert refusal.reason == sentence


def test_the_limit_per_node_says_how_many_are_there() -> None:
    first, second = explained(Cluster([node("a")]), *[request(max_per_node=1)] * 2)
    assert (first.node, second.node) == ("a", None)
    assert second.summary == "0 of 1 node fits: 1 has 1 of web already (at most 1 on a node)"


def test_a_placed_one_says_what_spoke_for_its_node() -> None:
    nodes = [node("worker-1", images=frozenset({"demo"})), node("worker-2"), node("worker-3", memory=1)]
    first, second = explained(Cluster(nodes), *[request(image="demo")] * 2)
    assert first.summary == (
        "worker-1: fewest replicas of web (0); fewest containers of its app (0); has the image; "
        "most room left; 2 of 3 nodes fit"
    )
    assert second.summary == (
        "worker-2: fewest replicas of web (0); fewest containers of its app (0); most room left; "
        "2 of 3 nodes fit"
    )


def test_the_only_one_that_fits() -> None:
    assert summary([node("a"), node("b", memory=1)], request()) == "a: the only one of 2 nodes that fits"
    assert summary([node("a")], request()) == "a: the only node"


def test_amounts_are_rounded_down() -> None:
    assert [of_bytes(n) for n in (0, 900, 1536, 2 * GIB - 1, 2 * GIB)] == [
        "0 B", "900 B", "1.5 KiB", "1.9 GiB", "2 GiB",
    ]  # fmt: skip
    assert [of_cpu(n) for n in (0, 250, 1000, 1500)] == ["0 CPUs", "0.25 CPUs", "1 CPU", "1.5 CPUs"]


def test_nodes_off_the_overlay_are_passed_over_and_say_why() -> None:
    why = "is not on the overlay: its engine has live-restore, which swarm mode refuses"
    nodes = [node("w1", off_overlay=why), node("w2", off_overlay=why), node("w3", NodeState.DOWN)]
    cluster = Cluster(nodes)
    [explanation] = explained(cluster, request())
    assert explanation.summary == (
        "0 of 3 nodes fit: 2 are not on the overlay: its engine has live-restore, which swarm mode refuses, "
        "1 is down"
    )
    assert f"Bring w1 onto the overlay (it {why})" in explanation.remedies
    cluster.update(node("w2"))
    [explanation] = explained(cluster, request())
    assert explanation.node == "w2"


def test_nodes_whose_agents_know_no_secrets_get_none_and_say_why() -> None:
    why = "has an agent that is too old for secrets"
    cluster = Cluster([node("w1", off_secrets=why), node("w2", off_secrets=why)])
    [explanation] = explained(cluster, request())
    assert explanation.node == "w1"
    [explanation] = explained(cluster, request(secrets=True))
    assert explanation.summary == "0 of 2 nodes fit: 2 have an agent that is too old for secrets"
    assert f"Update the agent of w1 (it {why})" in explanation.remedies
    cluster.update(node("w2"))
    [explanation] = explained(cluster.copy(), request(secrets=True))
    assert explanation.node == "w2"
