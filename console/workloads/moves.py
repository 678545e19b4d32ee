"""Moves that a rebalance plans: who may move, and marking who shall. The controller makes them, one slot's new
container being well before its old one stops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.access import Access
from console.cluster.access import require_administrator
from console.cluster.enums import NodeState
from console.cluster.models import Node
from console.common import audit, events
from console.workloads.compose import Service as Spec
from console.workloads.enums import ENDED, UNDER_WAY, ContainerState
from console.workloads.models import Container, Release, Rollout, Service
from console.workloads.summaries import is_well
from scheduler.model import Mode

MOST_MOVES, USUAL_MOVES = 200, 10
LEAST_GAIN, USUAL_GAIN = 0.000001, 0.02
"""Of the measure by which a rebalance goes: one fiftieth is a fifth of an average node's load moved from a node that
is 10 % fuller than its target."""
Key = tuple[str, str]
"""App id and service name, as in the scheduler's requests."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """`movable`: ids of containers. `healthy`: how many of a service may be on their way at once."""

    movable: frozenset[str]
    healthy: Mapping[Key, int]


@dataclass(frozen=True, slots=True)
class WantedMove:
    """Ids: a container, the node on which it was found, and the node that it shall go to."""

    container: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Skipped:
    move: WantedMove
    reason: str


@dataclass(slots=True)
class Marked:
    moves: list[WantedMove] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


class Tie(models.TextChoices):
    """What keeps a service's containers from being replaced elsewhere while they run."""

    GLOBAL = "global", gettext_lazy("it is a global service's, one for each node")
    VOLUME = "volume", gettext_lazy("its volume is there")
    EXCLUSIVE = "exclusive", gettext_lazy("there may never be two of it")
    ONCE = "once", gettext_lazy("it runs to its end there")


def tie_of(spec: Spec) -> Tie | None:
    """The first that holds, in their order; None: its containers may overlap, and go anywhere."""
    mode = Mode(spec.mode)
    if mode.everywhere:
        return Tie.GLOBAL
    if any(mount.kind == "volume" for mount in spec.volumes):
        return Tie.VOLUME
    if spec.exclusive:
        return Tie.EXCLUSIVE
    return Tie.ONCE if mode.job or spec.restart.condition == "no" else None


def ties(node: Node) -> dict[str, Tie]:
    """By container on the node, of all teams: what ties it. Those that nothing ties are left out."""
    rows = list(
        Container.objects.filter(node=node, removed_at=None)
        .exclude(state__in=ENDED)
        .values_list("id", "release_id", "slot__service__name")
    )
    specs = _specs({release for _id, release, _name in rows})
    found = {one: (specs[release].get(name)) for one, release, name in rows}
    return {one: tie for one, spec in found.items() if spec is not None and (tie := tie_of(spec))}


def candidates() -> Candidates:
    """Over all teams. Of a service that is not wholly well, or of an app whose rollout is under way, none may."""
    busy = set(Rollout.objects.filter(state__in=UNDER_WAY).values_list("app_id", flat=True))
    services = Service.objects.filter(
        present=True, stopped=False, app__stopped=False, app__deleting=False, replicas__gt=0
    )
    wanted = {
        (app, name): replicas
        for app, name, replicas in services.values_list("app_id", "name", "replicas")
        if app not in busy
    }
    there = _there(wanted)
    specs = _specs({container.release_id for found in there.values() for container in found})
    movable: set[str] = set()
    healthy: dict[Key, int] = {}
    for key, found in there.items():
        spec = specs[found[0].release_id].get(key[1])
        if spec is None or tie_of(spec) or not _calm(found, wanted[key]):
            continue
        under_way = sum(container.move_to_id is not None for container in found)
        window = spec.filled_in(spec.update, wanted[key]).parallelism
        healthy[key] = (window or wanted[key]) - under_way
        movable |= {container.id for container in found if container.move_to_id is None}
    return Candidates(frozenset(movable), healthy)


def _there(wanted: Mapping[Key, int]) -> dict[Key, list[Container]]:
    """Live containers of these services."""
    rows = Container.objects.filter(removed_at=None).exclude(state__in=ENDED).select_related("slot__service")
    fields = ("app_id", "release_id", "move_to_id", "digest", "state", "health", "slot__service__name")
    there: defaultdict[Key, list[Container]] = defaultdict(list)
    for container in rows.only(*fields):
        key = (container.app_id, container.slot.service.name)
        if key in wanted:
            there[key].append(container)
    return there


def _specs(releases: set[str]) -> dict[str, Mapping[str, Spec]]:
    found = Release.objects.filter(pk__in=releases).only("model")
    return {release.id: release.project.services for release in found}


def _calm(found: Sequence[Container], wanted: int) -> bool:
    """As many as wanted, all of them well, and alike."""
    alike = len({container.digest for container in found}) == 1
    return alike and len(found) == wanted and all(is_well(container) for container in found)


@transaction.atomic
def mark_moves(access: Access, wanted: Iterable[WantedMove]) -> Marked:
    """Mark each container whose slot is to go elsewhere. What has changed since the plan is skipped, and why."""
    require_administrator(access)
    marked, wanted = Marked(), list(wanted)
    # Nodes first, as the controller does: the mark points at a node, and in another order the two could wait
    # for each other.
    locked = Node.objects.select_for_update(no_key=True).filter(pk__in={move.target for move in wanted})
    nodes = {node.id: node for node in locked}
    rows = Container.objects.select_for_update(of=("self",), no_key=True).select_related(
        "app", "slot__service", "node", "release"
    )
    containers = {
        row.id: row for row in rows.filter(pk__in={move.container for move in wanted}).order_by("pk")
    }
    for move in wanted:
        container, target = containers.get(move.container), nodes.get(move.target)
        if reason := _amiss(move, container, target):
            marked.skipped.append(Skipped(move, reason))
        elif container and target:
            container.move_to = target
            container.save(update_fields=["move_to"])
            marked.moves.append(move)
    _tell(access, [(containers[move.container], nodes[move.target]) for move in marked.moves])
    return marked


def _amiss(move: WantedMove, container: Container | None, target: Node | None) -> str:
    """Why a move cannot be made as planned; empty when it can."""
    if target is None or target.state != NodeState.READY or target.cordoned or target.draining:
        return _("The node that it should go to takes nothing now.")
    if container is None or container.removed_at or container.state != ContainerState.RUNNING:
        return _("The container is gone.")
    if container.node_id != move.source or container.generation != container.slot.generation:
        return _("The slot has moved since.")
    if container.move_to_id is not None:
        return _("It is on its way already.")
    return _("It is bound to its node.") if _bound(container, target) else ""


def _bound(container: Container, target: Node) -> bool:
    spec = container.release.project.services.get(container.slot.service.name)
    return (
        container.app.deleting or container.node_id == target.id or spec is None or tie_of(spec) is not None
    )


def _tell(access: Access, marked: Sequence[tuple[Container, Node]]) -> None:
    for container, target in marked:
        text = f"{container.slot} is to move from {container.node_name} to {target.name}"
        team = container.app.team_id
        data = audit.change({"node": container.node_name}, {"node": target.name}, slot=str(container.slot))
        events.record(
            "slot.move", text, actor=access.actor, team=team, app=container.app_id, node=target.id, data=data
        )
    for app in {container.app.pk: container.app for container, _target in marked}.values():
        events.mark_dirty(app.id)
        events.announce(app.team_id, "app", app.id)


def under_way() -> int:
    """Containers whose slots are on their way elsewhere, of all teams."""
    return Container.objects.filter(removed_at=None).exclude(move_to=None).exclude(state__in=ENDED).count()
