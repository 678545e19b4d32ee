"""The outbox: which job a container's state asks for, saved in the transaction that decided it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from console.accounts.models import Team
from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.common.ids import new_id
from console.controller import specs
from console.controller.context import Step
from console.images.services import credential_for
from console.workloads.models import App, Container, Release
from nodeagent import protocol
from scheduler.lifecycle import State


def for_containers(step: Step, containers: Sequence[Container]) -> None:
    """One open job for each container whose state wants one; ended and running ones of the right kind need none."""
    rows = [job for container in containers if (job := _job(step, container))]
    Job.objects.bulk_create(rows)


def _job(step: Step, container: Container) -> Job | None:
    match State(container.state):
        case State.ASSIGNED | State.PREPARING | State.STARTING:
            return _ensure(step, container)
        case State.STOPPING:
            return _stop(step, container)
        case State.LOST if container.removed_at is None:
            # Its node was away; it may well run there. Once it is stopped it is removed.
            return _stop(step, container)
        case State.EXITED | State.FAILED if container.removed_at is None:
            return _remove(step, container)
        case _:
            return None


def _stop(step: Step, container: Container) -> Job:
    grace = container.release.project.services[container.slot.service.name].stop_grace_period
    job = protocol.Stop(id=new_id(), slot=container.slot_id, generation=container.generation, grace=grace)
    return _row(step, container, job)


def _remove(step: Step, container: Container) -> Job:
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
        _stop(step, container).save(force_insert=True)


def remove_remains(step: Step, container: Container) -> None:
    """Remove what had ended for the console and is stopped now."""
    if not open_for([container.id], JobKind.REMOVE):
        _remove(step, container).save(force_insert=True)


def _ensure(step: Step, container: Container) -> Job:
    spec = container.release.project.services[container.slot.service.name]
    job = protocol.Ensure(id=new_id(), identity=specs.identity(container), spec=specs.build(container, spec))
    row = _row(step, container, job)
    credential = credential_for(container.app.team, spec.image)
    row.registry_id = credential.id if credential else ""
    return row


def _row(step: Step, container: Container, job: protocol.Job) -> Job:
    return Job(
        id=job.id,
        node_id=container.node_id,
        kind=_kind(job),
        container_id=container.id,
        payload=_payload(job),
        created_at=step.now,
        ring_at=step.now,
    )


def _payload(job: protocol.Job) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.to_builtins(job)
    return payload


def _kind(job: protocol.Job) -> str:
    return str(job.__struct_config__.tag)


def open_for(containers: Sequence[str], *kinds: JobKind) -> set[str]:
    """Which of these containers have an open job of one of the kinds."""
    rows = Job.objects.filter(container_id__in=containers, kind__in=kinds, done_at=None)
    return set(rows.values_list("container_id", flat=True))


def close(containers: Sequence[Container], kind: JobKind | None, now: datetime) -> None:
    """End the open jobs of these containers (of one kind): what they asked for is wanted no more."""
    rows = Job.objects.filter(container_id__in=[container.id for container in containers], done_at=None)
    if kind:
        rows = rows.filter(kind=kind)
    rows.update(done_at=now, ring_at=None, message="superseded")


def finish(job: Job, now: datetime, *, ok: bool, message: str, image: protocol.ImageFact | None) -> None:
    job.done_at, job.ring_at, job.ok, job.message = now, None, ok, message
    if image:
        job.result = msgspec.to_builtins(image)
    job.save(update_fields=["done_at", "ring_at", "ok", "message", "result"])


def add_pull(step: Step, node: Node, release: Release, team: Team, image: str) -> Job:
    """Ask a node which digest an image's name stands for at its registry."""
    job = protocol.Pull(id=new_id(), image=image, resolve=True, timeout=20)
    credential = credential_for(team, image)
    return Job.objects.create(
        id=job.id,
        node=node,
        kind=JobKind.PULL,
        release_id=release.id,
        registry_id=credential.id if credential else "",
        payload=_payload(job),
        created_at=step.now,
        ring_at=step.now,
    )


def add_volume_removal(step: Step, node: Node, app: App, names: Sequence[str]) -> None:
    """Delete a deleted app's volumes from a node. One such job per app and node is open at a time."""
    slot = f"volumes-{app.id}"
    if Job.objects.filter(node=node, kind=JobKind.REMOVE, payload__slot=slot, done_at=None).exists():
        return
    job = protocol.Remove(
        id=new_id(), slot=slot, generation=1, volumes=tuple(names), network=specs.network_name(app.id)
    )
    Job.objects.create(
        id=job.id,
        node=node,
        kind=JobKind.REMOVE,
        payload=_payload(job),
        created_at=step.now,
        ring_at=step.now,
    )


def begin_session(step: Step, node: Node) -> None:
    """A node said hello anew: what was open is computed again once its sync is confirmed."""
    Job.objects.filter(node=node, done_at=None).update(
        done_at=step.now, ring_at=None, message="dropped at hello"
    )
    add_sync(step, node)


def add_sync(step: Step, node: Node) -> None:
    """The full assignment of this session; a newer one replaces one that is under way.

    What has ended is no part of it: its record is saved, and should it run again, it is cleared away.
    """
    node.synced_session = 0
    node.save(update_fields=["synced_session"])
    Job.objects.filter(node=node, kind=JobKind.SYNC, done_at=None).update(
        done_at=step.now, ring_at=None, message="superseded"
    )
    keep = [
        (slot, generation)
        for slot, generation, state in Container.objects.filter(node=node, removed_at=None).values_list(
            "slot_id", "generation", "state"
        )
        if not State(state).ended
    ]
    job = protocol.Sync(id=new_id(), session=node.session, keep=tuple(sorted(keep)))
    Job.objects.create(
        id=job.id, node=node, kind=JobKind.SYNC, payload=_payload(job), created_at=step.now, ring_at=step.now
    )


def resume(step: Step, node: Node) -> None:
    """After the sync: the jobs that the node's containers still ask for, but for those already open."""
    busy = set(Job.objects.filter(node=node, done_at=None).values_list("container_id", flat=True))
    rows = Container.objects.filter(node=node, removed_at=None).exclude(pk__in=busy)
    waiting = list(rows.select_related("slot__service", "app__team", "release"))
    for_containers(step, waiting)
    step.dirty.update(container.app_id for container in waiting)
    step.dirty.update(node.volumes.filter(app__deleting=True).values_list("app_id", flat=True))
