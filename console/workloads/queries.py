"""Reads across tables for pages and API: plain objects, a fixed number of queries whatever the number of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from console.accounts.models import Team
from console.cluster.models import Node
from console.common.models import Event
from console.common.prepared import Prepared
from console.workloads.compose import Service as Spec
from console.workloads.compose import Update
from console.workloads.enums import (
    ENDED,
    AppState,
    ContainerState,
    Health,
    ReleaseState,
    RolloutState,
)
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot, Volume
from scheduler.model import Mode

_UNDER_WAY = {RolloutState.RUNNING: AppState.DEPLOYING, RolloutState.PAUSED: AppState.PAUSED}


@dataclass(frozen=True, slots=True)
class SlotDetail:
    """A slot with its newest container, and older ones that are still on a node."""

    slot: Slot
    current: Container | None
    older: Sequence[Container] = ()


@dataclass(frozen=True, slots=True)
class ServiceDetail:
    """A service: wanted replicas (of a global one: its slots), how many are well (running, and healthy where a
    check says so; of a job also: done), and live."""

    service: Service
    wanted: int
    well: int
    live: int
    slots: Sequence[SlotDetail] = ()
    spec: Spec | None = None
    """As in the wanted release; None while no release has been ready."""

    @property
    def mode(self) -> Mode:
        return Mode(self.spec.mode) if self.spec else Mode.REPLICATED

    @property
    def update(self) -> Update | None:
        """How a release replaces its containers, with what its file leaves open decided."""
        return self.spec.filled_in(self.spec.update, self._slots) if self.spec else None

    @property
    def rollback(self) -> Update | None:
        """The same of the way back."""
        return self.spec.filled_in(self.spec.rollback, self._slots) if self.spec else None

    @property
    def _slots(self) -> int:
        return len(self.slots) if self.mode.everywhere else self.service.replicas


@dataclass(frozen=True, slots=True)
class AppSummary:
    app: App
    state: AppState
    release: Release | None
    """Newest release that became ready, or the newest at all."""
    rollout: Rollout | None
    services: Sequence[ServiceDetail] = ()
    urls: Sequence[str] = ()

    @property
    def wanted(self) -> int:
        return sum(service.wanted for service in self.services)

    @property
    def well(self) -> int:
        return sum(service.well for service in self.services)


@dataclass(slots=True)
class _Rows:
    services: dict[str, list[Service]] = field(default_factory=lambda: defaultdict(list))
    slots: dict[str, list[Slot]] = field(default_factory=lambda: defaultdict(list))
    containers: dict[str, list[Container]] = field(default_factory=lambda: defaultdict(list))
    releases: dict[str, Release] = field(default_factory=dict)
    rollouts: dict[str, Rollout] = field(default_factory=dict)

    def take(self, container: Container, slots: Mapping[str, Slot]) -> None:
        if slot := slots.get(container.slot_id):
            container.slot = slot
        self.containers[container.slot_id].append(container)


def is_well(container: Container) -> bool:
    return container.state == ContainerState.RUNNING and container.health in (Health.NONE, Health.HEALTHY)


def is_done(container: Container) -> bool:
    """Its work was to end, and it did so by itself."""
    return container.state == ContainerState.EXITED and container.exit_code == 0 and not container.stop_reason


def summaries(team: Team, *, search: str = "", only: Collection[str] | None = None) -> list[AppSummary]:
    """The team's apps (with `only`: those of these ids) by name, those being deleted last."""
    apps = App.objects.filter(team=team, name__icontains=search.strip()).order_by("deleting", "name")
    return summarize(list(apps if only is None else apps.filter(pk__in=only)))


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


def summarize(apps: Sequence[App], *, brief: bool = False) -> list[AppSummary]:
    """In as many queries for one app as for many. `brief` is for a list, which does not show containers."""
    rows = _load(apps, brief=brief)
    return [_summary(app, rows) for app in apps]


def all_summaries() -> list[AppSummary]:
    """Of all teams."""
    return summarize(list(App.objects.select_related("team")))


def app_names(team: Team) -> dict[str, str]:
    """Names of the team's apps by id, in order."""
    return dict(App.objects.filter(team=team, deleting=False).order_by("name").values_list("id", "name"))


def summary(app: App) -> AppSummary:
    return summarize([app])[0]


def spec_of(service: Service) -> Spec | None:
    """The service in the newest release that became ready, or else in the newest at all."""
    releases = Release.objects.filter(app=service.app_id)
    release = releases.filter(state=ReleaseState.READY).first() or releases.first()
    return release.project.services.get(service.name) if release else None


def slot_detail(app: App, slot: Slot) -> tuple[ServiceDetail, SlotDetail]:
    """The slot as the app's summary has it, and its service."""
    details = ((service, found) for service in summary(app).services for found in service.slots)
    return next(pair for pair in details if pair[1].slot.pk == slot.pk)


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


def _load(apps: Sequence[App], *, brief: bool = False) -> _Rows:
    """Nothing of it reads an app's history, however long that is."""
    rows, of_app = _Rows(), {app.pk: app for app in apps}
    for rollout in _LAST_ROLLOUTS(of_app):
        rows.rollouts[rollout.app_id] = rollout
        if rollout.release.state == ReleaseState.READY:
            rows.releases[rollout.app_id] = rollout.release
    if rest := [app.pk for app in apps if app.pk not in rows.releases]:
        rows.releases |= {each.app_id: each for each in _CHOSEN_RELEASES(rest)}
    services = {service.pk: service for service in _SERVICES(of_app)}
    for service in services.values():
        service.app = of_app[service.app_id]
        rows.services[service.app_id].append(service)
    slots = {slot.pk: slot for slot in _SLOTS(of_app)}
    for slot in slots.values():
        slot.service = services[slot.service_id]
        rows.slots[slot.service_id].append(slot)
    for container in _BRIEF_CONTAINERS(of_app) if brief else _CONTAINERS(of_app):
        rows.take(container, slots)
    if finite := _finite(rows):
        # What a job did stands for its slot also when nothing is left of it.
        done = Q(generation=F("slot__generation"), state=ContainerState.EXITED, exit_code=0, stop_reason="")
        gone = Container.objects.filter(done, slot__service__in=finite).exclude(removed_at=None)
        for container in _with_node(gone, brief=brief):
            rows.take(container, slots)
    _give_releases(rows)
    return rows


def _with_node(containers: QuerySet[Container], *, brief: bool) -> QuerySet[Container]:
    """Newest first. Columns of JSON cost more than all others of a row: those that nobody looks at stay where they
    are, and `brief` leaves out what a list does not show."""
    unseen = ["recent_restarts", *(f"node__{name}" for name in _NODE_JSON)]
    unseen += ["last_lines", "grants", "volumes"] if brief else []
    return containers.select_related("node").defer(*unseen).order_by("-generation")


_TEXTS = ("compose", "files")
"""Of a release: they may be long, and no summary shows them."""
_NODE_JSON = ("labels", "observed_labels", "engine", "resources")


def _last_rollouts(apps: Collection[str]) -> QuerySet[Rollout]:
    """Each app's newest, with its release."""
    last = Rollout.objects.filter(app=OuterRef("pk")).order_by("-started_at").values("pk")[:1]
    of_apps = App.objects.filter(pk__in=apps).order_by().annotate(last=Subquery(last)).values("last")
    rows = Rollout.objects.filter(pk__in=of_apps).select_related("release").order_by()
    return rows.defer(*(f"release__{name}" for name in _TEXTS))


def _chosen_releases(apps: Collection[str]) -> QuerySet[Release]:
    """Of each app the newest that became ready, or else the newest at all."""
    own = Release.objects.filter(app=OuterRef("pk")).order_by("-number").values("pk")
    chosen = Coalesce(Subquery(own.filter(state=ReleaseState.READY)[:1]), Subquery(own[:1]))
    of_apps = App.objects.filter(pk__in=apps).order_by().annotate(chosen=chosen).values("chosen")
    return Release.objects.filter(pk__in=of_apps).order_by().defer(*_TEXTS)


def _on_nodes(apps: Collection[str], *, brief: bool = False) -> QuerySet[Container]:
    return _with_node(Container.objects.filter(app__in=apps, removed_at=None), brief=brief)


_LAST_ROLLOUTS, _CHOSEN_RELEASES = Prepared(_last_rollouts), Prepared(_chosen_releases)
_SERVICES = Prepared(lambda apps: Service.objects.filter(app__in=apps))
_SLOTS = Prepared(lambda apps: Slot.objects.filter(service__app__in=apps, retired=False))
_CONTAINERS, _BRIEF_CONTAINERS = Prepared(_on_nodes), Prepared(partial(_on_nodes, brief=True))


def _give_releases(rows: _Rows) -> None:
    """Each container its release. Most have the app's own; others are read in one query, without their texts."""
    known = {release.pk: release for release in rows.releases.values()}
    containers = [container for found in rows.containers.values() for container in found]
    if missing := {container.release_id for container in containers} - set(known):
        known |= Release.objects.defer(*_TEXTS, "model").in_bulk(missing)
    for container in containers:
        container.release = known[container.release_id]


def _finite(rows: _Rows) -> list[str]:
    """Ids of the services whose containers end by themselves."""
    return [
        service.id
        for app, release in rows.releases.items()
        for services in [release.project.services]
        for service in rows.services[app]
        if service.name in services and _ends(services[service.name])
    ]


def _ends(spec: Spec) -> bool:
    return Mode(spec.mode).job or spec.restart.condition != "unless-stopped"


def _summary(app: App, rows: _Rows) -> AppSummary:
    release, rollout = rows.releases.get(app.id), rows.rollouts.get(app.id)
    specs = release.project.services if release else {}
    services = [
        detail
        for service in rows.services[app.id]
        if (detail := _service(app, service, rows, specs.get(service.name))).slots or service.present
    ]
    live = (slot.current for service in services for slot in service.slots)
    urls = [url for container in live if container and is_well(container) for url in container.urls]
    return AppSummary(app, _state(app, rollout, services), release, rollout, services, urls)


def _service(app: App, service: Service, rows: _Rows, spec: Spec | None) -> ServiceDetail:
    finite = spec is not None and _ends(spec)
    slots = [
        SlotDetail(slot, found[0] if found else None, found[1:])
        for slot in rows.slots[service.id]
        for found in [[one for one in rows.containers[slot.id] if finite or one.removed_at is None]]
    ]
    current = [slot.current for slot in slots if slot.current]
    off = app.stopped or app.deleting or service.stopped or not service.present
    everywhere = spec is not None and Mode(spec.mode).everywhere
    return ServiceDetail(
        service=service,
        wanted=0 if off else len(slots) if everywhere else service.replicas,
        well=sum(is_well(container) or (finite and is_done(container)) for container in current),
        live=sum(container.state not in ENDED for container in current),
        slots=slots,
        spec=spec,
    )


def _state(app: App, rollout: Rollout | None, services: Iterable[ServiceDetail]) -> AppState:
    wanted = sum(service.wanted for service in services)
    well = sum(min(service.well, service.wanted) for service in services)
    if app.deleting:
        return AppState.DELETING
    if rollout and rollout.state in _UNDER_WAY:
        return _UNDER_WAY[RolloutState(rollout.state)]
    if not wanted:
        return AppState.STOPPED
    if well >= wanted:
        return AppState.RUNNING
    failed = rollout is not None and rollout.state == RolloutState.FAILED
    return AppState.FAILED if failed and not well else AppState.DEGRADED


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
