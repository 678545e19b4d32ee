"""What would make a pending request fit: whoever does as one sentence says has it placed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given

from scheduler.model import Constraint, Node, NodeState, Quota, Request, Resource, Want
from scheduler.placement import Cluster
from scheduler.units import need_of_bytes
from tests.scheduler.builders import GIB, node, request
from tests.scheduler.strategies import MANY, QUOTAS, batches, nodes


def remedies(cluster: Cluster, asked: Request) -> tuple[str, ...]:
    [decision] = cluster.place([Want(asked, "s")])
    return cluster.explain(decision).remedies


# -- doing as one is told: the cluster and the request afterwards

Told = Callable[[Cluster, Request, re.Match[str]], tuple[Cluster, Request]]


def named(cluster: Cluster, name: str) -> Node:
    return next(each for each in cluster.nodes if each.name == name)


def node_with(change: Callable[[Node, Request, re.Match[str]], Node]) -> Told:
    def told(cluster: Cluster, asked: Request, words: re.Match[str]) -> tuple[Cluster, Request]:
        cluster.update(change(named(cluster, words["node"]), asked, words))
        return cluster, asked

    return told


def asking(change: Callable[[Request, re.Match[str]], Request]) -> Told:
    return lambda cluster, asked, words: (cluster, change(asked, words))


def without_quota(cluster: Cluster, asked: Request, _words: re.Match[str]) -> tuple[Cluster, Request]:
    everything = [each for one in cluster.nodes for each in cluster.on(one.id)]
    return Cluster(cluster.nodes, everything, cluster.columns.volumes), asked


def with_another(cluster: Cluster, asked: Request, _words: re.Match[str]) -> tuple[Cluster, Request]:
    units = {each.kind: 9 for each in asked.resources}
    new = Node(
        "new", "new", NodeState.READY, asked.cpu, asked.memory, resources=units, images=frozenset("xyz")
    )
    cluster.update(new)
    return cluster, replace(asked, constraints=())


WELL = node_with(lambda each, _asked, _words: replace(each, state=NodeState.READY, cordoned=False))
AMOUNT = {
    "B of memory": "memory",
    "B of disk": "disk",
    "CPU": "cpu",
    "CPUs": "cpu",
    "pids": "pids",
}
ANY_AMOUNT = f"(?P<number>[0-9.]+) (?P<unit>{'|'.join(AMOUNT)})"


def amount(words: re.Match[str]) -> dict[str, int]:
    field = AMOUNT[words["unit"]]
    return {field: round(float(words["number"]) * (1000 if field == "cpu" else 1))}


def freed(each: Node, _asked: Request, words: re.Match[str]) -> Node:
    [(field, number)] = amount(words).items()
    return replace(each, **{field: getattr(each, field) + number})


DOING: dict[str, Told] = {
    r"(Uncordon|End the drain of) (?P<node>\S+)": WELL,
    r"Wait for (?P<node>\S+) to answer again": WELL,
    r"Bring (?P<node>\S+) back": WELL,
    rf"Ask for at most {ANY_AMOUNT}": asking(lambda asked, words: replace(asked, **amount(words))),  # type: ignore[arg-type]
    rf"Free {ANY_AMOUNT} on (?P<node>\S+)": node_with(freed),
    r"Raise the quota of team red, .*": without_quota,
    r"Give (?P<node>\S+) the label (?P<label>\w+)=(?P<value>[^,]*), or drop the constraint": node_with(
        lambda each, _asked, words: replace(each, labels={**each.labels, words["label"]: words["value"]})
    ),
    r"Make \S+ meet .*, or drop the constraint": asking(lambda asked, _words: replace(asked, constraints=())),
    r"Load the image on (?P<node>\S+), .*": node_with(
        lambda each, asked, _words: replace(each, images=each.images | {asked.image})
    ),
    r"Publish another port, .*": asking(lambda asked, _words: replace(asked, ports=())),
    r"Widen the range of ports of (?P<node>\S+)": node_with(
        lambda each, _asked, _words: replace(each, port_last=each.port_last + 9)
    ),
    r"Add a node, or allow more than \d of \w+ on a node": asking(
        lambda asked, _words: replace(asked, max_per_node=0)
    ),
    r"Free what \S+ lacks: .*": asking(lambda asked, _words: replace(asked, resources=())),
    r"Add a node with .*, or declare in the agent's configuration what (?P<node>\S+) has of it": node_with(
        lambda each, asked, _words: replace(each, resources={one.kind: 9 for one in asked.resources})
    ),
    r"Loosen the affinity .*": asking(lambda asked, _words: replace(asked, affinity=())),
    r"Move the volume, .*": asking(lambda asked, _words: replace(asked, volumes=())),
    r"Add a node( that meets .*)? with .* free": with_another,
}
MUTUAL = re.compile(r"Loosen the anti-affinity .*")
"""It may be the other's to loosen."""


def do(sentence: str, cluster: Cluster, asked: Request) -> tuple[Cluster, Request]:
    for pattern, told in DOING.items():
        if words := re.fullmatch(pattern, sentence):
            return told(cluster, asked, words)
    raise AssertionError(f"nobody would know what to do about {sentence!r}")


@pytest.mark.thorough
@MANY
@example(
    cluster=[node("n1", cpu=100)],
    wants=[Want(request(cpu=100), "s1", "c1"), Want(request(cpu=100), "s2", "c2")],
    quotas={},
)
@given(cluster=nodes(), wants=batches(), quotas=QUOTAS)
def test_each_sentence_is_enough(cluster: list[Node], wants: list[Want], quotas: dict[str, Quota]) -> None:
    placer = Cluster(cluster, quotas=quotas)
    decisions = placer.place(wants)
    if decisions and decisions[-1].node is None:
        want = decisions[-1].want
        for sentence in placer.explain(decisions[-1]).remedies:
            if not MUTUAL.fullmatch(sentence):
                changed, asked = do(sentence, placer.copy(), want.request)
                [decision] = changed.place([want._replace(request=asked)])
                assert decision.node is not None, sentence


# -- examples


@pytest.mark.parametrize(
    ("there", "asked", "sentences"),
    [
        (
            [node("w1", memory=GIB), node("w2", memory=GIB * 12 // 10)],
            request(memory=2 * GIB),
            ("Ask for at most 1.1 GiB of memory", "Free 819.3 MiB of memory on w2"),
        ),
        ([node("w1", cpu=1000)], request(cpu=1500), ("Ask for at most 1 CPU", "Free 0.5 CPUs on w1")),
        ([node("w1", pids=5)], request(pids=7), ("Ask for at most 5 pids", "Free 2 pids on w1")),
        (
            [node("w1"), node("w2", labels={"disk": "hdd"})],
            request(constraints=(Constraint("node.labels.disk", True, "ssd"),)),
            ("Give w1 the label disk=ssd, or drop the constraint",),
        ),
        (
            [node("w1")],
            request(constraints=(Constraint("node.id", False, "w1"),)),
            ("Make w1 meet node.id != w1, or drop the constraint",),
        ),
        (
            [node("w1", NodeState.DOWN), node("w2", NodeState.DRAINING), node("w3", cordoned=True)],
            request(),
            ("Uncordon w3", "End the drain of w2", "Bring w1 back"),
        ),
        (
            [node("w1", cpu=1000, memory=GIB)],
            request(cpu=2000, memory=2 * GIB),
            ("Add a node with 2 CPUs and 2 GiB of memory free",),
        ),
        (
            [node("w1", resources={"gpu": 1})],
            request(resources=(Resource("gpu", units=2),)),
            ("Add a node with 2 gpu, or declare in the agent's configuration what w1 has of it",),
        ),
        ([], request(), ("Add a node with 0.1 CPUs and 128 MiB of memory free",)),
    ],
)
def test_the_smallest_change_comes_first(
    there: list[Node], asked: Request, sentences: tuple[str, ...]
) -> None:
    assert remedies(Cluster(there), asked) == sentences


def test_what_is_placed_needs_no_remedy() -> None:
    assert remedies(Cluster([node("w1")]), request()) == ()


def test_what_is_missing_is_rounded_up() -> None:
    assert [need_of_bytes(amount) for amount in (0, 900, 1025, 1536, GIB - 1, GIB + 1, 2 * GIB)] == [
        "0 B", "900 B", "1.1 KiB", "1.5 KiB", "1 GiB", "1.1 GiB", "2 GiB",
    ]  # fmt: skip
