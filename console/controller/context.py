"""What one step gathers while it works: the time, what became dirty, and what to say after the commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from console.cluster.models import Node


@dataclass(slots=True)
class Step:
    now: datetime
    dirty: set[str] = field(default_factory=set)
    """Apps to reconcile in this step."""
    freed: bool = False
    """A node has more room than before: pending slots are worth another look."""
    ask: set[str] = field(default_factory=set)
    """Nodes to ask for their full set after the commit."""
    nodes: dict[str, Node] = field(default_factory=dict)
    frozen: bool = False
    """Nothing is replaced for lack of contact."""

    @property
    def time(self) -> float:
        return self.now.timestamp()
