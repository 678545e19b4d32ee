"""A cloud under random orders, reports and losses: never too much on the way, as wanted in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scheduler.lifecycle import State
from scheduler.model import Dependency, Mode, NodeState, RolloutState, Update
from scheduler.slots import staying
from tests.scheduler.builders import node, request
from tests.scheduler.views import service
from tests.scheduler.world import World

pytestmark = pytest.mark.thorough

NODES = ("n1", "n2", "n3")
CAPACITY = 8
"""Containers that a node has room for."""
NAMES = ("web", "api", "job", "db", "watch", "init")
ACTIONS = st.sampled_from(["pause", "continue", "rollback"])


def cloud() -> World:
    nodes = {name: node(name, cpu=CAPACITY * 100) for name in NODES}
    services = [
        service("web", 3, depends_on=(Dependency("db", restart=True), Dependency("init", "completed"))),
        service("api", 2, update=Update(parallelism=1, delay=3.0, start_first=True)),
        service("job", 1, restart="on-failure", has_healthcheck=True),
        replace(service("db", 1, bound=True), request=request("db", volumes=("data",))),
        service("watch", 1, mode=Mode.GLOBAL, update=Update(parallelism=2)),
        service("init", 1, mode=Mode.REPLICATED_JOB, restart="on-failure"),
    ]
    return World(nodes, {each.name: each for each in services})


class Cloud(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = cloud()

    # -- the controller and time

    @rule()
    def step(self) -> None:
        before = {name: self.overlaps(name) for name in NAMES}
        self.world.step()
        for name in NAMES:
            most = self.world.services[name].update.parallelism
            assert self.overlaps(name) <= max(before[name], most)

    @rule(seconds=st.sampled_from([1.0, 3.0, 31.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(frozen=st.booleans())
    def freeze(self, frozen: bool) -> None:
        self.world.frozen = frozen

    # -- users

    @rule(digest=st.sampled_from(["a", "b", "c"]), patience=st.sampled_from([5.0, 120.0]))
    def deploy(self, digest: str, patience: float) -> None:
        self.world.deploy(digest, patience)

    @rule(replicas=st.integers(0, 4), name=st.sampled_from(["web", "api", "watch"]))
    def scale(self, name: str, replicas: int) -> None:
        self.world.scale(name, replicas)

    @rule(name=st.sampled_from(NAMES))
    def restart(self, name: str) -> None:
        self.world.restart(name)

    @rule(name=st.sampled_from(["web", "api"]), start_first=st.booleans(), action=ACTIONS)
    def configure(self, name: str, start_first: bool, action: str) -> None:
        self.world.update(name, start_first=start_first, failure_action=action)

    @rule()
    def pause_or_resume(self) -> None:
        rollout = self.world.rollout
        if rollout is not None and rollout.state is RolloutState.PAUSED:
            self.world.resume()
        else:
            self.world.pause()

    # -- nodes and containers

    @rule(name=st.sampled_from(NODES), state=st.sampled_from(NodeState), cordoned=st.booleans())
    def change_node(self, name: str, state: NodeState, cordoned: bool) -> None:
        self.world.set_node(name, state, cordoned=cordoned)

    @precondition(lambda self: self.world.reachable())
    @rule(data=st.data(), where=st.sampled_from(NODES))
    def move(self, data: st.DataObject, where: str) -> None:
        self.world.change(data.draw(st.sampled_from(self.world.reachable())).id, move_to=where)

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
        self.world.judge(one, health)
        self.world.change(one, restarts=restarts)

    def running(self) -> list[str]:
        return [each.id for each in self.world.reachable() if each.state is State.RUNNING]

    def overlaps(self, name: str) -> int:
        """Slots with more than one container that is to stay."""
        staying_there = Counter(each.slot for each in self.world.live(name) if staying(each))
        return sum(number > 1 for number in staying_there.values())

    # -- always

    @invariant()
    def no_node_holds_more_than_it_can(self) -> None:
        there = Counter(each.node for each in self.world.live())
        assert all(number <= CAPACITY for number in there.values())

    @invariant()
    def a_slot_has_no_more_than_an_old_and_a_new_one(self) -> None:
        there = Counter(each.slot for each in self.world.live() if staying(each))
        assert all(number <= 2 for number in there.values())
        assert all(there[slot] <= 1 for slot in ("db.1", "init.1", "watch.1"))

    @invariant()
    def what_is_bound_is_never_doubled_nor_moved(self) -> None:
        assert len(self.world.live("db")) <= 1
        homes = {each.node for each in self.world.containers() if each.slot == "db.1"}
        assert len(homes) <= 1

    @invariant()
    def what_is_everywhere_stays_on_its_node(self) -> None:
        for each in self.world.live("watch"):
            assert each.node == self.world.slots[each.slot].node

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
        world.frozen = False
        world.resume()
        for each in world.live():
            world.change(each.id, restarts=0)
        self.all_goes_well(100)
        assert world.rollout is None or world.rollout.state is not RolloutState.RUNNING
        world.deploy("final", patience=600.0)
        self.all_goes_well(100)
        assert world.plan().empty
        assert world.rollout is not None
        assert world.rollout.state is RolloutState.SUCCEEDED
        for name in NAMES:
            self.assert_is_as_wanted(name)

    def all_goes_well(self, rounds: int) -> None:
        for _ in range(rounds):
            self.step()
            self.world.advance_all()
            for name in self.running():
                if name.startswith("init"):
                    self.world.finish(name)
                else:
                    self.world.judge(name, "healthy")
            self.world.now += 5.0

    def assert_is_as_wanted(self, name: str) -> None:
        wanted = self.world.services[name]
        slots = [each for each in self.world.slots.values() if each.service == name]
        if wanted.mode is Mode.GLOBAL:
            assert sorted(each.node for each in slots) == (sorted(NODES) if wanted.replicas else [])
        else:
            assert sorted(each.index for each in slots) == list(range(1, wanted.replicas + 1))
        end = State.EXITED if name == "init" else State.RUNNING
        for slot in slots:
            assert slot.current is not None
            assert (slot.current.digest, slot.current.state) == ("final", end)
            assert all(each.removed for each in slot.containers[1:])


TestCloud = Cloud.TestCase
TestCloud.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
