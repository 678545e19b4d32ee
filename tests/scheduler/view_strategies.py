"""Any app at all: services, slots and containers in every state, on a small cluster."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from scheduler.lifecycle import State
from scheduler.model import (
    ContainerView,
    Dependency,
    Mode,
    Node,
    NodeState,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
    Update,
)
from tests.scheduler.builders import request
from tests.scheduler.strategies import NODES
from tests.scheduler.world import World

TIMES = st.sampled_from([900.0, 965.0, 970.0, 998.0, 999.5, 1000.0])
"""Around the limits of a world that stands at 1000."""

PLACES = NODES[:3]
NAMES = ("web", "db", "job")

HEALTH = [
    ("none", None),
    ("none", None),
    ("starting", None),
    ("healthy", None),
    ("healthy", None),
    ("unhealthy", 970.0),
    ("unhealthy", 998.0),
]
REMAINS = [(False, False), (True, False), (False, True)]
STATES = st.sampled_from([*State, State.RUNNING, State.RUNNING, State.RUNNING])
NODE_STATES = st.sampled_from([*NodeState, NodeState.READY, NodeState.READY, NodeState.READY])
DIGESTS = st.sampled_from(["new", "old"])

UPDATES = st.builds(
    Update,
    parallelism=st.sampled_from([0, 1, 1, 2]),
    delay=st.sampled_from([0.0, 0.0, 20.0]),
    start_first=st.booleans(),
    max_failure_ratio=st.sampled_from([0.0, 0.0, 0.5]),
    failure_action=st.sampled_from(["pause", "continue", "rollback"]),
)
DEPENDENCIES = st.builds(
    Dependency,
    service=st.sampled_from([*NAMES, "gone"]),
    condition=st.sampled_from(["started", "healthy", "completed"]),
    restart=st.booleans(),
    required=st.booleans(),
)


@st.composite
def containers(draw: st.DrawFn, slot: str, generation: int) -> ContainerView:
    """One in any state, with what goes with it."""
    state = draw(STATES)
    health, unhealthy_since = draw(st.sampled_from(HEALTH))
    one = ContainerView(
        id=f"{slot}-g{generation}",
        slot=slot,
        generation=generation,
        state=state,
        digest=draw(DIGESTS),
        node=None if state is State.PENDING else draw(st.sampled_from(PLACES)),
        health=health,
        healthy_since=990.0 if health == "healthy" else None,
        unhealthy_since=unhealthy_since,
        stopped=state is State.STOPPING,
        move_to=draw(st.sampled_from(["", "", "", *PLACES])),
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
    node = draw(st.sampled_from(["", *PLACES]))
    return SlotView(name, owner, index, newest, there, failures, not_before, node)


@st.composite
def services(draw: st.DrawFn, name: str) -> ServiceView:
    mode = draw(st.sampled_from([*Mode, Mode.REPLICATED, Mode.REPLICATED]))
    return ServiceView(
        name,
        replicas=draw(st.integers(0, 3)),
        digest="new",
        request=request(name, cpu=100, memory=100),
        mode=mode,
        restart=draw(st.sampled_from(["on-failure", "none"] if mode.job else ["any", "on-failure", "none"])),
        has_healthcheck=draw(st.booleans()),
        update=draw(UPDATES),
        depends_on=tuple(draw(st.lists(DEPENDENCIES, max_size=2, unique_by=lambda each: each.service))),
        bound=draw(st.sampled_from([False, False, True])),
        exclusive=draw(st.sampled_from([False, False, True])),
        restart_epoch=draw(st.sampled_from([0.0, 0.0, 999.0])),
    )


ROLLOUTS = st.builds(
    RolloutView,
    id=st.just("r"),
    state=st.sampled_from([*RolloutState, RolloutState.RUNNING, RolloutState.RUNNING]),
    started_at=st.sampled_from([0.0, 970.0, 1000.0]),
    deadline=st.sampled_from([1000.0, 1100.0, 1100.0]),
    rollback=st.booleans(),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any app at all, at time 1000, on a cluster that may have room for it or not."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    wanted = {name: draw(services(name)) for name in names}
    owners = st.sampled_from([*names, *names, "gone"])
    places = draw(st.lists(st.tuples(owners, st.integers(1, 4)), unique=True, max_size=6))
    there = [draw(slots(owner, index)) for owner, index in places]
    room = draw(st.sampled_from([0, 200, 1000, 1000]))
    cordoned = st.sampled_from([False, False, False, True])
    cluster = {
        name: Node(name, name, draw(NODE_STATES), cpu=room, memory=room, cordoned=draw(cordoned))
        for name in PLACES
    }
    world = World(cluster, wanted, slots={slot.id: slot for slot in there})
    world.rollout = draw(st.none() | ROLLOUTS)
    if draw(st.booleans()) and world.rollout is not None:
        world.good, world.rollout = "old", replace(world.rollout, can_roll_back=True)
    return world
