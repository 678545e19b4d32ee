"""One app's rows → the frozen view that reconcile sees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from django.conf import settings
from django.db.models import F

from console.cluster.enums import JobKind
from console.cluster.models import Node
from console.common.prepared import Prepared
from console.controller import jobs
from console.controller.ahead import ahead, begun, digest_of
from console.controller.load import scheduler_state
from console.controller.requests import Known, Releases
from console.controller.rows import chunks
from console.controller.wishes import Wish
from console.workloads import rollouts
from console.workloads.compose import Service as Spec
from console.workloads.compose import Update
from console.workloads.enums import Health, OperationState, RolloutState
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot
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
_CONTAINERS = Prepared(
    lambda app: Container.objects.filter(app=app, removed_at=None).order_by("-generation").defer(*_UNSEEN)
)
_NEWEST = Prepared(
    lambda slots: Container.objects.filter(slot__in=slots, generation=F("slot__generation")).defer(*_UNSEEN)
)
_SLOTS = Prepared(lambda app: Slot.objects.filter(service__app=app, retired=False))
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
    """Containers that have ended, and whose stop or removal was asked for and is not confirmed."""
    rollout: Rollout | None
    """The newest one of the release, ended or not: after a failed one the old generation serves on."""
    operations: list[Operation]
    """Those under way, oldest first."""
    coming: Known | None = None
    """A newer release, whose commands have yet to succeed."""
    attempt: Rollout | None = None
    """Its rollout."""
    ahead: Mapping[str, Spec] = field(default_factory=dict)
    """What of it is wanted already, by name."""

    def known(self, service: str) -> Known:
        """The release of which the service is wanted."""
        found = self.coming if service in self.ahead else self.release
        assert found is not None  # noqa: S101  (something of it is wanted)
        return found

    def all_containers(self) -> Iterator[Container]:
        return (each for found in self.containers.values() for each in found)


def read_rows(wish: Wish, release: Known | None, coming: Known | None = None) -> Rows:
    """`release` and `coming`: the wish's ready one and the one that is preparing, unless they cannot be read."""
    app, services = wish.app, wish.services
    slots = {slot.id: slot for slot in _SLOTS(app.id)}
    for slot in slots.values():
        slot.service = services[slot.service_id]
    there = _CONTAINERS(app.id)
    ended = [each.id for each in there if State(each.state).ended]
    removing = jobs.open_for(ended, JobKind.STOP, JobKind.REMOVE)
    containers: defaultdict[str, list[Container]] = defaultdict(list)
    for container in [*_newest_gone(slots, there), *there]:
        container.app = app
        if container.slot_id in slots:
            container.slot = slots[container.slot_id]
        containers[container.slot_id].append(container)
    by_name = {service.name: service for service in services.values()}
    rollout = wish.rollout if release else None
    if release and rollout:
        rollout.release = release.release
    running = [each for each in wish.operations if each.state == OperationState.RUNNING]
    found_ahead = ahead(coming, release, chain(*containers.values())) if coming else {}
    return Rows(
        *(app, release, by_name, slots, containers, removing, rollout, running),
        coming=coming,
        attempt=wish.attempt if coming else None,
        ahead=found_ahead,
    )


def _newest_gone(slots: Mapping[str, Slot], there: Iterable[Container]) -> list[Container]:
    """Of slots whose newest container is removed: that one. Most slots' is there, and one statement for both would be
    a join of all; with what a database knows of tables that were empty a moment ago, that took minutes."""
    shown = {(each.slot_id, each.generation) for each in there}
    gone = [slot.id for slot in slots.values() if slot.generation and (slot.id, slot.generation) not in shown]
    return [container for ids in chunks(gone) for container in _NEWEST(ids)]


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
        commands_by=_commands_by(rows),
    )


# -- what is wanted


def _services(rows: Rows, cluster: Cluster, releases: Releases) -> Iterator[model.ServiceView]:
    present = rows.release.project.services if rows.release else {}
    for name, spec in {**present, **rows.ahead}.items():
        service, known = rows.services.get(name), rows.known(name)
        request = releases.request(known.release.id, name)
        if service is not None and request is not None:
            yield _service(rows, known, service, spec, request, cluster)


def _service(
    rows: Rows, known: Known, service: Service, spec: Spec, request: model.Request, cluster: Cluster
) -> model.ServiceView:
    mode = model.Mode(spec.mode)
    off = rows.app.deleting or _stopped(rows, service, spec)
    restart = _CONDITIONS[spec.restart.condition]
    eligible = cluster.eligible(request) if mode.everywhere and not off else ()
    replicas = len(eligible) if mode.everywhere else service.replicas
    config = spec.rollback if rows.rollout and rows.rollout.rollback else spec.update
    return model.ServiceView(
        name=service.name,
        replicas=0 if off else 1 if mode.everywhere else replicas,
        digest=digest_of(known, spec),
        request=request,
        mode=mode,
        eligible=eligible,
        restart="on-failure" if mode.job and restart == "any" else restart,
        attempts=spec.restart.max_attempts if spec.restart.delay else 0,
        has_healthcheck=spec.checked,
        update=_update(spec.filled_in(config, replicas)),
        depends_on=tuple(
            model.Dependency(one.service, one.condition, one.restart, one.required) for one in spec.depends_on
        ),
        bound=spec.exclusive or bool(request.volumes),
        exclusive=spec.exclusive,
        restart_epoch=_time(service.restart_at) or 0.0,
        ahead=spec.name in rows.ahead,
        command=_is_command(rows, spec),
    )


def _is_command(rows: Rows, spec: Spec) -> bool:
    return (
        spec.name in rows.ahead and rows.coming is not None and spec.name not in rows.coming.project.services
    )


def _stopped(rows: Rows, service: Service, spec: Spec) -> bool:
    """A release command that has begun goes on to its end; else it waits until its app is started."""
    if rows.coming is not None and _is_command(rows, spec):
        return rows.app.stopped and not begun(rows.coming, spec, rows.all_containers())
    return rows.app.stopped or service.stopped


def _commands_by(rows: Rows) -> float:
    """Their time runs from when they can run."""
    attempt = rows.attempt
    if attempt is None or attempt.state != RolloutState.RUNNING or commands_wait_for_start(rows):
        return float("inf")
    return attempt.deadline.timestamp()


def commands_wait_for_start(rows: Rows) -> bool:
    """What they need is not there while their app is stopped."""
    coming = rows.coming
    if coming is None or not rows.app.stopped:
        return False
    commands = coming.project.commands.values()
    return not any(begun(coming, each, rows.all_containers()) for each in commands)


def _update(config: Update) -> model.Update:
    return model.Update(
        parallelism=config.parallelism or 0,
        delay=config.delay,
        start_first=config.order == "start-first",
        monitor=config.monitor,
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
        waiting=bool(slot.pending),
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
    state = model.RolloutState(rows.rollout.state)
    if rows.coming is not None and state is model.RolloutState.SUPERSEDED:
        # Where it stood when a newer one came, until it is known whether that one will be.
        state = model.RolloutState.PAUSED
    return model.RolloutView(
        rows.rollout.id,
        state,
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
    configs = [spec.filled_in(spec.rollback if rollout.rollback else spec.update, 1) for spec in services]
    return max((config.delay + config.monitor for config in configs), default=0.0)


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
