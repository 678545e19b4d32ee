"""What an agent has seen of its engine and told the console: nodeagent/observer.py without its threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeagent.facts import Key, Known, digest, identity_of
from nodeagent.observer import RELIST_EVERY
from nodeagent.protocol import Delta, ImageFact, Observed
from nodeagent.runtime.base import ContainerFacts

if TYPE_CHECKING:
    from sim.agent import Agent


class View:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._engine = agent.host.engine
        self._known: dict[str, Known] = {}
        self._essences: dict[str, tuple[ContainerFacts, bytes]] = {}
        self._told: dict[Key, bytes] = {}
        self._digest = digest(())
        self._images: tuple[ImageFact, ...] = ()
        self._images_told: tuple[ImageFact, ...] = ()
        self.foreign = 0
        self.engine_ok = False

    def start(self) -> None:
        self._look()
        self._agent.later(RELIST_EVERY, self._relist)

    def _relist(self) -> None:
        self._look()
        self._agent.later(RELIST_EVERY, self._relist)

    def look_again(self) -> None:
        """The engine came back; the observer notices at its next try."""
        self._agent.later(0.2 + self._agent.world.random.random() * 4, self._look)

    def engine_failed(self) -> None:
        if self.engine_ok:
            self.engine_ok = False
            self._agent.engine_changed(well=False)

    def _look(self) -> None:
        if not self._engine.up:
            self.engine_failed()
            return
        listing = self._engine.listing(self._agent.session.cluster)
        self.foreign = listing.foreign
        self._known = {facts.name: self._known_of(facts) for facts in listing.own}
        self._images = tuple(self._engine.local_images.values())
        if not self.engine_ok:
            self.engine_ok = True
            self._agent.engine_changed(well=True)
        self._agent.wake()

    def _known_of(self, facts: ContainerFacts) -> Known:
        known = self._known.get(facts.name)
        if known is not None and known.facts is facts:
            return known
        identity = identity_of(facts.labels)
        if identity is None:
            raise AssertionError(f"{facts.name} has no identity")
        return Known(identity, facts)

    def look_at(self, name: str) -> None:
        """An event of the engine named this container."""
        if not (self.engine_ok and self._engine.up):
            return
        box = self._engine.boxes.get(name)
        if box is None:
            self._known.pop(name, None)
        elif box.facts.labels["berth.cluster"] == self._agent.session.cluster:
            self._known[name] = self._known_of(box.facts)
        self._agent.wake()

    def images_changed(self) -> None:
        self._images = tuple(self._engine.local_images.values())
        self._agent.wake()

    def hello(self) -> tuple[tuple[Observed, ...], tuple[ImageFact, ...], str]:
        self._tell()
        self._images_told = self._images
        return tuple(self._observed(one) for one in self._known.values()), self._images, self._digest

    def take_delta(self) -> Delta | None:
        before = self._told
        current = {known.key: known for known in self._known.values()}
        fresh = [one for key, one in current.items() if before.get(key) != self._essence(one)]
        gone = tuple(key for key in before if key not in current)
        if not fresh and not gone:
            return None
        base = self._digest
        self._tell()
        changed = tuple(self._observed(one) for one in fresh)
        return Delta(changed=changed, removed=gone, base=base, digest=self._digest)

    def take_images(self) -> tuple[ImageFact, ...] | None:
        if self._images == self._images_told:
            return None
        self._images_told = self._images
        return self._images

    def told_digest(self) -> str:
        return self._digest

    def _tell(self) -> None:
        self._told = {known.key: self._essence(known) for known in self._known.values()}
        self._digest = digest(self._told.values())

    def _observed(self, known: Known) -> Observed:
        return known.observed(self._agent.world.clock.now)

    def _essence(self, known: Known) -> bytes:
        """`Known.essence`, made once for the same facts."""
        made = self._essences.get(known.facts.engine_id)
        if made is None or made[0] is not known.facts:
            made = self._essences[known.facts.engine_id] = (known.facts, known.essence)
        return made[1]
