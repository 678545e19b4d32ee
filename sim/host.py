"""A machine: its engine and its disk, which outlive the agents on it, and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeagent.protocol import Capacity, Identity, ImageFact, Spec
from sim.agent import Agent
from sim.engine import Engine

if TYPE_CHECKING:
    from sim.world import World

DEMO = ImageFact(id="sha256:" + "d" * 64, tags=("berth/demo:latest",))
STRANGER = Identity(
    cluster="another",
    team="t",
    app="a",
    service="s",
    slot="stranger",
    generation=1,
    container="c",
    digest="d",
    name="another/s.1",
)


class Host:
    def __init__(
        self, world: World, node: str, name: str, capacity: Capacity, labels: dict[str, str]
    ) -> None:
        self.world = world
        self.node, self.name = node, name
        self.capacity, self.labels = capacity, labels
        self.fence: dict[str, tuple[int, int]] | None = None
        """The fence file."""
        self.fetched: dict[str, float] = {}
        """The file of what was fetched."""
        self.cut = False
        """No packet of the link gets through."""
        self.broker_cut = False
        self.agent: Agent | None = None
        self.lives = 0
        self.gone = False
        """For good: whoever removes a node that is down promises so."""
        self.engine = Engine(self)
        self.engine.local_images[DEMO.id] = DEMO
        self.engine.put(STRANGER, Spec(image=DEMO.id, memory=1, cpu=1, pids=1))
        self.engine.run(STRANGER.engine_name)

    @property
    def boxes(self) -> list[tuple[Identity, str]]:
        """What this cluster has here, with the engine's word for its state."""
        return [
            (identity, box.facts.state)
            for box in self.engine.boxes.values()
            if (identity := self.world.identity(box.facts.labels)) and identity.cluster == self.world.cluster
        ]

    def told(self, name: str) -> None:
        """The engine says that a container changed."""
        agent, rates, random = self.agent, self.world.rates, self.world.random
        if agent is None or (rates.event_missed and random.random() < rates.event_missed):
            return
        self.world.clock.at(0.01 + random.random() * 0.1, agent.alive(lambda: agent.view.look_at(name)))

    # -- faults

    def start_agent(self) -> None:
        if self.gone or self.agent is not None:
            return
        self.lives += 1
        self.agent = Agent(self)
        self.agent.start()

    def kill_agent(self) -> None:
        if self.agent is not None:
            self.agent.die()
            self.agent = None

    def agent_died(self) -> None:
        """Its supervisor starts it anew."""
        self.world.note(f"{self.name}: the agent dies")
        self.kill_agent()
        self.world.clock.at(0.5 + self.world.random.random() * 3, self.start_agent)

    def reboot(self, seconds: float) -> None:
        self.kill_agent()
        self.engine.lose_power()
        self.world.clock.at(seconds, self.boot)

    def boot(self) -> None:
        if not self.gone:
            if not self.engine.up:
                self.engine.boot()
            self.start_agent()

    def fail_engine(self, *, with_containers: bool) -> None:
        if with_containers:
            self.engine.lose_power()
        self.engine.up = False
        if self.agent:
            self.agent.view.engine_failed()

    def mend_engine(self) -> None:
        if not self.gone and not self.engine.up:
            self.engine.boot()
            if self.agent:
                self.agent.view.look_again()

    def destroy(self) -> None:
        self.kill_agent()
        self.engine.lose_power()
        self.gone = True

    def crash(self, index: int, code: int) -> None:
        """One of the running containers ends by itself."""
        running = [identity.engine_name for identity, state in self.boxes if state == "running"]
        if running and self.engine.up:
            self.engine.end(running[index % len(running)], code)

    def cure(self) -> None:
        """What could be healthy is."""
        for name, box in self.engine.boxes.items():
            if box.facts.health == "unhealthy":
                self.engine.change(name, health="healthy")

    def sicken(self, index: int, seconds: float) -> None:
        healthy = [name for name, box in self.engine.boxes.items() if box.facts.health == "healthy"]
        if healthy:
            name = healthy[index % len(healthy)]
            self.engine.change(name, health="unhealthy")
            self.engine.later(name, seconds, lambda: self.engine.change(name, health="healthy"))
