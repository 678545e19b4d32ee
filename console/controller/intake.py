"""Reports → observed state. The only writer of it; facts become states by the lifecycle table alone."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

import msgspec
from django.db import OperationalError

from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.controller import jobs, observed, rows, verdicts, volumes
from console.controller.context import Step
from console.controller.ledger import MOST_RECEIPTS, Ledger
from console.controller.load import outdated
from console.controller.results import conclude, tries_again, try_again
from console.controller.wire import Entry
from console.workloads.models import Container
from nodeagent import protocol
from scheduler.lifecycle import State

logger = logging.getLogger(__name__)

RECEIVED_PATIENCE = timedelta(seconds=60)
"""How long a received job may be silent before it is sent again."""
_LIVE = {"running", "paused", "restarting"}


def take_in(step: Step, entries: Sequence[Entry]) -> None:
    """Apply reports in their order. One of a node's older session, or of a node that is gone, changes nothing.

    All of them together, which is quick; should that not go, in halves, so that a node's bad report does not
    stop the reports of the others.
    """
    usable = [entry for entry in entries if entry.message is not None and entry.node in step.nodes]
    if usable:
        _take_all(step, usable)


def _take_all(step: Step, entries: Sequence[Entry]) -> None:
    if _taken(step, entries):
        return
    if len(entries) == 1:
        [entry] = entries
        name = step.nodes[entry.node].name
        logger.error("Report %s of node %s cannot be taken in", entry.position, name)
        return
    middle = len(entries) // 2
    _take_all(step, entries[:middle])
    _take_all(step, entries[middle:])


def _taken(step: Step, entries: Sequence[Entry]) -> bool:
    dirty, freed = set(step.dirty), step.freed
    try:
        with step.part():
            ledger = Ledger(step)
            ledger.read(entries)
            for entry in entries:
                _take(ledger, step.nodes[entry.node], entry)
            ledger.write()
    except OperationalError:
        raise
    except Exception:
        logger.warning("%d reports cannot be taken in as they are", len(entries), exc_info=True)
        step.dirty, step.freed = dirty, freed
        for node in {entry.node for entry in entries}:
            step.nodes[node].refresh_from_db()
        return False
    return True


def _take(ledger: Ledger, node: Node, entry: Entry) -> None:
    message, session = entry.message, entry.session
    if session < node.session or (session > node.session and not isinstance(message, protocol.Hello)):
        return
    match message:
        case protocol.Hello():
            _hello(ledger, node, session, message)
        case protocol.Delta():
            if message.base not in ("", node.digest):
                # One before it is missing; its own digest would hide that.
                ledger.step.ask.add(node.id)
            _take_set(ledger, node, message.changed)
            _take_removed(ledger, node, message.removed)
            ledger.digest(node, message.digest)
        case protocol.Images():
            _save(node, images=[msgspec.to_builtins(image) for image in message.images])
            ledger.step.freed = True
        case protocol.Receipt():
            _receipt(ledger, node, message)
        case protocol.Progress():
            _progress(ledger, node, message)
        case protocol.Result():
            _result(ledger, node, message)
        case protocol.Volumes():
            volumes.measured(ledger.step, node, message)
        case protocol.LogNotKept():
            if container := ledger.at(node, message.slot, message.generation):
                observed.log_lost(ledger, container, message.reason)
        case _:
            name = type(message).__name__
            logger.error("Node %s: a %s does not belong in the report stream", node.name, name)


def _save(node: Node, **fields: object) -> None:
    for name, value in fields.items():
        setattr(node, name, value)
    rows.save_one(node, list(fields))


def _hello(ledger: Ledger, node: Node, session: int, hello: protocol.Hello) -> None:
    step, fresh, version = ledger.step, session != node.session, node.protocol
    ledger.write()
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
        disk=hello.capacity.disk,
        resources=dict(hello.capacity.resources),
        port_first=hello.capacity.port_first,
        port_last=hello.capacity.port_last,
        public_key=hello.public_key,
        images=[msgspec.to_builtins(image) for image in hello.images],
        foreign_containers=hello.foreign,
        digest=hello.digest,
        overlay=msgspec.to_builtins(hello.overlay) if hello.overlay else {},
    )
    if hello.engine is None:
        return
    if verdicts.examine(step, node, hello):
        jobs.drop_open(step, node)
        ledger.reread(node)
        # With another digest than the node's own, it is asked again until a person has spoken.
        _save(node, digest="", synced_session=0)
        return
    _take_set(ledger, node, hello.containers)
    shown = {(seen.identity.slot, seen.identity.generation) for seen in hello.containers}
    for container in ledger.on(node):
        if (container.slot_id, container.generation) not in shown:
            observed.vanished(ledger, container)
    if fresh:
        text = f"Node {node.name} said hello (agent {hello.agent}, engine {hello.engine.version})"
        step.tell_node(node, "node.hello", text, actor=f"node {node.name}")
    if node.protocol != version and outdated(node):
        text = f"The agent of node {node.name} is too old for secrets: no container with any is placed there. Update it"
        step.tell_node(node, "node.outdated", text, warning=True)
    if fresh or not (node.synced_session == session or _sync_under_way(node)):
        ledger.write()
        jobs.begin_session(step, node, hello)
        ledger.reread(node)


def _sync_under_way(node: Node) -> bool:
    """Not so after a hello that came while the engine was away. One of an older session does not count: it would
    never end."""
    syncs = Job.objects.filter(node=node, kind=JobKind.SYNC, done_at=None)
    return syncs.filter(payload__session=node.session).exists()


def _take_set(ledger: Ledger, node: Node, seen: Iterable[protocol.Observed]) -> None:
    for one in seen:
        container = ledger.container(one.identity.container)
        if container is None or container.node_id != node.id:
            _unknown(ledger, node, one)
            continue
        had_ended = State(container.state).ended
        observed.update(ledger, container, one)
        if had_ended and node.synced_session == node.session:
            _clear_away(ledger, node, container, one)


def _clear_away(ledger: Ledger, node: Node, container: Container, seen: protocol.Observed) -> None:
    """It had ended, or was given up, and is there all the same: by a late start, or by the engine's own doing."""
    was_removed = container.removed_at is not None
    if was_removed:
        container.removed_at = None
        ledger.changed(container)
        if container.state == State.LOST:
            ledger.step.live.lose([container])
    if seen.state in _LIVE:
        ledger.write()
        jobs.stop_remains(ledger.step, container)
        ledger.reread(node)
    elif was_removed:
        ledger.remains(container)


def _unknown(ledger: Ledger, node: Node, seen: protocol.Observed) -> None:
    """A container of this cluster that the database does not have: the next sync stops it."""
    if node.synced_session != node.session:
        return
    ledger.step.tell_node(
        node,
        "node.orphan",
        f"Node {node.name} runs a container that is wanted no more; it is stopped",
        warning=True,
        data={"slot": seen.identity.slot, "generation": seen.identity.generation},
    )
    ledger.write()
    jobs.add_sync(ledger.step, node)
    ledger.reread(node)


def _take_removed(ledger: Ledger, node: Node, removed: Iterable[tuple[str, int]]) -> None:
    for slot, generation in removed:
        if container := ledger.there(node, slot, generation):
            observed.vanished(ledger, container)


def _receipt(ledger: Ledger, node: Node, message: protocol.Receipt) -> None:
    for id_ in message.jobs[:MOST_RECEIPTS]:
        if job := ledger.job(node, id_):
            job.received_at, job.rings = ledger.step.now, 0
            job.ring_at = ledger.step.now + RECEIVED_PATIENCE
            ledger.received(job)


def _progress(ledger: Ledger, node: Node, message: protocol.Progress) -> None:
    job = ledger.job(node, message.job)
    if job is None:
        return
    job.progress = observed.storable(message.text)[:300]
    job.ring_at = ledger.step.now + RECEIVED_PATIENCE
    ledger.received(job)
    if container := ledger.container(job.container_id):
        observed.preparing(ledger, container, job.progress)


def _result(ledger: Ledger, node: Node, message: protocol.Result) -> None:
    job = ledger.job(node, message.job)
    if job is None:
        return
    message = msgspec.structs.replace(message, message=observed.storable(message.message))
    if not message.ok and message.code == "waiting":
        job.ring_at, job.received_at = ledger.step.now + timedelta(seconds=1), None
        ledger.received(job)
        ledger.write()
        jobs.add_sync(ledger.step, node)
        ledger.reread(node)
    elif not message.ok and tries_again(job, message):
        try_again(ledger, node, job, message)
    else:
        conclude(ledger, node, job, message)
