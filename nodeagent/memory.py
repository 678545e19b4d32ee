"""What is known of this node's containers without asking the engine.

It may be a moment behind. So it leads to acts alone that the engine refuses, or takes as done, where it was wrong; that
something is over, the engine says.
"""

from __future__ import annotations

from typing import Protocol

from nodeagent.runtime.base import ContainerFacts


class Memory(Protocol):
    def find(self, slot: str, generation: int) -> ContainerFacts | None:
        """As it was last seen; None where the engine has to be asked."""

    def await_end(self, slot: str, generation: int) -> ContainerFacts | None:
        """What the engine said of it after its end, which is being told now; None where it has to be asked."""

    def removed(self, container: ContainerFacts) -> None:
        """It is gone from the engine."""

    def on_network(self, network: str) -> bool:
        """Whether a container that is there belongs on this network."""


class Blank:
    """Knows nothing: every question is the engine's."""

    def find(self, slot: str, generation: int) -> ContainerFacts | None:
        del slot, generation
        return None

    def await_end(self, slot: str, generation: int) -> ContainerFacts | None:
        del slot, generation
        return None

    def removed(self, container: ContainerFacts) -> None:
        del container

    def on_network(self, network: str) -> bool:
        del network
        return False
