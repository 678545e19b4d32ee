"""Rows → the scheduler's frozen view, for one app and for the cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db.models import F, Q

from console.cluster.enums import JobKind, NodeState
from console.cluster.models import Node
from console.controller import jobs
from console.controller.context import Step
from console.controller.observed import found_port_taken
from console.workloads.compose import Service as Spec
from console.workloads.enums import ReleaseState
from console.workloads.models import App, Container, Release, Rollout, Service, Slot, Volume
from scheduler import model
from scheduler.lifecycle import State
from scheduler.placement import Cluster

_STATES = {
    NodeState.READY: model.NodeState.READY,
    NodeState.SUSPECT: model.NodeState.SUSPECT,
    NodeState.DOWN: model.NodeState.DOWN,
    NodeState.JOINING: model.NodeState.DOWN,
}
_CONDITIONS = {"unless-stopped": "any", "on-failure": "on-failure", "no": "none"}


PORT_MEMORY = timedelta(minutes=2)
"""How long a port that a start found taken by others is not given out on its node."""
DEFAULT_CPU = 100
DEFAULT_MEMORY = 128 * 1024 * 1024
"""What is reserved of a node for a service whose file gives neither a limit nor a reservation. The default
limits are larger: most containers idle, and a small host shall hold more than two of them."""


def wanted_release(app: App) -> Release | None:
    """The newest release that became ready."""
    return Release.objects.filter(app=app, state=ReleaseState.READY).order_by("-number").first()


def app_view(step: Step, app: App, release: Release | None) -> model.AppView:
    """The app as reconcile sees it. Without a ready release nothing is wanted of it."""
    services = list(Service.objects.filter(app=app))
    slots = list(Slot.objects.filter(service__app=app, retired=False).select_related("service"))
    newest_or_there = Q(removed_at=None) | Q(generation=F("slot__generation"))
    containers: dict[str, list[Container]] = defaultdict(list)
    for container in Container.objects.filter(newest_or_there, app=app).order_by("-generation"):
        containers[container.slot_id].append(container)
    ids = [one.id for found in containers.values() for one in found]
    removing = jobs.open_for(ids, JobKind.STOP, JobKind.REMOVE)
    wanted = [
        _service(app, service, release, spec)
        for service in services
        if release and (spec := release.project.services.get(service.name))
    ]
    return model.AppView(
        id=app.id,
        services=tuple(wanted),
        slots=tuple(_slot(slot, containers[slot.id], removing) for slot in slots),
        rollout=_rollout(app, release),
        node_states={
            node.id: scheduler_state(node)
            for found in containers.values()
            for container in found
            if (node := step.nodes.get(container.node_id))
        },
        frozen=step.frozen,
    )


def cluster(step: Step) -> Cluster:
    """All nodes with what live containers hold of them, and where volumes are."""
    live = Container.objects.exclude(state__in=[State.EXITED, State.FAILED, State.LOST]).select_related(
        "slot__service"
    )
    taken = [_found_taken(container) for container in _refused_ports(step)]
    volumes = Volume.objects.exclude(node=None).values_list("app_id", "name", "node_id")
    return Cluster(
        [scheduler_node(node) for node in step.nodes.values()],
        [*(_allocation(container) for container in live), *taken],
        {f"{app}/{name}": node for app, name, node in volumes},
    )


def _refused_ports(step: Step) -> Iterable[Container]:
    """Containers that lately could not start because somebody else on their node has a port of theirs."""
    failed = Container.objects.filter(
        state=State.FAILED, ended_at__gt=step.now - PORT_MEMORY, started_at=None
    )
    return (container for container in failed if found_port_taken(container))


def _found_taken(container: Container) -> model.Allocation:
    """Only the ports of a container, held by nobody that we know."""
    ports = tuple(model.Port(inside, host, kind) for host, inside, kind in container.ports)
    return model.Allocation(
        container=container.id,
        slot="",
        app="",
        service="",
        node=container.node_id,
        cpu=0,
        memory=0,
        ports=ports,
    )


def request(app: App, service: Service, spec: Spec, release: Release) -> model.Request:
    """What one slot of the service asks of a node."""
    image = release.images[service.name]
    return model.Request(
        slot="",
        app=app.id,
        service=service.name,
        cpu=spec.resources.cpu_reserved or (DEFAULT_CPU if "cpu" in spec.defaults else spec.resources.cpu),
        memory=spec.resources.memory_reserved
        or (DEFAULT_MEMORY if "memory" in spec.defaults else spec.resources.memory),
        pids=spec.resources.pids,
        ports=tuple(model.Port(port.container, port.host, port.protocol) for port in spec.ports),
        constraints=tuple(
            model.Constraint(one.key, one.equal, one.value) for one in spec.placement.constraints
        ),
        spread_over=spec.placement.spread,
        max_per_node=spec.placement.max_per_node,
        volumes=tuple(volume_keys(app, spec)),
        image=image["image"],
        image_local_only=image["local"],
    )


def volume_keys(app: App, spec: Spec) -> Iterable[str]:
    return (f"{app.id}/{mount.source}" for mount in spec.volumes if mount.kind == "volume")


def scheduler_state(node: Node) -> model.NodeState:
    return _STATES[NodeState(node.state)]


def scheduler_node(node: Node) -> model.Node:
    platform = {"platform.os": node.engine.get("os", ""), "platform.arch": node.engine.get("arch", "")}
    return model.Node(
        id=node.id,
        name=node.name,
        state=scheduler_state(node),
        cpu=node.cpu,
        memory=node.memory,
        pids=node.pids,
        cordoned=node.cordoned,
        labels={**platform, **node.all_labels},
        zone=node.zone,
        port_first=node.port_first or 30000,
        port_last=node.port_last or 32767,
        images=frozenset(name for image in node.images for name in (image["id"], *image.get("digests", ()))),
    )


def _service(app: App, service: Service, release: Release, spec: Spec) -> model.ServiceView:
    off = app.stopped or app.deleting or service.stopped
    return model.ServiceView(
        name=service.name,
        replicas=0 if off else service.replicas,
        digest=release.digests[service.name],
        request=request(app, service, spec, release),
        restart=_CONDITIONS[spec.restart.condition],
        has_healthcheck=bool(spec.healthcheck and spec.healthcheck.test[:1] != ("NONE",)),
        bound=bool(spec.volumes),
        restart_epoch=_time(service.restart_at) or 0.0,
    )


def _slot(slot: Slot, containers: list[Container], removing: set[str]) -> model.SlotView:
    return model.SlotView(
        id=slot.id,
        service=slot.service.name,
        index=slot.index,
        generation=slot.generation,
        containers=tuple(_container(container, container.id in removing) for container in containers),
        failures=slot.failures,
        not_before=_time(slot.not_before) or 0.0,
    )


def _container(container: Container, removing: bool) -> model.ContainerView:
    return model.ContainerView(
        id=container.id,
        slot=container.slot_id,
        generation=container.generation,
        state=State(container.state),
        digest=container.digest,
        node=container.node_id,
        health=container.health,
        running_since=_time(container.started_at),
        unhealthy_since=_time(container.unhealthy_at),
        restarts=len(container.recent_restarts),
        ended_at=_time(container.ended_at),
        exit_code=container.exit_code,
        error=container.error,
        fatal=container.fatal,
        removed=container.removed_at is not None,
        stopped=bool(container.stop_reason),
        removing=removing,
    )


def _allocation(container: Container) -> model.Allocation:
    return model.Allocation(
        container=container.id,
        slot=container.slot_id,
        app=container.app_id,
        service=container.slot.service.name,
        node=container.node_id,
        cpu=container.cpu,
        memory=container.memory,
        pids=container.pids,
        ports=tuple(model.Port(inside, host, kind) for host, inside, kind in container.ports),
        volumes=tuple(container.volumes),
    )


def _rollout(app: App, release: Release | None) -> model.RolloutView | None:
    """The newest rollout of the wanted release, ended or not: after a failed one the old generation serves on."""
    rollout = (
        Rollout.objects.filter(app=app, release=release).order_by("-started_at").first() if release else None
    )
    if rollout is None:
        return None
    return model.RolloutView(
        rollout.id,
        model.RolloutState(rollout.state),
        rollout.started_at.timestamp(),
        rollout.deadline.timestamp(),
    )


def moment(time: float) -> datetime:
    """The scheduler's seconds as the database's time."""
    return datetime.fromtimestamp(time, UTC)


def _time(value: datetime | None) -> float | None:
    return value.timestamp() if value else None
