"""Events that a step gathers and writes together. Many alike become one line: a thousand replicas that were placed
are told once, not a thousand times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.common.models import Event
from console.common.writes import insert

FEW = 5
"""Up to so many alike are told one by one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event to be. `many` is the sentence for more than `FEW` lines that have it, the owner and the kind in
    common; in it, {count} and {nodes} stand for how many there are and on how many nodes."""

    kind: str
    message: str
    actor: str
    team: str = ""
    app: str = ""
    node: str = ""
    warning: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    many: str = ""
    where: str = ""
    """Node that {nodes} counts."""

    @property
    def group(self) -> tuple[str, ...]:
        return (self.kind, self.team, self.app, self.many)


class History:
    """In the order in which they came; those that are told as one stand where the first of them was."""

    def __init__(self, now: datetime, actor: str) -> None:
        self.now, self.actor = now, actor
        self._lines: list[Line] = []

    def add(self, line: Line) -> None:
        self._lines.append(line)

    def clear(self) -> None:
        self._lines = []

    def write(self) -> set[tuple[str, str]]:
        """Save them, in the caller's transaction. Teams, and what of each, whose pages are to be told."""
        groups: defaultdict[tuple[str, ...], list[Line]] = defaultdict(list)
        for line in self._lines:
            if line.many:
                groups[line.group].append(line)
        rows = []
        for line in self._lines:
            alike = groups[line.group] if line.many else []
            if len(alike) <= FEW:
                rows.append(self._row(line))
            elif alike[0] is line:
                rows.append(self._row(self._together(alike)))
        insert(rows)
        told = {(line.team, line.app or line.node or line.team) for line in self._lines if line.team}
        self.clear()
        return told

    def _together(self, lines: list[Line]) -> Line:
        first = lines[0]
        nodes = len({line.where for line in lines})
        text = first.many.format(count=f"{len(lines):,}", nodes=f"{nodes:,} node{'s' * (nodes != 1)}")
        actors = {line.actor for line in lines}
        return Line(
            kind=first.kind,
            message=text,
            actor=first.actor if len(actors) == 1 else self.actor,
            team=first.team,
            app=first.app,
            warning=any(line.warning for line in lines),
            data={"count": len(lines)},
        )

    def _row(self, line: Line) -> Event:
        return Event(
            at=self.now,
            kind=line.kind,
            message=line.message,
            actor=line.actor,
            team_id=line.team,
            app_id=line.app,
            node_id=line.node,
            data=dict(line.data),
            warning=line.warning,
        )
