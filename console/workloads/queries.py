"""Rows of apps and nodes for pages and API: plain objects, a fixed number of queries whatever the number of rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from console.accounts.models import Team
from console.cluster.models import Node
from console.common.prepared import Prepared
from console.workloads.compose import Service as Spec
from console.workloads.enums import (
    ENDED,
    ReleaseState,
)
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot, Volume


def apps_of(
    team: Team, *, search: str = "", service: str = "", node: str = "", only: Collection[str] | None = None
) -> QuerySet[App]:
    """The team's apps (with `only`: those of these ids), also those being deleted: with this in their names, a
    service of this name, a container on this node."""
    apps = App.objects.filter(team=team)
    if only is not None:
        apps = apps.filter(pk__in=only)
    if search:
        apps = apps.filter(name__icontains=search.strip())
    if service:
        apps = apps.filter(pk__in=Service.objects.filter(name=service, present=True).values("app"))
    if node:
        there = Container.objects.filter(named(node), app__team=team, removed_at=None)
        apps = apps.filter(pk__in=there.values("app"))
    return apps


def named(node: str) -> Q:
    """What is on the node of this name or id, or was when that was removed."""
    return Q(node__name=node) | Q(node=node) | Q(node=None, former_node=node)


def app_names(team: Team) -> dict[str, str]:
    """Names of the team's apps by id, in order."""
    return dict(App.objects.filter(team=team, deleting=False).order_by("name").values_list("id", "name"))


def spec_of(service: Service) -> Spec | None:
    """The service in the newest release that became ready, or else in the newest at all."""
    releases = Release.objects.filter(app=service.app_id)
    release = releases.filter(state=ReleaseState.READY).first() or releases.first()
    return release.project.services.get(service.name) if release else None


def remedies_of(app: App) -> dict[str, list[str]]:
    """What would make slots fit that wait for a node: by the first slot of those that were refused together."""
    waiting = Slot.objects.filter(service__app=app, retired=False).exclude(pending="")
    found = waiting.exclude(explanation=None).order_by("-index")
    rows = found.values_list("explanation", "id", "explanation__remedies")
    first = {explanation: (slot, remedies) for explanation, slot, remedies in rows}
    return {slot: remedies for slot, remedies in first.values() if remedies}


def releases_of(app: App) -> list[Release]:
    return list(Release.objects.filter(app=app).order_by("-number"))


def rollouts_of(app: App, limit: int = 20) -> list[Rollout]:
    return list(Rollout.objects.filter(app=app).select_related("release")[:limit])


def operations_of(app: App, limit: int = 20) -> list[Operation]:
    return list(Operation.objects.filter(team=app.team_id, app_id=app.id)[:limit])


def containers_of(app: App, *, ended: bool = False, limit: int = 200) -> list[Container]:
    """On nodes now; with `ended` also those that are gone, newest first."""
    rows = Container.objects.filter(app=app).select_related("slot__service", "node", "release")
    return list((rows if ended else rows.filter(removed_at=None))[:limit])


def gone_from(app: App, *, since: datetime | None = None, limit: int = 500) -> list[Container]:
    """Containers that are on no node any more, newest first; of those that ended before `since` none."""
    rows = Container.objects.filter(app=app).exclude(removed_at=None)
    rows = rows.exclude(ended_at__lt=since) if since else rows
    return list(rows.select_related("app", "slot__service", "node")[:limit])


def containers_on(node: Node, team: Team) -> list[Container]:
    """The team's containers on a node. Another team's are not shown."""
    rows = Container.objects.filter(node=node, app__team=team, removed_at=None)
    return list(rows.select_related("app", "slot__service", "node", "release"))


@dataclass(frozen=True, slots=True)
class Placed:
    """A container by names: what it is to people."""

    container: str
    app: str
    service: str
    index: int


def placed(team: Team, containers: Collection[str]) -> dict[str, Placed]:
    """By id, those of these containers that are the team's."""
    rows = Container.objects.filter(pk__in=containers, app__team=team)
    names = rows.values_list("id", "app__name", "slot__service__name", "slot__index")
    return {row[0]: Placed(*row) for row in names}


def past_of(app: App, *, slot: Slot | None = None, limit: int = 60) -> list[Container]:
    """Containers of the app, or of one slot, that are gone from their nodes, newest first."""
    rows = Container.objects.filter(app=app).exclude(removed_at=None)
    rows = rows.filter(slot=slot) if slot else rows
    return list(rows.select_related("slot__service", "node", "release")[:limit])


def volumes_of(app: App) -> list[Volume]:
    return _VOLUMES(app.pk)


_VOLUMES = Prepared(lambda app: Volume.objects.filter(app=app).select_related("node"))


def node_load() -> dict[str, tuple[int, int, int]]:
    """By node id: containers, reserved CPU (thousandths), reserved memory (bytes), of all teams."""
    load: dict[str, tuple[int, int, int]] = {}
    live = Container.objects.filter(removed_at=None).exclude(state__in=ENDED)
    for node, cpu, memory in live.values_list("node_id", "cpu", "memory"):
        count, cpus, bytes_ = load.get(node, (0, 0, 0))
        load[node] = (count + 1, cpus + cpu, bytes_ + memory)
    return load


def team_operations(
    team: Team,
    *,
    app: App | None = None,
    state: str = "",
    kind: str = "",
    since: datetime | None = None,
    only: Collection[str] | None = None,
) -> QuerySet[Operation]:
    """The team's, or with `only` those of these apps."""
    chosen = {"app_id": app and app.id, "state": state, "kind": kind, "created_at__gte": since}
    rows = Operation.objects.filter(team=team, **{name: value for name, value in chosen.items() if value})
    return rows if only is None else rows.filter(app_id__in=only)


def app_containers(
    app: App,
    *,
    ended: bool = False,
    state: str = "",
    service: str = "",
    node: str = "",
    since: datetime | None = None,
) -> QuerySet[Container]:
    """On nodes now; with `ended` also those that are gone."""
    rows = Container.objects.filter(app=app).select_related("app", "slot__service", "node", "release")
    rows = rows.filter(named(node)) if node else rows
    chosen = {"state": state, "slot__service__name": service, "created_at__gte": since}
    rows = rows.filter(**{name: value for name, value in chosen.items() if value})
    return rows if ended else rows.filter(removed_at=None)
