"""Reads across tables for pages and API: plain objects, a fixed number of queries whatever the number of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import F, Q

from console.accounts.models import Team
from console.cluster.models import Node
from console.common.models import Event
from console.workloads.compose import Service as Spec
from console.workloads.compose import Update
from console.workloads.enums import (
    AppState,
    ContainerState,
    Health,
    OperationState,
    ReleaseState,
    RolloutState,
)
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot, Volume
from scheduler.model import Mode

ENDED = (ContainerState.EXITED, ContainerState.FAILED, ContainerState.LOST)
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


def is_well(container: Container) -> bool:
    return container.state == ContainerState.RUNNING and container.health in (Health.NONE, Health.HEALTHY)


def is_done(container: Container) -> bool:
    """Its work was to end, and it did so by itself."""
    return container.state == ContainerState.EXITED and container.exit_code == 0 and not container.stop_reason


def summaries(team: Team, *, search: str = "", only: Collection[str] | None = None) -> list[AppSummary]:
    """The team's apps (with `only`: those of these ids) by name, those being deleted last."""
    apps = App.objects.filter(team=team, name__icontains=search.strip()).order_by("deleting", "name")
    return _summarize(list(apps if only is None else apps.filter(pk__in=only)))


def all_summaries() -> list[AppSummary]:
    """Of all teams."""
    return _summarize(list(App.objects.select_related("team")))


def summary(app: App) -> AppSummary:
    return _summarize([app])[0]


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
    return list(Volume.objects.filter(app=app).select_related("node"))


def node_load() -> dict[str, tuple[int, int, int]]:
    """By node id: containers, reserved CPU (thousandths), reserved memory (bytes), of all teams."""
    load: dict[str, tuple[int, int, int]] = {}
    live = Container.objects.filter(removed_at=None).exclude(state__in=ENDED)
    for node, cpu, memory in live.values_list("node_id", "cpu", "memory"):
        count, cpus, bytes_ = load.get(node, (0, 0, 0))
        load[node] = (count + 1, cpus + cpu, bytes_ + memory)
    return load


def events_of(
    team: Team, *, app: App | None = None, node: Node | None = None, before: int = 0, limit: int = 50
) -> list[Event]:
    """The team's history and that of the shared nodes, newest first; `before` is the id to go on from."""
    events = Event.objects.filter(Q(team_id=team.id) | Q(team_id="")).order_by("-id")
    if app:
        events = events.filter(team_id=team.id, app_id=app.id)
    if node:
        events = events.filter(node_id=node.id)
    if before:
        events = events.filter(id__lt=before)
    return list(events[:limit])


def _summarize(apps: list[App]) -> list[AppSummary]:
    rows = _load(apps)
    return [_summary(app, rows) for app in apps]


def _load(apps: list[App]) -> _Rows:
    rows = _Rows()
    for release in Release.objects.filter(app__in=apps).order_by("number").defer("compose", "files"):
        known = rows.releases.get(release.app_id)
        if known is None or release.state == ReleaseState.READY or known.state != ReleaseState.READY:
            rows.releases[release.app_id] = release
    for rollout in Rollout.objects.filter(app__in=apps).select_related("operation").order_by("started_at"):
        rows.rollouts[rollout.app_id] = rollout
    for service in Service.objects.filter(app__in=apps).select_related("app"):
        rows.services[service.app_id].append(service)
    for slot in Slot.objects.filter(service__app__in=apps, retired=False).select_related("service"):
        rows.slots[slot.service_id].append(slot)
    # What a job did stands for its slot also when nothing is left of it.
    done = Q(generation=F("slot__generation"), state=ContainerState.EXITED, exit_code=0, stop_reason="")
    containers = Container.objects.filter(Q(removed_at=None) | done, app__in=apps)
    for container in containers.select_related("node", "release", "slot").order_by("-generation"):
        rows.containers[container.slot_id].append(container)
    return rows


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
    finite = spec is not None and (Mode(spec.mode).job or spec.restart.condition != "unless-stopped")
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


def running_operations(team: Team, *, only: Collection[str] | None = None) -> list[Operation]:
    """The team's, or with `only` those of these apps."""
    rows = Operation.objects.filter(team=team, state=OperationState.RUNNING)
    return list((rows if only is None else rows.filter(app_id__in=only))[:50])
