"""Reports → observed state. The only writer of it; facts become states by the lifecycle table alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec
from django.db import OperationalError, transaction

from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.common import events
from console.controller import jobs, observed
from console.controller.context import Step
from console.controller.wire import Entry
from console.workloads.models import Container, Release, Slot, Volume
from nodeagent import protocol
from scheduler.lifecycle import State

logger = logging.getLogger(__name__)

RECEIVED_PATIENCE = timedelta(seconds=60)
"""How long a received job may be silent before it is sent again."""
MOST_ATTEMPTS = 5
"""How often a start is tried, and after how many failures of another job an event says so."""
MOST_LOOKUPS = 2
"""A registry's answer is waited for by a person: it is asked for again once."""
NEVER_GIVEN_UP = {JobKind.STOP, JobKind.REMOVE, JobKind.SYNC}
"""Without these something runs, or a node waits, for ever."""
_LONGEST_PAUSE = 60.0
_MOST_RECEIPTS = 1000
"""No batch has more jobs."""
_LIVE = {"running", "paused", "restarting"}
_MOST_GENERATIONS = 2**53
"""No honest slot comes near it; a number above would end where the database's numbers do."""


def take_in(step: Step, entries: Sequence[Entry]) -> None:
    """Apply reports in their order. One of a node's older session, or of a node that is gone, changes nothing."""
    for entry in entries:
        node = step.nodes.get(entry.node)
        if entry.message is None or node is None:
            continue
        if entry.session < node.session or (
            entry.session > node.session and not isinstance(entry.message, protocol.Hello)
        ):
            continue
        try:
            with transaction.atomic():
                _apply(step, node, entry.session, entry.message)
        except OperationalError:
            raise
        except Exception:
            # One node's bad report must not stop the reports of the others.
            logger.exception("Report %s of node %s cannot be taken in", entry.position, node.name)
            node.refresh_from_db()


def _apply(step: Step, node: Node, session: int, message: protocol.Up) -> None:
    match message:
        case protocol.Hello():
            _hello(step, node, session, message)
        case protocol.Delta():
            _take_set(step, node, message.changed)
            _take_removed(step, node, message.removed)
            _save(node, digest=message.digest)
        case protocol.Images():
            _save(node, images=[msgspec.to_builtins(image) for image in message.images])
            step.freed = True
        case protocol.Receipt():
            Job.objects.filter(node=node, pk__in=message.jobs[:_MOST_RECEIPTS], done_at=None).update(
                received_at=step.now, rings=0, ring_at=step.now + RECEIVED_PATIENCE
            )
        case protocol.Progress():
            _progress(step, node, message)
        case protocol.Result():
            _result(step, node, message)
        case _:
            logger.error(
                "Node %s: a %s does not belong in the report stream", node.name, type(message).__name__
            )


def _save(node: Node, **fields: object) -> None:
    for name, value in fields.items():
        setattr(node, name, value)
    node.save(update_fields=list(fields))


def _hello(step: Step, node: Node, session: int, hello: protocol.Hello) -> None:
    fresh = session != node.session
    _save(
        node,
        session=session,
        address=hello.address[:200],
        agent_version=hello.agent[:40],
        protocol=hello.version,
        engine=msgspec.to_builtins(hello.engine) if hello.engine else {},
        observed_labels=dict(hello.labels),
        cpu=hello.capacity.cpu,
        memory=hello.capacity.memory,
        pids=hello.capacity.pids,
        port_first=hello.capacity.port_first,
        port_last=hello.capacity.port_last,
        public_key=hello.public_key,
        images=[msgspec.to_builtins(image) for image in hello.images],
        foreign_containers=hello.foreign,
        digest=hello.digest,
    )
    if hello.engine is None:
        return
    _raise_generations(node, hello)
    _take_set(step, node, hello.containers)
    shown = {(seen.identity.slot, seen.identity.generation) for seen in hello.containers}
    absent = [
        container
        for container in Container.objects.filter(node=node, removed_at=None).select_related(
            "slot__service", "app", "node"
        )
        if (container.slot_id, container.generation) not in shown
    ]
    for container in absent:
        observed.vanished(step, container)
    if fresh:
        events.record(
            "node.hello",
            f"Node {node.name} said hello (agent {hello.agent}, engine {hello.engine.version})",
            actor=f"node {node.name}",
            node=node.id,
            at=step.now,
        )
    if fresh or not (node.synced_session == session or _sync_under_way(node)):
        jobs.begin_session(step, node)


def _sync_under_way(node: Node) -> bool:
    """Not so after a hello that came while the engine was away."""
    return Job.objects.filter(node=node, kind=JobKind.SYNC, done_at=None).exists()


def _raise_generations(node: Node, hello: protocol.Hello) -> None:
    """A slot of this node's whose fence is above the database's number (a restored backup) goes on from there."""
    for slot in Slot.objects.filter(containers__node=node).distinct():
        seen = hello.generations.get(slot.id, 0)
        if slot.generation < seen < _MOST_GENERATIONS:
            Slot.objects.filter(pk=slot.pk).update(generation=seen)


def _take_set(step: Step, node: Node, seen: Iterable[protocol.Observed]) -> None:
    known = {
        container.id: container
        for container in Container.objects.filter(
            node=node, pk__in=[one.identity.container for one in seen]
        ).select_related("slot__service", "app", "node", "release")
    }
    for one in seen:
        container = known.get(one.identity.container)
        if container is None:
            _unknown(step, node, one)
            continue
        had_ended = State(container.state).ended
        observed.update(step, container, one)
        if had_ended and node.synced_session == node.session:
            _clear_away(step, container, one)


def _clear_away(step: Step, container: Container, seen: protocol.Observed) -> None:
    """It had ended, or was given up, and is there all the same: by a late start, or by the engine's own doing."""
    was_removed = container.removed_at is not None
    if was_removed:
        container.removed_at = None
        container.save(update_fields=["removed_at"])
    if seen.state in _LIVE:
        jobs.stop_remains(step, container)
    elif was_removed:
        jobs.remove_remains(step, container)


def _unknown(step: Step, node: Node, seen: protocol.Observed) -> None:
    """A container of this cluster that the database does not have: the next sync stops it."""
    if node.synced_session != node.session:
        return
    events.record(
        "node.orphan",
        f"Node {node.name} runs a container that is wanted no more; it is stopped",
        actor=events.CONTROLLER,
        node=node.id,
        warning=True,
        at=step.now,
        data={"slot": seen.identity.slot, "generation": seen.identity.generation},
    )
    jobs.add_sync(step, node)


def _take_removed(step: Step, node: Node, removed: Iterable[tuple[str, int]]) -> None:
    for slot, generation in removed:
        container = (
            Container.objects.filter(node=node, slot_id=slot, generation=generation, removed_at=None)
            .select_related("slot__service", "app", "node")
            .first()
        )
        if container:
            observed.vanished(step, container)


def _progress(step: Step, node: Node, message: protocol.Progress) -> None:
    job = Job.objects.filter(node=node, pk=message.job, done_at=None).first()
    if job is None:
        return
    text = observed.storable(message.text)[:300]
    job.progress, job.ring_at = text, step.now + RECEIVED_PATIENCE
    job.save(update_fields=["progress", "ring_at"])
    container = Container.objects.filter(pk=job.container_id).select_related("app").first()
    if container:
        observed.preparing(step, container, text)


def _result(step: Step, node: Node, message: protocol.Result) -> None:
    job = Job.objects.filter(node=node, pk=message.job, done_at=None).first()
    if job is None:
        return
    message = msgspec.structs.replace(message, message=observed.storable(message.message))
    if not message.ok and message.code == "waiting":
        job.ring_at, job.received_at = step.now + timedelta(seconds=1), None
        job.save(update_fields=["ring_at", "received_at"])
        jobs.add_sync(step, node)
        return
    most = MOST_LOOKUPS if job.release_id else MOST_ATTEMPTS
    again = job.kind in NEVER_GIVEN_UP or (not message.fatal and job.attempts + 1 < most)
    if not message.ok and again:
        _try_again(step, node, job, message)
        return
    jobs.finish(job, step.now, ok=message.ok, message=message.message, image=message.image)
    _conclude(step, node, job, message)


def _try_again(step: Step, node: Node, job: Job, message: protocol.Result) -> None:
    job.attempts += 1
    job.message = message.message
    pause = min(2.0 ** min(job.attempts, 10), _LONGEST_PAUSE)
    job.ring_at, job.received_at = step.now + timedelta(seconds=pause), None
    job.save(update_fields=["attempts", "message", "ring_at", "received_at"])
    if job.attempts == MOST_ATTEMPTS:
        container = Container.objects.filter(pk=job.container_id).select_related("app").first()
        what = f"{job.kind} of {container.name}" if container else job.kind
        events.record(
            "node.trouble",
            f"Node {node.name} failed {MOST_ATTEMPTS} times ({what}) and tries on: {message.message}",
            actor=events.CONTROLLER,
            team=container.app.team_id if container else "",
            app=container.app_id if container else "",
            node=node.id,
            warning=True,
            at=step.now,
        )


def _conclude(step: Step, node: Node, job: Job, message: protocol.Result) -> None:
    if job.kind == JobKind.SYNC:
        if message.ok:
            _save(node, synced_session=node.session)
            jobs.resume(step, node)
            step.freed = True
        return
    if job.release_id:
        step.dirty.update(_app_of_release(job.release_id))
        return
    if job.kind == JobKind.REMOVE and message.ok and job.payload["volumes"]:
        gone = [volume for volume in node.volumes.all() if volume.engine_name in job.payload["volumes"]]
        step.dirty.update(volume.app_id for volume in gone)
        Volume.objects.filter(pk__in=[volume.pk for volume in gone]).delete()
    container = (
        Container.objects.filter(pk=job.container_id)
        .select_related("slot__service", "app", "node", "release")
        .first()
    )
    if container is None:
        return
    if job.kind == JobKind.ENSURE and not message.ok:
        observed.failed(step, container, message)
    elif job.kind == JobKind.STOP and State(container.state).ended and container.removed_at is None:
        jobs.remove_remains(step, container)
    elif job.kind == JobKind.STOP:
        observed.stopped_for_good(step, container)
    elif job.kind == JobKind.REMOVE and message.ok:
        observed.vanished(step, container)


def _app_of_release(release_id: str) -> Iterable[str]:
    return Release.objects.filter(pk=release_id).values_list("app_id", flat=True)
