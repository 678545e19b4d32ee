"""A whole cloud in memory: what the controller keeps, and nodes that do as they are told. It applies plans
as the controller does, every move of a state through the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from scheduler.backoff import backoff
from scheduler.lifecycle import Actor, State, move
from scheduler.model import (
    Allocation,
    AppView,
    ContainerView,
    Decision,
    NewSlot,
    Node,
    NodeState,
    Placement,
    Plan,
    Rehearsed,
    RolloutState,
    RolloutView,
    ServiceView,
    SlotView,
    StopContainer,
    Want,
)
from scheduler.placement import Cluster
from scheduler.rehearsal import Stage, plan_with


@dataclass
class World:
    nodes: dict[str, Node]
    services: dict[str, ServiceView]
    now: float = 1000.0
    slots: dict[str, SlotView] = field(default_factory=dict)
    held: dict[str, Allocation] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    rollout: RolloutView | None = None
    good: str = ""
    """Digest of the last rollout that succeeded."""
    frozen: bool = False
    waiting: set[str] = field(default_factory=set)
    """Slots whose next generation found no node when last looked at."""
    absent: set[str] = field(default_factory=set)
    """Nodes that do not have the wanted images yet."""
    refused: str = ""
    """Why no image can be had by those nodes; empty: they will have it."""

    # -- what the controller loads

    def view(self) -> AppView:
        states = {each.id: each.state for each in self.nodes.values()}
        cordoned = frozenset(each.id for each in self.nodes.values() if each.cordoned)
        return AppView(
            "shop",
            tuple(replace(each, eligible=self.eligible(each)) for each in self.services.values()),
            tuple(
                replace(each, containers=_seen(each), waiting=each.id in self.waiting)
                for each in self.slots.values()
            ),
            self.rollout,
            states,
            cordoned,
            self.frozen,
        )

    def eligible(self, service: ServiceView) -> tuple[str, ...]:
        if not service.mode.everywhere:
            return ()
        return Cluster(self.nodes.values(), (), self.volumes).eligible(service.request)

    def containers(self) -> list[ContainerView]:
        return [each for slot in self.slots.values() for each in slot.containers]

    def live(self, service: str | None = None) -> list[ContainerView]:
        return [
            each
            for slot in self.slots.values()
            if service in (None, slot.service)
            for each in slot.containers
            if each.state.live
        ]

    def cluster(self) -> Cluster:
        held = [self.held[each.id] for each in self.live() if each.id in self.held]
        return Cluster(self.nodes.values(), held, self.volumes)

    # -- what the controller does

    def plan(self) -> Plan:
        stage = Stage(self.cluster())
        return plan_with(self.view(), self.now, lambda slot, placement: self._rehearse(stage, placement))

    def _rehearse(self, stage: Stage, placement: Placement) -> Rehearsed:
        want = self._want(placement)
        decision = stage.take_place(want, placement.leaves)
        if decision.node is not None and decision.node not in self.absent:
            return Rehearsed(decision.node)
        stage.take_back(want)
        self.waiting.add(want.slot)
        return Rehearsed(failure=self.refused) if decision.node is not None else Rehearsed()

    def step(self) -> Plan:
        plan = self.plan()
        self.apply(plan)
        return plan

    def apply(self, plan: Plan) -> list[Decision]:
        for stop in plan.stop:
            self._stop(stop)
        for gone in plan.remove:
            self.change(gone, removing=True)
        for new in plan.create:
            self._create(new)
        decisions = self._place(plan.place)
        for retired in plan.retire:
            del self.slots[retired]
        if plan.rollout is not None and self.rollout is not None:
            self._end(self.rollout, plan.rollout.state)
        return decisions

    def _end(self, rollout: RolloutView, state: RolloutState) -> None:
        self.rollout = replace(rollout, state=state)
        if state is RolloutState.SUCCEEDED and len({each.digest for each in self.services.values()}) == 1:
            self.good = next(iter(self.services.values())).digest
        if state is RolloutState.ROLLED_BACK:
            assert rollout.can_roll_back
            self.deploy(self.good, rollback=True)

    def _stop(self, stop: StopContainer) -> None:
        current = self.find(stop.container)
        target = State.EXITED if current.state is State.PENDING else State.STOPPING
        self.change(current.id, state=move(current.state, target, Actor.CONTROLLER), stopped=True)
        if stop.failure:
            self._fail(current.slot)

    def _fail(self, slot: str) -> None:
        failures = self.slots[slot].failures + 1
        self.slots[slot] = replace(
            self.slots[slot], failures=failures, not_before=self.now + backoff(failures)
        )

    def _create(self, new: NewSlot) -> None:
        name = f"{new.service}.{new.index}"
        assert name not in self.slots
        self.slots[name] = SlotView(name, new.service, new.index, 0, node=new.node)

    def _place(self, placements: Iterable[Placement]) -> list[Decision]:
        placements = list(placements)
        decisions = self.cluster().place([self._want(each) for each in placements])
        for placement, decision in zip(placements, decisions, strict=True):
            if decision.node is not None:
                self.waiting.discard(decision.want.slot)
                self._fill(placement, decision, decision.node)
            else:
                self.waiting.add(decision.want.slot)
        return decisions

    def _want(self, placement: Placement) -> Want:
        slot = self.slots[f"{placement.service}.{placement.index}"]
        name = f"{slot.id}-g{slot.generation + 1}"
        return Want(placement.request, slot.id, name, placement.node, placement.prefer, placement.avoid)

    def _fill(self, placement: Placement, decision: Decision, node: str) -> None:
        want = decision.want
        if placement.replaces:
            lost = self.find(placement.replaces)
            self.change(lost.id, state=move(lost.state, State.LOST, Actor.CONTROLLER), ended_at=self.now)
        slot = self.slots[want.slot]
        fresh = ContainerView(
            want.container, slot.id, slot.generation + 1, State.ASSIGNED, placement.digest, node
        )
        afresh = slot.current is None or slot.current.digest != placement.digest
        self.slots[slot.id] = replace(
            slot,
            generation=fresh.generation,
            containers=(fresh, *slot.containers),
            failures=0 if afresh else slot.failures,
        )
        self.held[fresh.id] = Allocation(
            fresh.id, slot.id, node, placement.request, decision.ports, decision.grants
        )
        self.volumes.update(dict.fromkeys(placement.request.volumes, node))

    # -- what users do

    def deploy(self, digest: str, patience: float = 120.0, *, rollback: bool = False) -> None:
        self.services = {name: replace(each, digest=digest) for name, each in self.services.items()}
        self.slots = {name: replace(each, failures=0, not_before=0.0) for name, each in self.slots.items()}
        self.rollout = RolloutView(
            digest,
            RolloutState.RUNNING,
            self.now,
            self.now + patience,
            rollback,
            can_roll_back=self.good not in ("", digest),
        )

    def pause(self) -> None:
        if self.rollout is not None and self.rollout.state is RolloutState.RUNNING:
            self.rollout = replace(self.rollout, state=RolloutState.PAUSED)

    def resume(self) -> None:
        if self.rollout is not None and self.rollout.state is RolloutState.PAUSED:
            self.rollout = replace(
                self.rollout, state=RolloutState.RUNNING, deadline=max(self.rollout.deadline, self.now + 60.0)
            )

    def update(self, service: str, **values: object) -> None:
        config = replace(self.services[service].update, **values)  # type: ignore[arg-type]
        self.services[service] = replace(self.services[service], update=config)

    def scale(self, service: str, replicas: int) -> None:
        self.services[service] = replace(self.services[service], replicas=replicas)

    def restart(self, service: str) -> None:
        self.services[service] = replace(self.services[service], restart_epoch=self.now)

    # -- what nodes do

    def set_node(self, node: str, state: NodeState, *, cordoned: bool = False) -> None:
        self.nodes[node] = replace(self.nodes[node], state=state, cordoned=cordoned)

    def find(self, container: str) -> ContainerView:
        return next(each for each in self.containers() if each.id == container)

    def change(self, container: str, **values: object) -> None:
        slot = self.slots[self.find(container).slot]
        changed = tuple(
            replace(each, **values) if each.id == container else each  # type: ignore[arg-type]
            for each in slot.containers
        )
        self.slots[slot.id] = replace(slot, containers=changed)

    def reachable(self) -> list[ContainerView]:
        ok = (NodeState.READY, NodeState.DRAINING)
        return [each for each in self.containers() if each.node and self.nodes[each.node].state in ok]

    def advance(self, container: str) -> None:
        """The node takes the container one step on its way."""
        current = self.find(container)
        match current.state:
            case State.ASSIGNED:
                self._report(current, State.STARTING)
            case State.STARTING:
                self._report(current, State.RUNNING, running_since=self.now)
            case State.STOPPING:
                self._report(current, State.EXITED, ended_at=self.now, exit_code=0)
            case state if state.ended and current.removing:
                self.change(container, removed=True)

    def judge(self, container: str, health: str) -> None:
        """A health check says so."""
        was = self.find(container)
        since = self.now if health != was.health else was.healthy_since or was.unhealthy_since
        healthy = since if health == "healthy" else None
        unhealthy = since if health == "unhealthy" else None
        self.change(container, health=health, healthy_since=healthy, unhealthy_since=unhealthy)

    def finish(self, container: str) -> None:
        """A task ends well by itself."""
        self._report(self.find(container), State.EXITED, ended_at=self.now, exit_code=0)

    def crash(self, container: str, *, fatal: bool = False) -> None:
        """The container ends badly, unless it has ended already or was told to stop."""
        current = self.find(container)
        if current.state.live and current.state is not State.STOPPING:
            self._report(current, State.FAILED, ended_at=self.now, exit_code=1, fatal=fatal)
            self._fail(current.slot)

    def _report(self, current: ContainerView, target: State, **values: object) -> None:
        self.change(current.id, state=move(current.state, target, Actor.REPORT), **values)

    def advance_all(self) -> None:
        for each in self.reachable():
            self.advance(each.id)

    def converge(self, rounds: int = 60, seconds: float = 5.0) -> Plan:
        """Steps, reports and time, until nothing is left to do; the last plan."""
        for _ in range(rounds):
            self.step()
            self.advance_all()
            self.now += seconds
        return self.plan()


def _seen(slot: SlotView) -> tuple[ContainerView, ...]:
    """The newest one, and those that the engine still has."""
    return tuple(each for i, each in enumerate(slot.containers) if i == 0 or not each.removed)
