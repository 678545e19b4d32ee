"""From the engine's facts to the reports of the wire. Pure but for ages, which need the host's clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from nodeagent import naming, protocol
from nodeagent.names import MAX_GENERATION
from nodeagent.protocol import Health, Identity, Observed
from nodeagent.runtime.base import ContainerFacts

Key = tuple[str, int]
"""Slot and generation."""


def identity_of(labels: Mapping[str, str]) -> Identity | None:
    """The identity that a container's labels carry; None unless they are complete."""
    try:
        generation = int(labels[protocol.LABEL_GENERATION])
        if not 1 <= generation <= MAX_GENERATION:
            return None
        return Identity(
            cluster=labels[protocol.LABEL_CLUSTER],
            team=labels[protocol.LABEL_TEAM],
            app=labels[protocol.LABEL_APP],
            service=labels[protocol.LABEL_SERVICE],
            slot=labels[protocol.LABEL_SLOT],
            generation=generation,
            container=labels[protocol.LABEL_CONTAINER],
            digest=labels[protocol.LABEL_DIGEST],
            name=labels[protocol.LABEL_NAME],
        )
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True)
class Known:
    """One container of this cluster as last seen. `oom_events`: how often the engine told of an OOM in
    it since its start; it may have been a child alone, and the container runs on."""

    identity: Identity
    facts: ContainerFacts
    oom_events: int = 0
    last_lines: tuple[str, ...] = ()
    note: str = ""
    """Why the agent itself ended it."""

    @property
    def error(self) -> str:
        return self.facts.error or (self.note if self.facts.ended else "")

    @property
    def key(self) -> Key:
        return self.identity.slot, self.identity.generation

    @property
    def oom(self) -> bool:
        # An OOM of a child is the end of the container only if it ended, and not well.
        return self.facts.oom or (self.oom_events > 0 and self.facts.exit_code not in {None, 0})

    @property
    def health(self) -> Health:
        """Healthy once its names lead to it, too: whoever waits for it may then stop what served before."""
        return "starting" if self.facts.health == "healthy" and self.due else self.facts.health

    @cached_property
    def due(self) -> tuple[naming.Rejoin, ...]:
        """The networks on which it has other names than it should."""
        return naming.due(self.facts)

    @cached_property
    def essence(self) -> bytes:
        """Everything a digest covers: the facts, not their age."""
        facts = self.facts
        return msgspec.json.encode(
            [
                self.identity,
                facts.engine_id,
                facts.state,
                self.health,
                facts.exit_code,
                self.oom,
                self.oom_events,
                self.error,
                facts.restarts,
                facts.ports,
            ]
        )

    def observed(self, now: float) -> Observed:
        """The report, with ages as of `now` (seconds since the epoch)."""
        facts = self.facts
        live = facts.state in {"running", "paused", "restarting"}
        return Observed(
            identity=self.identity,
            engine_id=facts.engine_id,
            state=facts.state,
            health=self.health,
            exit_code=facts.exit_code,
            oom=self.oom,
            oom_events=self.oom_events,
            error=self.error,
            restarts=facts.restarts,
            running_for=_age(facts.started_at, now) if live else None,
            ended_ago=_age(facts.finished_at, now),
            ports=facts.ports,
            last_lines=self.last_lines,
        )


def digest(essences: Iterable[bytes]) -> str:
    """SHA-256 over the sorted facts of a whole set."""
    return hashlib.sha256(b"\n".join(sorted(essences))).hexdigest()


def _age(since: float | None, now: float) -> float | None:
    return None if since is None else max(0.0, now - since)
