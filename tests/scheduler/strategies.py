"""Small clusters and requests, odd ones included."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

from scheduler.model import (
    Affinity,
    Constraint,
    Node,
    NodeState,
    Port,
    Quota,
    Request,
    Resource,
    Spread,
    Want,
)

MANY = settings(max_examples=60, deadline=None)
"""Without a deadline: a busy machine is no defect."""

NODES = ("n1", "n2", "n3", "n4", "n5")


@st.composite
def nodes(draw: st.DrawFn) -> list[Node]:
    names = draw(st.lists(st.sampled_from(NODES), unique=True))
    return [draw(node(name)) for name in names]


def node(name: str) -> st.SearchStrategy[Node]:
    ready = st.just(NodeState.READY)
    return st.builds(
        Node,
        id=st.just(name),
        name=st.just(f"host-{name}"),
        state=st.one_of(ready, ready, st.sampled_from(NodeState)),
        cpu=st.integers(0, 1000),
        memory=st.integers(0, 1000),
        pids=st.integers(0, 200),
        disk=st.sampled_from([0, 0, 500]),
        resources=st.dictionaries(st.just("gpu"), st.integers(0, 2)),
        cordoned=st.sampled_from([False, False, False, True]),
        labels=st.dictionaries(st.sampled_from(["disk", "rack"]), st.sampled_from(["a", "B"])),
        zone=st.sampled_from(["", "east", "west"]),
        port_first=st.just(30000),
        port_last=st.integers(29999, 30002),
        images=st.frozensets(st.sampled_from(["x", "y"])),
    )


CONSTRAINTS = st.builds(
    Constraint,
    key=st.sampled_from(["node.id", "node.hostname", "node.labels.disk", "node.labels.zone"]),
    equal=st.booleans(),
    value=st.sampled_from(["n1", "host-n2", "a", "b", "east"]),
)

PORTS = st.builds(
    Port,
    container=st.just(80),
    host=st.sampled_from([0, 0, 8080, 30000]),
    protocol=st.sampled_from(["tcp", "tcp", "udp"]),
)

RESOURCES = st.one_of(
    st.builds(Resource, st.sampled_from(["gpu", "gpu", "fpga"]), units=st.integers(1, 2)),
    st.builds(Resource, st.just("gpu"), share=st.sampled_from([300, 500, 1000])),
)

KEYS = st.sampled_from(["node.id", "node.zone", "node.labels.rack"])
SPREADS = st.builds(Spread, KEYS, st.sampled_from([1.0, 1e-3, 0.3]))
AFFINITIES = st.builds(
    Affinity,
    service=st.sampled_from(["web", "db", "*"]),
    over=KEYS,
    anti=st.booleans(),
    required=st.booleans(),
    weight=st.sampled_from([1.0, 30.0]),
)

REQUESTS = st.builds(
    Request,
    app=st.sampled_from(["shop", "blog"]),
    service=st.sampled_from(["web", "db"]),
    cpu=st.integers(0, 400),
    memory=st.integers(0, 400),
    team=st.sampled_from(["", "red"]),
    pids=st.integers(0, 60),
    disk=st.sampled_from([0, 0, 200]),
    resources=st.lists(RESOURCES, max_size=1).map(tuple),
    ports=st.lists(PORTS, max_size=2, unique_by=lambda port: (port.protocol, port.host or object())).map(
        tuple
    ),
    constraints=st.lists(CONSTRAINTS, max_size=1).map(tuple),
    spread=st.lists(SPREADS, max_size=2, unique_by=lambda each: each.key).map(tuple),
    affinity=st.one_of(st.just(()), st.lists(AFFINITIES, max_size=2).map(tuple)),
    max_per_node=st.sampled_from([0, 0, 1, 2]),
    volumes=st.sampled_from([(), (), (), ("data",), ("data", "more")]),
    image=st.sampled_from(["x", "y", "z"]),
    image_local_only=st.sampled_from([False, False, True]),
)

QUOTAS = st.dictionaries(
    st.just("red"),
    st.builds(
        Quota,
        containers=st.none() | st.integers(0, 4),
        cpu=st.none() | st.integers(0, 900),
        memory=st.none() | st.integers(0, 900),
    ),
)


@st.composite
def batches(draw: st.DrawFn) -> list[Want]:
    """Wants of which some share their request, and some say something of nodes."""
    wants: list[Want] = []
    for request in draw(st.lists(REQUESTS, max_size=4)):
        for _replica in range(draw(st.sampled_from([1, 1, 2, 6]))):
            want = Want(request, f"s{len(wants)}", f"c{len(wants)}")
            wants.append(want._replace(**draw(WISHES)))
    return wants


WISHES = st.one_of(
    *[st.just({})] * 6,
    st.fixed_dictionaries({"node": st.sampled_from(NODES)}),
    st.fixed_dictionaries({"prefer": st.sampled_from(NODES)}),
    st.fixed_dictionaries({"avoid": st.sampled_from([("n1",), ("n1", "n2")])}),
)
