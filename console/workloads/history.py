"""Events: a team's history and that of the shared nodes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from console.accounts.models import Team
from console.cluster.models import Node
from console.common.models import Event
from console.workloads.models import App


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What all of the events are to have. `kind` is one, or the part before a dot of several."""

    app: App | None = None
    node: Node | None = None
    kind: str = ""
    warning: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Q:
        found = Q()
        if self.app:
            found &= Q(app_id=self.app.id)
        if self.node:
            found &= Q(node_id=self.node.id)
        if self.kind:
            found &= Q(kind=self.kind) | Q(kind__startswith=f"{self.kind}.")
        if self.warning is not None:
            found &= Q(warning=self.warning)
        if self.since:
            found &= Q(at__gte=self.since)
        if self.until:
            found &= Q(at__lt=self.until)
        return found


def events_of(
    team: Team,
    *,
    app: App | None = None,
    node: Node | None = None,
    before: int = 0,
    limit: int = 50,
    also: EventFilter | None = None,
) -> list[Event]:
    """The team's history and that of the shared nodes, newest first; `before` is the id to go on from."""
    wanted = (also or EventFilter()).condition() & EventFilter(app=app, node=node).condition()
    if before:
        wanted &= Q(id__lt=before)
    of_app = app or (also and also.app)
    # One query for each of the two: an index gives either in its order, and not both at once.
    found = [
        event
        for owner in ((team.id,) if of_app else (team.id, ""))
        for event in Event.objects.filter(wanted, team_id=owner).order_by("-id")[:limit]
    ]
    return sorted(found, key=lambda event: event.pk, reverse=True)[:limit]


def events_between(
    team: Team, first: int, last: int, *, app: App | None = None, limit: int = 200
) -> list[Event]:
    """The team's and the shared nodes' with ids after `first` up to `last` (0: the newest), oldest first."""
    wanted = EventFilter(app=app).condition() & Q(id__gt=first)
    if last:
        wanted &= Q(id__lte=last)
    found = [
        event
        for owner in ((team.id,) if app else (team.id, ""))
        for event in Event.objects.filter(wanted, team_id=owner).order_by("id")[:limit]
    ]
    return sorted(found, key=lambda event: event.pk)[:limit]


def newest_event() -> int:
    """Its id; 0: there is none."""
    return Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
