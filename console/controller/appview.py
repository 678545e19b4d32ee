"""One app's rows → the frozen view that reconcile sees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import F, Q

from console.cluster.enums import JobKind
from console.cluster.models import Node
from console.controller import jobs
from console.controller.load import scheduler_state
from console.controller.requests import Known, Releases
from console.workloads import rollouts
from console.workloads.compose import Service as Spec
from console.workloads.compose import Update
from console.workloads.enums import Health, RolloutState
from console.workloads.models import App, Container, Release, Rollout, Service, Slot
from scheduler import model
from scheduler.lifecycle import State
from scheduler.placement import Cluster

_UNSEEN = (
    *(
        "image",
        "cpu",
        "memory",
        "pids",
        "cpu_limit",
        "memory_limit",
        "priority",
        "ports",
        "volumes",
        "grants",
    ),
    *("engine_id", "oom", "last_lines", "progress", "created_at", "observed_at"),
)
"""Columns of a container that decide nothing: of a large app, reading them is what would cost most."""
_CONDITIONS = {"unless-stopped": "any", "on-failure": "on-failure", "no": "none"}


@dataclass(slots=True)
class Rows:
    """An app as the database has it. Objects are shared: a container's slot is the one in `slots`."""

    app: App
    release: Known | None
    """The newest one that became ready."""
    services: dict[str, Service]
    """By name."""
    slots: dict[str, Slot]
    """Those in use, by id."""
    containers: dict[str, list[Container]]
    """By slot, newest generation first: the newest one, and all that are not removed. Not all of their columns
    are loaded."""
    removing: set[str]
    """Containers whose stop or removal was asked for and is not confirmed."""
    rollout: Rollout | None
    """The newest one of the release, ended or not: after a failed one the old generation serves on."""

    def all_containers(self) -> Iterator[Container]:
        return (each for found in self.containers.values() for each in found)


def read_rows(app: App, release: Known | None) -> Rows:
    services = {service.id: service for service in Service.objects.filter(app=app)}
    slots = {slot.id: slot for slot in Slot.objects.filter(service__app=app, retired=False)}
    for slot in slots.values():
        slot.service = services[slot.service_id]
    newest_or_there = Q(removed_at=None) | Q(generation=F("slot__generation"), slot__retired=False)
    containers: defaultdict[str, list[Container]] = defaultdict(list)
    found = Container.objects.filter(newest_or_there, app=app).order_by("-generation")
    for container in found.defer(*_UNSEEN):
        container.app = app
        if container.slot_id in slots:
            container.slot = slots[container.slot_id]
        containers[container.slot_id].append(container)
    open_ones = [each.id for found in containers.values() for each in found if each.removed_at is None]
    busy = jobs.open_for(open_ones, JobKind.STOP, JobKind.REMOVE)
    by_name = {service.name: service for service in services.values()}
    return Rows(app, release, by_name, slots, containers, busy, _newest_rollout(app, release))


def _newest_rollout(app: App, release: Known | None) -> Rollout | None:
    if release is None:
        return None
    found = Rollout.objects.filter(app=app, release=release.release).select_related("operation")
    rollout = found.order_by("-started_at").first()
    if rollout is not None:
        rollout.release = release.release
    return rollout


def app_view(
    rows: Rows, cluster: Cluster, nodes: Mapping[str, Node], releases: Releases, *, frozen: bool = False
) -> model.AppView:
    """The app as reconcile sees it. Without a ready release nothing is wanted of it."""
    named = {node for each in rows.all_containers() for node in (each.node_id, each.move_to_id) if node}
    named |= {slot.node_id for slot in rows.slots.values() if slot.node_id}
    there = [nodes[id_] for id_ in named if id_ in nodes]
    return model.AppView(
        id=rows.app.id,
        services=tuple(_services(rows, cluster, releases)),
        slots=tuple(_slot(slot, rows) for slot in rows.slots.values()),
        rollout=_rollout(rows),
        node_states={node.id: scheduler_state(node) for node in there},
        cordoned=frozenset(node.id for node in there if node.cordoned),
        frozen=frozen,
    )


# -- what is wanted


def _services(rows: Rows, cluster: Cluster, releases: Releases) -> Iterator[model.ServiceView]:
    if rows.release is None:
        return
    for name, spec in rows.release.project.services.items():
        service = rows.services.get(name)
        request = releases.request(rows.release.release.id, name)
        if service is not None and request is not None:
            yield _service(rows, rows.release, service, spec, request, cluster)


def _service(
    rows: Rows, known: Known, service: Service, spec: Spec, request: model.Request, cluster: Cluster
) -> model.ServiceView:
    mode = model.Mode(spec.mode)
    off = rows.app.stopped or rows.app.deleting or service.stopped
    replicas = 1 if mode.everywhere else service.replicas
    restart = _CONDITIONS[spec.restart.condition]
    return model.ServiceView(
        name=service.name,
        replicas=0 if off else replicas,
        digest=known.release.digests[service.name],
        request=request,
        mode=mode,
        eligible=cluster.eligible(request) if mode.everywhere and not off else (),
        restart="on-failure" if mode.job and restart == "any" else restart,
        has_healthcheck=bool(spec.healthcheck and spec.healthcheck.test[:1] != ("NONE",)),
        update=_update(spec.rollback if rows.rollout and rows.rollout.rollback else spec.update),
        depends_on=tuple(
            model.Dependency(one.service, one.condition, one.restart, one.required) for one in spec.depends_on
        ),
        bound=spec.exclusive or bool(request.volumes),
        exclusive=spec.exclusive,
        restart_epoch=_time(service.restart_at) or 0.0,
    )


def _update(config: Update) -> model.Update:
    return model.Update(
        parallelism=config.parallelism,
        delay=config.delay,
        start_first=config.order == "start-first",
        monitor=config.watched,
        max_failure_ratio=config.max_failure_ratio,
        failure_action=config.failure_action,
    )


# -- what is there


def _slot(slot: Slot, rows: Rows) -> model.SlotView:
    return model.SlotView(
        id=slot.id,
        service=slot.service.name,
        index=slot.index,
        generation=slot.generation,
        containers=tuple(_container(each, rows.removing) for each in rows.containers.get(slot.id, ())),
        failures=slot.failures,
        not_before=_time(slot.not_before) or 0.0,
        node=slot.node_id or "",
    )


def _container(container: Container, removing: set[str]) -> model.ContainerView:
    return model.ContainerView(
        id=container.id,
        slot=container.slot_id,
        generation=container.generation,
        state=State(container.state),
        digest=container.digest,
        node=container.node_id,
        health=container.health,
        running_since=_time(container.started_at),
        healthy_since=_time(container.healthy_at),
        unhealthy_since=_time(container.unhealthy_at),
        restarts=len(container.recent_restarts),
        ended_at=_time(container.ended_at),
        exit_code=container.exit_code,
        error=container.error,
        fatal=container.fatal,
        removed=container.removed_at is not None,
        stopped=bool(container.stop_reason),
        removing=container.id in removing,
        move_to=container.move_to_id or "",
    )


# -- the rollout


def _rollout(rows: Rows) -> model.RolloutView | None:
    if rows.rollout is None:
        return None
    return model.RolloutView(
        rows.rollout.id,
        model.RolloutState(rows.rollout.state),
        rows.rollout.started_at.timestamp(),
        deadline(rows, rows.rollout).timestamp(),
        rollback=rows.rollout.rollback,
        can_roll_back=_can_roll_back(rows),
    )


def deadline(rows: Rows, rollout: Rollout) -> datetime:
    """When the app's rollout is late: each slot that comes up gives the rest the whole time again, and the pause
    between two batches on top. What failed before has had its time."""
    planned = rollout.deadline
    if rows.release is None or rollout.state != RolloutState.RUNNING:
        return planned
    digests = rows.release.release.digests
    progress = [
        each.healthy_at if each.health == Health.HEALTHY and each.healthy_at else each.started_at
        for each in rows.all_containers()
        if each.state == State.RUNNING
        and each.started_at
        and each.slot_id in rows.slots
        and not each.slot.failures
        and each.digest == digests.get(each.slot.service.name)
    ]
    latest = max((at for at in progress if at), default=None)
    if latest is None or latest < rollout.started_at:
        return planned
    between = _between(rows.release, rollout)
    return max(planned, latest + timedelta(seconds=settings.ROLLOUT_DEADLINE + between))


def _between(release: Known, rollout: Rollout) -> float:
    """The longest time that may pass from one container's start to that of the next, by the file."""
    services = release.project.services.values()
    configs = [spec.rollback if rollout.rollback else spec.update for spec in services]
    return max((config.delay + config.watched for config in configs), default=0.0)


def release_to_go_back_to(rollout: Rollout) -> Release | None:
    """The last one before it that was rolled out well, unless that has the very same content."""
    before = rollouts.release_before(rollout)
    return before if before and before.digests != rollout.release.digests else None


def _can_roll_back(rows: Rows) -> bool:
    rollout = rows.rollout
    if rollout is None or rows.release is None or rollout.rollback or rollout.state != RolloutState.RUNNING:
        return False
    services = rows.release.project.services.values()
    asked = any(spec.update.failure_action == "rollback" for spec in services)
    return asked and release_to_go_back_to(rollout) is not None


def moment(time: float) -> datetime:
    """The scheduler's seconds as the database's time."""
    return datetime.fromtimestamp(time, UTC)


def _time(value: datetime | None) -> float | None:
    return value.timestamp() if value else None
