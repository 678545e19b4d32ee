"""A cloud under random orders, reports and losses: never too much on the way, as wanted in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scheduler.lifecycle import State
from scheduler.model import NodeState, RolloutState
from scheduler.slots import done
from tests.scheduler.builders import node, request, service
from tests.scheduler.world import World

NODES = ("n1", "n2", "n3")
CAPACITY = 4
"""Containers that a node has room for."""


def cloud() -> World:
    nodes = {name: node(name, cpu=CAPACITY * 100) for name in NODES}
    services = [
        service("web", 3),
        service("job", 1, restart="on-failure", has_healthcheck=True),
        replace(service("db", 1, bound=True), request=request("db", slot="", volumes=("data",))),
    ]
    return World(nodes, {each.name: each for each in services})


class Cloud(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = cloud()
        self.generations: dict[str, int] = {}

    # -- the controller and time

    @rule()
    def step(self) -> None:
        self.world.step()

    @rule(seconds=st.sampled_from([1.0, 3.0, 31.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.now += seconds

    # -- users

    @rule(digest=st.sampled_from(["a", "b", "c"]), patience=st.sampled_from([5.0, 120.0]))
    def deploy(self, digest: str, patience: float) -> None:
        self.world.deploy(digest, patience)

    @rule(replicas=st.integers(0, 5))
    def scale_web(self, replicas: int) -> None:
        self.world.scale("web", replicas)

    @rule(name=st.sampled_from(["web", "job", "db"]))
    def restart(self, name: str) -> None:
        self.world.restart(name)

    # -- nodes and containers

    @rule(name=st.sampled_from(NODES), state=st.sampled_from(NodeState))
    def change_node(self, name: str, state: NodeState) -> None:
        self.world.set_node(name, state)

    @precondition(lambda self: self.world.reachable())
    @rule(data=st.data())
    def advance_one(self, data: st.DataObject) -> None:
        self.world.advance(data.draw(st.sampled_from(self.world.reachable())).id)

    @rule()
    def advance_all(self) -> None:
        self.world.advance_all()

    @precondition(lambda self: self.world.reachable())
    @rule(data=st.data(), fatal=st.booleans())
    def crash(self, data: st.DataObject, fatal: bool) -> None:
        self.world.crash(data.draw(st.sampled_from(self.world.reachable())).id, fatal=fatal)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), health=st.sampled_from(["healthy", "unhealthy"]), restarts=st.integers(0, 6))
    def report(self, data: st.DataObject, health: str, restarts: int) -> None:
        one = data.draw(st.sampled_from(self.running()))
        since = self.world.now if health == "unhealthy" else None
        self.world.change(one, health=health, unhealthy_since=since, restarts=restarts)

    def running(self) -> list[str]:
        return [each.id for each in self.world.reachable() if each.state is State.RUNNING]

    # -- always

    @invariant()
    def no_node_holds_more_than_it_can(self) -> None:
        there = Counter(each.node for each in self.world.live())
        assert all(number <= CAPACITY for number in there.values())

    @invariant()
    def a_slot_has_one_container_that_is_not_on_its_way_out(self) -> None:
        staying = Counter(each.slot for each in self.world.live() if each.state is not State.STOPPING)
        assert all(number == 1 for number in staying.values())

    @invariant()
    def what_is_bound_is_never_doubled_nor_moved(self) -> None:
        assert len(self.world.live("db")) <= 1
        homes = {each.node for each in self.world.containers() if each.slot == "db.1"}
        assert len(homes) <= 1

    @invariant()
    def generations_only_grow(self) -> None:
        for slot in self.world.slots.values():
            numbers = [each.generation for each in slot.containers]
            assert numbers == sorted(set(numbers), reverse=True)
            assert slot.generation == (numbers[0] if numbers else 0)

    # -- in the end

    def teardown(self) -> None:
        world = self.world
        for name in NODES:
            world.set_node(name, NodeState.READY)
        for each in world.live():
            world.change(each.id, restarts=0, unhealthy_since=None)
        world.deploy("final", patience=600.0)
        for _ in range(80):
            world.step()
            world.advance_all()
            for name in self.running():
                world.change(name, health="healthy")
            world.now += 5.0
        plan = world.plan()
        assert plan.empty
        assert world.rollout is not None
        assert world.rollout.state is RolloutState.SUCCEEDED
        for name, wanted in world.services.items():
            slots = [each for each in world.slots.values() if each.service == name]
            assert sorted(each.index for each in slots) == list(range(1, wanted.replicas + 1))
            for slot in slots:
                assert slot.current is not None
                assert slot.current.digest == "final"
                assert slot.current.state is State.RUNNING or done(wanted, slot.current)
                assert all(each.removed for each in slot.containers[1:])


TestCloud = Cloud.TestCase
TestCloud.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
