"""The outbox: which job a container's state asks for, saved in the transaction that decided it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from django.db.models import Count, Q

from console.accounts.models import Team
from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.cluster.queries import cluster
from console.common.ids import new_id
from console.common.prepared import Prepared, PreparedUpdate
from console.common.writes import insert
from console.controller import outbox, overlay, specs
from console.controller.context import Step
from console.controller.rows import chunks, save_one
from console.images.services import credential_for
from console.workloads.models import App, Container, Release, Slot, Volume
from nodeagent import protocol
from scheduler.lifecycle import State

CUT_OFF = "cut off with its session"
"""Of a start that its node had received, and ended neither well nor badly."""
MOST_FORGOTTEN = 20_000
"""Slots that a node is asked about in one session."""
_BEGUN = [State.RUNNING, State.STOPPING, State.EXITED, State.FAILED, State.LOST]
_OPEN_FOR: Prepared[str] = Prepared(
    lambda containers, kinds: Job.objects.filter(
        container_id__in=containers, kind__in=kinds, done_at=None
    ).values_list("container_id", flat=True)
)
_BUSY: Prepared[str] = Prepared(
    lambda node: Job.objects.filter(node=node, done_at=None).values_list("container_id", flat=True)
)
_KEPT: Prepared[tuple[str, int, str]] = Prepared(
    lambda node: Container.objects.filter(node=node, removed_at=None).values_list(
        "slot_id", "generation", "state"
    )
)
_LEAVING: Prepared[str] = Prepared(
    lambda node: Volume.objects.filter(Q(app__deleting=True) | Q(deleting=True), node=node).values_list(
        "app_ref", flat=True
    )
)
_END_ALL = PreparedUpdate(
    lambda node, _now: Job.objects.filter(node=node, done_at=None),
    lambda _node, now: {"done_at": now, "ring_at": None, "message": "dropped at hello"},
)
_END_BEGUN = PreparedUpdate(
    lambda node, _now: Job.objects.filter(
        node=node, done_at=None, kind=JobKind.ENSURE, received_at__isnull=False, progress=""
    ),
    lambda _node, now: {"done_at": now, "ring_at": None, "message": CUT_OFF},
)
_SUPERSEDED = {"ring_at": None, "message": "superseded"}
_CLOSE = PreparedUpdate(
    lambda containers, _now: Job.objects.filter(container_id__in=containers, done_at=None),
    lambda _containers, now: {"done_at": now, **_SUPERSEDED},
)
_CLOSE_KIND = PreparedUpdate(
    lambda containers, _now, kind: Job.objects.filter(container_id__in=containers, kind=kind, done_at=None),
    lambda _containers, now, _kind: {"done_at": now, **_SUPERSEDED},
)
_CUT_OFF = Prepared(
    lambda node, most: (
        Job.objects.filter(
            node=node,
            kind=JobKind.ENSURE,
            message=CUT_OFF,
            container_id__in=Container.objects.filter(node=node, removed_at=None)
            .exclude(state__in=_BEGUN)
            .values("id"),
        )
        .values("container_id")
        .annotate(times=Count("id"))
        .filter(times__gte=most)
        .values_list("container_id", flat=True)
    )
)
_SLOTS: Prepared[str] = Prepared(lambda ids: Slot.objects.filter(pk__in=ids).values_list("id", flat=True))
_END_SYNC = PreparedUpdate(
    lambda node, _now: Job.objects.filter(node=node, kind=JobKind.SYNC, done_at=None),
    lambda _node, now: {"done_at": now, "ring_at": None, "message": "superseded"},
)
_THERE = Prepared(
    lambda node: Container.objects.filter(node=node, removed_at=None).select_related(
        "slot__service", "app__team"
    )
)


def for_containers(step: Step, containers: Sequence[Container]) -> None:
    """One open job for each container whose state wants one; ended and running ones of the right kind need none."""
    maker = _Maker(step, containers)
    _save(step, [made for container in containers if (made := maker.job(container))])


_Made = tuple[Job, protocol.Job]


def _save(step: Step, made: Iterable[_Made]) -> None:
    rows = []
    for row, message in made:
        rows.append(row)
        step.messages[row.id] = message
    insert(rows)


class _Maker:
    """What is looked up or built once for many containers."""

    def __init__(self, step: Step, containers: Sequence[Container]) -> None:
        self.step = step
        self._specs: dict[tuple[str, str], protocol.Spec] = {}
        step.releases.load({container.release_id for container in containers})

    def job(self, container: Container) -> _Made | None:
        match State(container.state):
            case State.ASSIGNED | State.PREPARING | State.STARTING:
                return self._ensure(container)
            case State.STOPPING:
                return stop(self.step, container)
            case State.LOST if container.removed_at is None:
                # Its node was away; it may well run there. Once it is stopped it is removed.
                return stop(self.step, container)
            case State.EXITED | State.FAILED if container.removed_at is None:
                return remove(self.step, container)
            case _:
                return None

    def _ensure(self, container: Container) -> _Made:
        self.step.cluster_id = self.step.cluster_id or cluster().id
        identity = specs.identity(container, self.step.cluster_id)
        spec = self._spec(container)
        row, message = _row(self.step, container, protocol.Ensure(id=new_id(), identity=identity, spec=spec))
        row.ring_at = self.step.now + overlay.hold_for(self.step, container.app_id, spec.attachments)
        row.registry_id = self._login(container.app.team, spec.image_ref)
        return row, message

    def _spec(self, container: Container) -> protocol.Spec:
        key = (container.release_id, container.slot.service.name)
        if key in self._specs:
            return specs.like(self._specs[key], container)
        spec, release = self.step.releases.spec(*key), self.step.releases.get(container.release_id)
        project, secrets = self.step.releases.project(key[0]), release.release.secrets if release else {}
        self._specs[key] = specs.build(container, spec, project, secrets)
        return self._specs[key]

    def _login(self, team: Team, image: str) -> str:
        key = (team.id, image)
        if key not in self.step.logins:
            credential = credential_for(team, image)
            self.step.logins[key] = credential.id if credential else ""
        return self.step.logins[key]


def stop(step: Step, container: Container) -> _Made:
    known = step.releases.get(container.release_id)
    spec = known.project.find(container.slot.service.name) if known else None
    job = protocol.Stop(id=new_id(), slot=container.slot_id, generation=container.generation)
    if spec:
        job = msgspec.structs.replace(job, grace=spec.stop_grace_period)
    return _row(step, container, job)


def remove(step: Step, container: Container) -> _Made:
    job = protocol.Remove(
        id=new_id(),
        slot=container.slot_id,
        generation=container.generation,
        network=specs.network_name(container.app_id),
    )
    return _row(step, container, job)


def stop_remains(step: Step, container: Container) -> None:
    """Stop what had ended for the console and runs all the same. It is removed once it is stopped."""
    close([container], JobKind.REMOVE, step.now)
    if not open_for([container.id], JobKind.STOP):
        _save(step, [stop(step, container)])


def remove_remains(step: Step, containers: Sequence[Container]) -> None:
    """Remove what had ended for the console and is stopped now."""
    if containers:
        busy = open_for([each.id for each in containers], JobKind.REMOVE)
        _save(step, [remove(step, each) for each in containers if each.id not in busy])


def _row(step: Step, container: Container, job: protocol.Job) -> _Made:
    row = Job(
        id=job.id,
        node_id=container.node_id,
        kind=outbox.kind(job),
        container_id=container.id,
        payload=outbox.payload(job),
        created_at=step.now,
        ring_at=step.now,
    )
    return row, job


def open_for(containers: Sequence[str], *kinds: JobKind) -> set[str]:
    """Which of these containers have an open job of one of the kinds."""
    return {id_ for some in chunks(set(containers)) for id_ in _OPEN_FOR(some, kinds)}


def close(containers: Sequence[Container], kind: JobKind | None, now: datetime) -> None:
    """End the open jobs of these containers (of one kind): what they asked for is wanted no more."""
    for some in chunks({container.id for container in containers}):
        if kind is None:
            _CLOSE(some, now)
        else:
            _CLOSE_KIND(some, now, kind)


def add_pull(step: Step, node: Node, release: Release, team: Team, image: str) -> Job:
    """Ask a node which digest an image's name stands for at its registry."""
    return _add_pull(
        step, node, release, team, protocol.Pull(id=new_id(), image=image, resolve=True, timeout=20)
    )


def add_fetch(step: Step, node: Node, release: Release, team: Team, image: str) -> Job:
    """Have an image on a node before something that serves there is stopped for it."""
    return _add_pull(step, node, release, team, protocol.Pull(id=new_id(), image=image))


def _add_pull(step: Step, node: Node, release: Release, team: Team, job: protocol.Pull) -> Job:
    credential = credential_for(team, job.image)
    return outbox.add(step, node, job, release_id=release.id, registry_id=credential.id if credential else "")


def add_volume_removal(step: Step, node: Node, app: App, names: Sequence[str]) -> None:
    """Delete a deleted app's volumes from a node. One such job per app and node is open at a time."""
    _remove_volumes(step, node, f"volumes-{app.id}", names, network=specs.network_name(app.id))


SINGLE_VOLUME = "volume-"
"""In place of a slot, before the volume's id: a job that removes this volume alone."""


def add_single_removal(step: Step, volume: Volume) -> None:
    """Delete one volume from its node. One such job is open at a time."""
    node = step.nodes[str(volume.node_id)]
    _remove_volumes(step, node, f"{SINGLE_VOLUME}{volume.id}", [volume.engine_name])


def _remove_volumes(step: Step, node: Node, slot: str, names: Sequence[str], network: str = "") -> None:
    if Job.objects.filter(node=node, kind=JobKind.REMOVE, payload__slot=slot, done_at=None).exists():
        return
    job = protocol.Remove(id=new_id(), slot=slot, generation=1, volumes=tuple(names), network=network)
    outbox.add(step, node, job)


def begin_session(step: Step, node: Node, hello: protocol.Hello) -> None:
    """A node said hello anew: what was open is computed again once its sync is confirmed."""
    drop_open(step, node)
    add_sync(step, node, _bygone(hello))


def _bygone(hello: protocol.Hello) -> tuple[str, ...]:
    """Slots that the node remembers, and neither the database nor its engine has: their apps were deleted. Their ids
    are given to nothing else, and what was sent about them came before the sync."""
    shown = {one.identity.slot for one in hello.containers}
    remembered = sorted(slot for slot in hello.generations if slot not in shown)[:MOST_FORGOTTEN]
    there = {id_ for some in chunks(remembered) for id_ in _SLOTS(some)}
    return tuple(slot for slot in remembered if slot not in there)


def drop_open(step: Step, node: Node) -> None:
    """None of its jobs is sent any more. A start that was under way without a sign of progress is noted as cut off."""
    _END_BEGUN(node.id, step.now)
    _END_ALL(node.id, step.now)


def poisonous(node: Node, most: int) -> list[str]:
    """Ids of the node's containers whose start was under way at the end of so many sessions: it may well be what ends
    them."""
    return sorted(_CUT_OFF(node.id, most))


def not_started(node: Node) -> list[str]:
    """Ids of the node's containers that are yet to run there."""
    to_come = [State.ASSIGNED, State.PREPARING, State.STARTING]
    return sorted(Container.objects.filter(node=node, state__in=to_come).values_list("id", flat=True))


def add_sync(step: Step, node: Node, forget: tuple[str, ...] = ()) -> None:
    """The full assignment of this session; a newer one replaces one that is under way.

    What has ended is no part of it: its record is saved, and should it run again, it is cleared away. All live
    generations of a slot are: one may be serving until another is well.
    """
    node.synced_session = 0
    save_one(node, ["synced_session"])
    _END_SYNC(node.id, step.now)
    keep = [(slot, generation) for slot, generation, state in _KEPT(node.id) if not State(state).ended]
    job = protocol.Sync(id=new_id(), session=node.session, keep=tuple(sorted(keep)), forget=forget)
    row = Job(
        id=job.id,
        node=node,
        kind=JobKind.SYNC,
        payload=outbox.payload(job),
        created_at=step.now,
        ring_at=step.now,
    )
    insert([row])


def resume(step: Step, node: Node) -> None:
    """After the sync: the jobs that the node's containers still ask for, but for those already open."""
    busy = set(_BUSY(node.id))
    waiting = [container for container in _THERE(node.id) if container.id not in busy]
    for_containers(step, waiting)
    step.dirty.update(container.app_id for container in waiting)
    step.dirty.update(_LEAVING(node.id))
