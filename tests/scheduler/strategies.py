"""Small clusters, requests and apps, odd ones included."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st

from scheduler.lifecycle import State
from scheduler.model import (
    Constraint,
    ContainerView,
    Node,
    NodeState,
    Port,
    Request,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
)
from tests.scheduler.builders import request
from tests.scheduler.world import World

MANY = settings(max_examples=60, deadline=None)
"""Without a deadline: a busy machine is no defect."""

NODES = ("n1", "n2", "n3", "n4", "n5")
TIMES = st.sampled_from([900.0, 965.0, 970.0, 998.0, 999.5, 1000.0])
"""Around the limits of a world that stands at 1000."""


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

REQUESTS = st.builds(
    Request,
    slot=st.just("s"),
    app=st.sampled_from(["shop", "blog"]),
    service=st.sampled_from(["web", "db"]),
    cpu=st.integers(0, 400),
    memory=st.integers(0, 400),
    pids=st.integers(0, 60),
    ports=st.lists(PORTS, max_size=2, unique_by=lambda port: (port.protocol, port.host or object())).map(
        tuple
    ),
    constraints=st.lists(CONSTRAINTS, max_size=1).map(tuple),
    spread_over=st.sampled_from([(), (), ("node.labels.zone",), ("node.labels.rack", "node.labels.disk")]),
    max_per_node=st.sampled_from([0, 0, 1, 2]),
    volumes=st.sampled_from([(), (), ("data",), ("data", "more")]),
    image=st.sampled_from(["x", "y", "z"]),
    image_local_only=st.sampled_from([False, False, True]),
)


HEALTH = [
    ("none", None),
    ("none", None),
    ("starting", None),
    ("healthy", None),
    ("unhealthy", 970.0),
    ("unhealthy", 998.0),
]
REMAINS = [(False, False), (True, False), (False, True)]


@st.composite
def containers(draw: st.DrawFn, slot: str, generation: int) -> ContainerView:
    """One in any state, with what goes with it."""
    state = draw(st.sampled_from(State))
    health, unhealthy_since = draw(st.sampled_from(HEALTH))
    one = ContainerView(
        id=f"{slot}-g{generation}",
        slot=slot,
        generation=generation,
        state=state,
        digest=draw(st.sampled_from(["new", "old"])),
        node=None if state is State.PENDING else draw(st.sampled_from(NODES[:3])),
        health=health,
        unhealthy_since=unhealthy_since,
        stopped=state is State.STOPPING,
    )
    if state is State.RUNNING:
        return replace(one, running_since=draw(TIMES), restarts=draw(st.sampled_from([0, 0, 4, 5])))
    if not state.ended:
        return one
    removing, removed = draw(st.sampled_from(REMAINS))
    return replace(
        one,
        running_since=draw(st.none() | TIMES),
        ended_at=draw(TIMES),
        exit_code=draw(st.sampled_from([None, 0, 1])),
        fatal=state is State.FAILED and draw(st.booleans()),
        stopped=state is State.EXITED and draw(st.booleans()),
        removing=removing,
        removed=removed,
    )


@st.composite
def slots(draw: st.DrawFn, owner: str, index: int) -> SlotView:
    name = f"{owner}.{index}"
    newest = draw(st.sampled_from([0, 1, 1, 2, 3]))
    failures, not_before = draw(st.sampled_from([(0, 0.0), (1, 1000.0), (2, 1010.0), (4, 1010.0)]))
    there = tuple(draw(containers(name, generation)) for generation in range(newest, 0, -1))
    return SlotView(name, owner, index, newest, there, failures, not_before)


@st.composite
def services(draw: st.DrawFn, name: str) -> ServiceView:
    return ServiceView(
        name,
        replicas=draw(st.integers(0, 3)),
        digest="new",
        request=request(name, slot="", cpu=100, memory=100),
        restart=draw(st.sampled_from(["any", "on-failure", "none"])),
        has_healthcheck=draw(st.booleans()),
        bound=draw(st.booleans()),
        restart_epoch=draw(st.sampled_from([0.0, 0.0, 999.0])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any app at all, at time 1000, on a cluster that may have room for it or not."""
    names = draw(st.lists(st.sampled_from(["web", "db"]), unique=True))
    wanted = {name: draw(services(name)) for name in names}
    places = draw(st.lists(st.tuples(st.sampled_from(["web", "db", "gone"]), st.integers(1, 4)), unique=True))
    there = [draw(slots(owner, index)) for owner, index in places]
    room = draw(st.sampled_from([0, 200, 1000]))
    cluster = {
        name: Node(name, name, draw(st.sampled_from(NodeState)), cpu=room, memory=room) for name in NODES[:3]
    }
    world = World(cluster, wanted, slots={slot.id: slot for slot in there})
    world.rollout = draw(st.none() | ROLLOUTS)
    return world


ROLLOUTS = st.builds(
    RolloutView,
    id=st.just("r"),
    state=st.sampled_from(RolloutState),
    started_at=st.sampled_from([0.0, 970.0, 1000.0]),
    deadline=st.sampled_from([1000.0, 1100.0]),
)
