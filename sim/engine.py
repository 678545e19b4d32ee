"""One host's container engine as the agent's `Runtime` sees it, without threads. It outlives its agents."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from nodeagent import protocol
from nodeagent.facts import identity_of
from nodeagent.protocol import File, Identity, ImageFact, Spec
from nodeagent.runtime import payload
from nodeagent.runtime.base import (
    Conflict,
    ContainerFacts,
    EngineTimeout,
    EngineUnavailable,
    ImageMissing,
    InUse,
    Invalid,
    Listing,
    NotFound,
    PortTaken,
    StillRunning,
)
from nodeagent.vault import NOTHING, Private
from sim.containers import Box, Containers
from sim.faults import AgentDied


class Engine(Containers):
    """Calls raise what an engine would, and may lose their answer."""

    # -- the Runtime protocol, as far as jobs need it

    def _call(self, *, effect: bool = False) -> None:
        """Before a call, and with `effect` after a change: the agent may die, or get no answer."""
        rates, random = self._world.rates, self._world.random
        if rates.agent_dies and random.random() < rates.agent_dies:
            raise AgentDied
        if effect:
            if rates.call_timed_out and random.random() < rates.call_timed_out:
                raise EngineTimeout("no answer in time")
        elif not self.up or (rates.call_refused and random.random() < rates.call_refused):
            raise EngineUnavailable("the engine is away")

    def list_managed(self, cluster: str) -> Listing:
        self._call()
        return self.listing(cluster)

    def listing(self, cluster: str) -> Listing:
        facts = [box.facts for box in self.boxes.values()]
        own = tuple(one for one in facts if one.labels[protocol.LABEL_CLUSTER] == cluster)
        return Listing(own, len(facts) - len(own))

    def inspect(self, name: str) -> ContainerFacts | None:
        self._call()
        box = self.boxes.get(name)
        return box.facts if box else None

    def create(self, identity: Identity, spec: Spec, private: Private = NOTHING) -> ContainerFacts:
        self._call()
        name = identity.engine_name
        if (box := self.boxes.get(name)) is not None:
            if box.facts.labels != payload.labels(identity):
                raise Conflict(f"{name} is there already")
            return box.facts
        if self._find_image(spec.image) is None:
            raise ImageMissing(f"{spec.image} is not here")
        facts = self.put(identity, spec)
        self._call(effect=True)
        return facts

    def write_files(self, name: str, files: tuple[File, ...]) -> None:
        self._call()
        self._must(name)

    def start(self, name: str) -> None:
        self._call()
        box = self._must(name)
        if box.live:
            return
        if box.spec.environment.get("SIM") == "cannot-start":
            self._refuse_start(name, "executable file not found")
            raise Invalid("executable file not found")
        taken = self.strangers_ports | {
            port.host for other in self.boxes.values() if other.live for port in other.spec.ports
        }
        if taken & {port.host for port in box.spec.ports}:
            self._refuse_start(name, "port is already allocated")
            raise PortTaken("port is already allocated")
        self._world.checks.starts(self._host, _key(box))
        self.run(name)
        self._call(effect=True)

    def _refuse_start(self, name: str, error: str) -> None:
        self.change(name, error=error, exit_code=128)

    def stop(self, name: str, grace: float) -> None:
        self._call()
        self.kill(name)
        self._call(effect=True)

    def remove(self, name: str) -> None:
        self._call()
        box = self.boxes.get(name)
        if box is None:
            return
        if box.live:
            raise StillRunning(f"{name} runs")
        self._world.checks.touched(self._host, box.facts)
        del self.boxes[name]
        self._host.told(name)
        self._call(effect=True)

    def image(self, reference: str) -> ImageFact | None:
        self._call()
        return self._find_image(reference)

    def _find_image(self, reference: str) -> ImageFact | None:
        same = (one for one in self.local_images.values() if reference == one.id or reference in one.digests)
        return self.local_images.get(reference) or next(same, None)

    def images(self) -> tuple[ImageFact, ...]:
        self._call()
        return tuple(self.local_images.values())

    def used_images(self) -> frozenset[str]:
        self._call()
        return frozenset(box.spec.image for box in self.boxes.values())

    def remove_image(self, name: str) -> None:
        self._call()
        fact = self._find_image(name)
        if fact is None:
            return
        if any(box.spec.image in (fact.id, *fact.digests) for box in self.boxes.values()):
            raise InUse(f"a container uses {name}")
        del self.local_images[fact.id]
        self._call(effect=True)

    def ensure_network(
        self, name: str, cluster: str, app: str, *, internal: bool = False, steady: bool = False
    ) -> None:
        self._call()
        self.networks.add(name)

    def network_exists(self, name: str, cluster: str, app: str = "") -> bool:
        self._call()
        return name in self.networks

    def check_volume(self, name: str, cluster: str) -> None:
        self._call()

    def volume_places(self, cluster: str) -> dict[str, Path]:
        self._call()
        return {name: Path("/nowhere") / name for name in self.volumes}

    def volume_sizes(self, names: Collection[str]) -> dict[str, int]:
        self._call()
        return dict.fromkeys(names, 4096)

    def remove_network_if_unused(self, name: str, cluster: str) -> bool:
        self._call()
        if any(box.live and name in box.facts.networks for box in self.boxes.values()):
            return False
        self.networks.discard(name)
        return True

    def remove_volume(self, name: str, cluster: str) -> None:
        self._call()
        if any(mount.source == name for box in self.boxes.values() for mount in box.spec.mounts):
            raise InUse(f"volume {name} is in use")
        self.volumes.discard(name)

    def _must(self, name: str) -> Box:
        if name not in self.boxes:
            raise NotFound(f"{name} is not here")
        return self.boxes[name]


def _key(box: Box) -> tuple[str, int]:
    identity = identity_of(box.facts.labels)
    if identity is None:
        raise AssertionError(f"{box.facts.name} has no identity")
    return identity.slot, identity.generation
