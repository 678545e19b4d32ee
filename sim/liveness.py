"""What must hold once the faults have stopped: what is wanted runs, nothing else does, and all is quiet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from console.cluster.enums import NodeState
from console.cluster.models import Job, Node
from console.common.prepared import Prepared
from console.workloads.enums import UNDER_WAY, OperationState, ReleaseState, RolloutState
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot
from scheduler.lifecycle import State
from sim.shapes import ENDS

if TYPE_CHECKING:
    from sim.world import World

_NOT_READY = Prepared(lambda: Node.objects.exclude(state=NodeState.READY))
_OPEN_JOBS = Prepared(lambda: Job.objects.filter(done_at=None))
_DELETING = Prepared(lambda: App.objects.filter(deleting=True))
_APPS = Prepared(lambda: App.objects.filter(deleting=False).order_by("id"))
_RELEASES_THAT_ARE = Prepared(lambda state: Release.objects.filter(state=state).select_related("app"))
_NEWEST_READY = Prepared(
    lambda app: Release.objects.filter(app=app, state=ReleaseState.READY).order_by("-number")[:1]
)
_ROLLOUTS = Prepared(
    lambda states: Rollout.objects.filter(state__in=states).select_related("app", "release__app")
)
_LATEST_ROLLOUT = Prepared(
    lambda app: Rollout.objects.filter(app=app).order_by("-started_at", "-release__number")[:1]
)
_OPERATIONS = Prepared(lambda: Operation.objects.filter(state=OperationState.RUNNING))
_SERVICES = Prepared(lambda app: Service.objects.filter(app=app, is_command=False).order_by("name"))
_SLOTS = Prepared(
    lambda service: Slot.objects.filter(service=service, retired=False).select_related("service__app")
)
_PENDING: Prepared[str] = Prepared(
    lambda: Slot.objects.filter(retired=False).exclude(pending="").values_list("service__app_id", flat=True)
)
_CONTAINERS = Prepared(lambda slot: Container.objects.filter(slot=slot).order_by("-generation"))
_THERE = Prepared(lambda: Container.objects.filter(removed_at=None))
_LIVE_ON = Prepared(
    lambda node: (
        Container.objects.filter(node_id=node)
        .exclude(state__in=[State.EXITED, State.FAILED, State.LOST])
        .select_related("slot")
    )
)
_NO_ROOM = ("had no node", "still had its old container")


def unsettled(world: World) -> str:
    """Why observed is not yet desired; empty when it is."""
    return next(_reasons(world), "")


def _reasons(world: World) -> Iterator[str]:
    for node in _NOT_READY():
        yield f"{node.name} is {node.state}: {node.state_reason}"
    for job in _OPEN_JOBS():
        yield f"job {job.id} ({job.kind}) of {world.name_of(job.node_id)} is open: {job.message}"
    for app in _DELETING():
        yield f"{app.name} is not deleted yet"
    for release in _RELEASES_THAT_ARE(ReleaseState.RESOLVING):
        yield f"{release} is resolving"
    for release in _RELEASES_THAT_ARE(ReleaseState.PREPARING):
        if not _held_up(release.app):
            yield f"the release command of {release} runs"
    for rollout in _ROLLOUTS(UNDER_WAY):
        if _held_up(rollout.app):
            continue
        yield f"{rollout} is running"
    yield from _operations()
    expected: dict[str, str] = {}
    for app in _APPS():
        yield from _app(world, app, expected)
    yield from _engines(world, expected)


def _operations() -> Iterator[str]:
    """One waits as long as a slot of its app finds no node; whether one should is asked elsewhere."""
    waiting = set(_PENDING())
    for operation in _OPERATIONS():
        if operation.app_id in waiting:
            continue
        if (app := App.objects.filter(pk=operation.app_id).first()) and _held_up(app):
            continue
        yield f"operation {operation} is running: {operation.steps[-1]}"


def _app(world: World, app: App, expected: dict[str, str]) -> Iterator[str]:
    release = next(iter(_NEWEST_READY(app.id)), None)
    wanted = set(release.project.services) if release else set()
    for service in _SERVICES(app.id):
        off = app.stopped or service.stopped or service.name not in wanted
        replicas = 0 if off else service.replicas
        slots = {slot.index: slot for slot in _SLOTS(service.id)}
        if service.name == "everywhere":
            nodes = set() if off else set(world.hosts)
            if {slot.node_id for slot in slots.values()} != nodes:
                yield f"{app.name}/{service.name} has slots for other nodes than there are"
        elif slots.keys() != set(range(1, replicas + 1)):
            yield f"{app.name}/{service.name} has the slots {sorted(slots)}, {replicas} are wanted"
        for slot in slots.values():
            assert release is not None
            yield from _slot(world, app, slot, release.digests[service.name], expected)


def _slot(world: World, app: App, slot: Slot, digest: str, expected: dict[str, str]) -> Iterator[str]:
    name = f"{app.name}/{slot}"
    found = _CONTAINERS(slot.id)
    # An earlier generation serves where the newest was stopped on its way.
    current = next((one for one in found if not State(one.state).ended), found[0] if found else None)
    if current is None or (slot.pending and State(current.state).ended):
        if not _room(world, slot) or (slot.service.name == "follower" and _held_up(app)):
            return
        yield f"{name} has no container: {slot.pending}"
        return
    if slot.service.name in ENDS and State(current.state).ended:
        return
    if current.state != State.RUNNING:
        yield f"{name} is {current.state}: {current.error}; not before {slot.not_before}, {slot.failures} failures"
    if current.digest != digest and not _held_up(app):
        yield f"{name} runs an old release"
    expected[current.id] = current.node_id


def _held_up(app: App) -> bool:
    """Its rollout waits for, or ran out of time over, a slot that no node has room for: the old release serves
    on. An operation that waits for all to be well goes on waiting then."""
    rollout = next(iter(_LATEST_ROLLOUT(app.id)), None)
    if app.id in _PENDING():
        return True
    if app.stopped and Release.objects.filter(app=app, state=ReleaseState.PREPARING).exists():
        # Its release command runs once it is started.
        return True
    failed = rollout is not None and rollout.state == RolloutState.FAILED
    return failed and rollout is not None and any(why in rollout.reason for why in _NO_ROOM)


def _room(world: World, slot: Slot) -> bool:
    """Whether some node could take the slot, by an arithmetic of our own."""
    kind = slot.service.name
    need = {"big": 400, "urgent": 300}.get(kind, 100)
    volume = slot.service.app.volumes.first() if kind == "bound" else None
    for host in world.hosts.values():
        if kind == "pinned" and host.labels.get("disk") != "ssd":
            continue
        if volume is not None and volume.node_id not in (None, host.node):
            continue
        here = _LIVE_ON(host.node)
        if kind == "capped" and any(one.slot.service_id == slot.service_id for one in here):
            continue
        if kind in ("fixed", "ported") and len(here) > 0:
            continue
        if sum(one.cpu for one in here) + need <= host.capacity.cpu:
            return True
    return False


def _engines(world: World, expected: dict[str, str]) -> Iterator[str]:
    left = dict(expected)
    for host in world.hosts.values():
        for identity, state in host.boxes:
            if left.pop(identity.container, None) != host.node:
                yield f"{host.name} still has {identity.name} g{identity.generation} ({state})"
            elif state != "running":
                yield f"{identity.name} on {host.name} is {state}"
    for container in left:
        yield f"container {container} is nowhere"
    for row in _THERE():
        if row.id in expected:
            continue
        yield f"{row.name} g{row.generation} ({row.state}) is not removed"
