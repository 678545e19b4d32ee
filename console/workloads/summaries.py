"""Apps as pages and API show them: what is wanted, what runs, and what that makes of the app. A fixed number of
queries whatever the number of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from console.accounts.models import Team
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
from console.workloads.models import App, Container, Release, Rollout, Service, Slot
from scheduler.model import Mode

STEADY = timedelta(minutes=10)
"""What has run for so long without a restart counts as steady: failures in its slot count anew."""
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

    def needs_attention(self, now: datetime) -> bool:
        """Less runs than is wanted, the last rollout failed, or an engine has to start something again and again."""
        if self.state in (AppState.FAILED, AppState.DEGRADED):
            return True
        failed = self.rollout is not None and self.rollout.state == RolloutState.FAILED
        return self.wanted > 0 and (failed or bool(self.unsteady(now)))

    def unsteady(self, now: datetime) -> list[Container]:
        """Those that run, and that their engine started again a short while ago."""
        current = (slot.current for service in self.services for slot in service.slots)
        return [
            container
            for container in current
            if container
            and container.state == ContainerState.RUNNING
            and container.restarts
            and (container.started_at or now) > now - STEADY
        ]


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


def summarize(apps: Sequence[App], *, brief: bool = False) -> list[AppSummary]:
    """In as many queries for one app as for many. `brief` is for a list, which does not show containers."""
    rows = _load(apps, brief=brief)
    return [_summary(app, rows) for app in apps]


def all_summaries() -> list[AppSummary]:
    """Of all teams."""
    return summarize(list(App.objects.select_related("team")))


def summary(app: App) -> AppSummary:
    return summarize([app])[0]


def slot_detail(app: App, slot: Slot) -> tuple[ServiceDetail, SlotDetail]:
    """The slot as the app's summary has it, and its service."""
    details = ((service, found) for service in summary(app).services for found in service.slots)
    return next(pair for pair in details if pair[1].slot.pk == slot.pk)


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
