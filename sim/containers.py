"""The containers of one host's engine: what their programs do, and what the engine does by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodeagent import protocol
from nodeagent.protocol import Identity, ImageFact, Spec
from nodeagent.runtime import payload
from nodeagent.runtime.base import ContainerFacts, Endpoint

if TYPE_CHECKING:
    from sim.host import Host

LIVE = {"running", "restarting", "paused"}


@dataclass(slots=True)
class Box:
    facts: ContainerFacts
    spec: Spec
    told_to_stop: bool = False
    life: int = 0
    """Grows at each start and end, so that what an earlier life had planned comes to nothing."""

    @property
    def live(self) -> bool:
        return self.facts.state in LIVE


class Containers:
    """`Host` is told of each change."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._world = host.world
        self.up = True
        self.boxes: dict[str, Box] = {}
        self.local_images: dict[str, ImageFact] = {}
        self.networks: set[str] = set()
        self.volumes: set[str] = set()
        self.strangers_ports: set[int] = set()
        self._ids = 0

    def put(self, identity: Identity, spec: Spec) -> ContainerFacts:
        """A new container, without a fault."""
        name = identity.engine_name
        self._ids += 1
        facts = ContainerFacts(
            engine_id=f"{self._host.name}-{self._ids}",
            name=name,
            labels=payload.labels(identity),
            state="created",
            ports=spec.ports,
            stop_grace=spec.stop_grace,
            networks={one.network: Endpoint() for one in spec.attachments},
        )
        self.boxes[name] = Box(facts, spec)
        self.volumes.update(mount.source for mount in spec.mounts if mount.kind == "volume")
        self._host.told(name)
        return facts

    def run(self, name: str) -> None:
        """A container's program begins."""
        box = self.boxes[name]
        box.life += 1
        checked = box.spec.healthcheck is not None and box.spec.healthcheck.test[:1] != ("NONE",)
        self.change(
            name,
            state="running",
            started_at=self._world.clock.now,
            finished_at=None,
            exit_code=None,
            error="",
            health="starting" if checked else "none",
        )
        self._world.checks.runs(box)
        said = box.spec.command[0] if box.spec.command else box.spec.environment.get("SIM", "serve")
        kind, _colon, rest = said.partition(":")
        if checked and kind != "sick":
            delay = float(rest) if kind == "slow" else 0.5 + self._world.random.random() * 2
            self.later(name, delay, lambda: self.change(name, health="healthy"))
        if kind in ("job", "crash"):
            self.later(name, float(rest), lambda: self.end(name, 0 if kind == "job" else 1))

    def end(self, name: str, code: int) -> None:
        """A container's program ends by itself; the engine starts it again as its restart policy says."""
        box = self.boxes.get(name)
        if box is None or not box.live:
            return
        box.life += 1
        facts, spec = box.facts, box.spec
        again = spec.restart == "unless-stopped" or (
            spec.restart == "on-failure"
            and code != 0
            and (not spec.restart_max or facts.restarts < spec.restart_max)
        )
        now = self._world.clock.now
        ended = {"exit_code": code, "finished_at": now, "health": "none"}
        if not again or box.told_to_stop:
            self.change(name, state="exited", **ended)
            return
        self.change(name, state="restarting", **ended)
        pause = min(10.0, 0.1 * 2.0 ** min(facts.restarts, 7))
        self.later(name, pause, lambda: self._restart(name))

    def _restart(self, name: str) -> None:
        if not self.up:
            self.later(name, 1.0, lambda: self._restart(name))
            return
        self.change(name, restarts=self.boxes[name].facts.restarts + 1)
        self.run(name)

    def kill(self, name: str) -> None:
        """It is told to stop, and stops."""
        box = self.boxes.get(name)
        if box is None:
            return
        self._world.checks.touched(self._host, box.facts)
        box.told_to_stop = True
        if box.live:
            box.life += 1
            self.change(name, state="exited", exit_code=143, finished_at=self._world.clock.now, health="none")

    def lose_power(self) -> None:
        for name, box in self.boxes.items():
            if box.live and not self._foreign(box):
                box.life += 1
                self.change(name, state="exited", exit_code=137, finished_at=self._world.clock.now)
        self.up = False

    def boot(self) -> None:
        """The engine is there again and starts what its policy tells it to."""
        self.up = True
        for name, box in self.boxes.items():
            ended_badly = (
                box.facts.state == "exited" and box.spec.restart == "on-failure" and box.facts.exit_code
            )
            always = box.spec.restart == "unless-stopped" and box.facts.state == "exited"
            if not box.told_to_stop and (always or ended_badly):
                self.run(name)

    def later(self, name: str, delay: float, act: Callable[[], object]) -> None:
        """Unless the container's life has changed until then."""
        box = self.boxes[name]
        life = box.life

        def if_still() -> None:
            if self.boxes.get(name) is box and box.life == life:
                act()

        self._world.clock.at(delay, if_still)

    def change(self, name: str, **facts: Any) -> None:
        box = self.boxes[name]
        box.facts = replace(box.facts, **facts)
        self._host.told(name)

    def _foreign(self, box: Box) -> bool:
        return bool(box.facts.labels[protocol.LABEL_CLUSTER] != self._world.cluster)
