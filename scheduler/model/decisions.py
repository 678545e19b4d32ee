"""Where something goes, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scheduler.model.requests import Grant, Port, Want


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one node cannot take a request: the filter's name, a sentence, and the numbers in it."""

    filter: str
    reason: str
    asked: int = 0
    free: int = 0


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    """One node in an explanation: refused by a filter, or scored by part (higher is better)."""

    node: str
    name: str
    refusal: Refusal | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.scores.values())


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons."""

    node: str | None
    summary: str
    """A sentence for people: '0 of 5 nodes fit: 3 lack memory (largest free 1.2 GiB, asked 2 GiB), …'."""
    verdicts: tuple[NodeVerdict, ...] = ()
    """Of every node, in the order of their ids."""
    remedies: tuple[str, ...] = ()
    """What would make it fit, the smallest change first; empty for what was placed."""


class Decision(NamedTuple):
    """Where a want goes; `node` None: nowhere now. `Cluster.explain` says why."""

    want: Want
    node: str | None
    ports: tuple[Port, ...] = ()
    grants: tuple[Grant, ...] = ()
