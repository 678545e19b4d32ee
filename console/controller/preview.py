"""Read-only looks at the scheduler for pages and API: what would happen, tried on a copy of the live view.

Nothing here writes, and nothing waits for a node. A team is told names of its own apps alone; of all others it
learns how many containers would be concerned (design, rule 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.models import Team
from console.cluster.models import Node
from console.common.errors import Conflict
from console.controller import load
from console.controller.explanations import as_row
from console.controller.rehearsal import Change, ServicePlacement, Wish, changes, placement, wish
from console.controller.requests import Releases
from console.workloads import moves, quotas
from console.workloads.enums import ReleaseState
from console.workloads.models import Explanation, Release, Service
from console.workloads.moves import Tie
from console.workloads.queries import Placed, placed
from scheduler import model, rebalance, whatif
from scheduler.placement import Cluster

__all__ = ["Change", "ServicePlacement", "Wish", "changes", "placement", "wish"]  # of a write that is tried
Event = Literal["loss", "drain"]
_Row = tuple[str, str, str, tuple[str, ...]]
"""A container, the name of the node that it goes to, why not, and what would help."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """One of the team's containers. `target` is the name of a node; empty: none is free for it, and `reason` and
    `remedies` say why and what would help."""

    place: Placed
    target: str = ""
    reason: str = ""
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """What happens to some containers in the same way: the team's own, and how many of other teams."""

    own: tuple[Concerned, ...]
    others: int

    @property
    def total(self) -> int:
        return len(self.own) + self.others


@dataclass(frozen=True, slots=True)
class NodeForecast:
    """If the node went, or were drained."""

    node: Node
    event: Event
    moved: Group
    waiting: Group
    bound: Group
    """They stay with their node: their data, or their only right to run, is there."""
    ended: Group
    """Of global services: there is one less of them, while their node takes none."""

    @property
    def total(self) -> int:
        return sum(group.total for group in (self.moved, self.waiting, self.bound, self.ended))


@dataclass(frozen=True, slots=True)
class OnNode:
    node: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class RoomForecast:
    """How many more replicas fit, and the team may have. Of the one after them, either `refusal` (a row that is never
    saved) tells why no node takes it, or `over_quota` why the team's quota does not allow it; neither does where all
    that was asked about fit."""

    service: Service
    limit: int
    fits: int
    nodes: tuple[OnNode, ...]
    refusal: Explanation | None
    over_quota: str


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """`place` is None for a container of another team, and `reason` empty then."""

    move: moves.WantedMove
    place: Placed | None
    source_name: str
    target_name: str
    gain: float
    reason: str


@dataclass(frozen=True, slots=True)
class RebalanceForecast:
    """A plan that nobody has asked to be done yet; the measure's lower values are better."""

    moves: tuple[PlannedMove, ...]
    before: float
    after: float
    stopped: str

    @property
    def share(self) -> float:
        """By which share of itself the measure falls, in percent."""
        return 100 * (1 - self.after / self.before) if self.before else 0.0


def node_forecast(team: Team, node: Node, event: Event) -> NodeForecast:
    """What would become of the containers on the node. A node that is not in the view yet holds nothing."""
    cluster, ties = _live(), moves.ties(node)
    kinds = {Tie.EXCLUSIVE, Tie.GLOBAL} if event == "loss" else {Tie.EXCLUSIVE, Tie.ONCE}
    pinned = {container for container, tie in ties.items() if tie in kinds}
    ended = [one for one, tie in ties.items() if event == "drain" and tie is Tie.GLOBAL]
    # What holds nothing but ports has ended already.
    gone = [held.container for held in cluster.on(node.id) if not held.request.app]
    cluster.free_many([*ended, *gone])
    if all(known.id != node.id for known in cluster.nodes):
        outcome = whatif.Outcome((), (), (), "")
    elif event == "loss":
        outcome = whatif.without(cluster, [node.id], pinned=pinned)
    else:
        outcome = whatif.drained(cluster, [node.id], pinned=pinned)
    names = _names(cluster)
    rows: dict[str, list[_Row]] = {
        "moved": [(each.container, names[each.target], "", ()) for each in outcome.moved],
        "waiting": [(each.container, "", each.reason, each.remedies) for each in outcome.pending],
        "bound": [(each.container, "", _tie(ties, each.container), ()) for each in outcome.bound],
        "ended": [(container, "", "", ()) for container in ended],
    }
    places = placed(team, [row[0] for found in rows.values() for row in found])
    return NodeForecast(node, event, **{kind: _group(found, places) for kind, found in rows.items()})


def room(service: Service, limit: int) -> RoomForecast:
    """How many more replicas of the service, as its newest ready release has it, fit now and are within the team's
    quota; at most `limit`."""
    release = Release.objects.filter(app=service.app_id, state=ReleaseState.READY).first()
    spec = release.project.services.get(service.name) if release else None
    if release is None or spec is None:
        message = _("%(name)s is in no release whose images are known yet.") % {"name": service.name}
        raise Conflict(message, code="release_not_ready")
    if model.Mode(spec.mode).everywhere:
        message = _("%(name)s is a global service: it runs once on every node that fits.")
        raise Conflict(message % {"name": service.name}, code="global_service")
    now, releases = timezone.now(), Releases()
    cluster = load.read_cluster(now, releases)
    asked = releases.request(release.id, service.name)
    assert asked is not None  # noqa: S101  (the release has the service)
    may_have, over_quota = quotas.most_more(service, limit)
    found = whatif.room(cluster, asked, may_have)
    names = _names(cluster)
    nodes = (OnNode(node, names[node], count) for node, count in found.nodes)
    refusal = as_row(service.app, service.name, found.refusal, now) if found.refusal else None
    by_name = tuple(sorted(nodes, key=lambda one: one.name))
    return RoomForecast(service, limit, found.fits, by_name, refusal, "" if refusal else over_quota)


def rebalance_forecast(team: Team, *, budget: int, gain: float) -> RebalanceForecast:
    """The moves, at most `budget`, that lower the measure by at least `gain` each. Over all teams."""
    cluster, chosen = _live(), moves.candidates()
    plan = rebalance.rebalance(cluster, chosen.movable, budget=budget, gain=gain, healthy=chosen.healthy)
    names, places = _names(cluster), placed(team, [move.container for move in plan.moves])
    planned = [
        PlannedMove(
            move=moves.WantedMove(move.container, move.source, move.target),
            place=(place := places.get(move.container)),
            source_name=names[move.source],
            target_name=names[move.target],
            gain=move.gain,
            reason=move.reason if place else "",
        )
        for move in plan.moves
    ]
    return RebalanceForecast(tuple(planned), plan.before, plan.after, plan.stopped)


def _live() -> Cluster:
    return load.read_cluster(timezone.now(), Releases())


def _names(cluster: Cluster) -> dict[str, str]:
    return {node.id: node.name for node in cluster.nodes}


def _tie(ties: Mapping[str, Tie], container: str) -> str:
    """Why it stays; what is only in the view's memory of it is its volume."""
    return str(ties.get(container, Tie.VOLUME).label)


def _group(rows: Sequence[_Row], places: Mapping[str, Placed]) -> Group:
    """What is not in `places` is another team's."""
    own = [
        Concerned(places[container], target, reason, remedies)
        for container, target, reason, remedies in rows
        if container in places
    ]
    own.sort(key=lambda one: (one.place.app, one.place.service, one.place.index))
    return Group(tuple(own), len(rows) - len(own))
