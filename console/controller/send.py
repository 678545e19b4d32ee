"""The outbox → the nodes' bells. Marked first, sent after the commit: a lost ring is rung again."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import redis
from kombu.exceptions import KombuError

from console.cluster.enums import JobKind, NodeState
from console.cluster.models import Job, Node
from console.common.prepared import Prepared
from console.controller import rows
from console.controller.context import Step
from console.controller.sealer import Sealer, Told
from console.controller.wire import Wire
from nodeagent import protocol

logger = logging.getLogger(__name__)

FIRST_PATIENCE = 2.0
"""Seconds to wait for a receipt; doubles with each ring."""
LONGEST_PATIENCE = 60.0
NOTED_RINGS = 5
"""After this many unanswered rings an event says so."""
_PAYLOADS: Prepared[tuple[str, Any]] = Prepared(
    lambda ids: Job.objects.filter(pk__in=ids).values_list("id", "payload")
)
_DUE = Prepared(
    lambda now: (
        Job.objects.filter(done_at=None, ring_at__lte=now)
        .order_by("created_at", "id")
        .defer("payload", "result")
    )
)


@dataclass(frozen=True, slots=True)
class Message:
    """A job as the outbox has it. `registry`: the credential to seal into it."""

    id: str
    job: protocol.Job
    registry: str


@dataclass(frozen=True, slots=True)
class Due:
    node: Node
    messages: tuple[Message, ...]


def collect(step: Step) -> list[Due]:
    """The jobs to send now, one batch per node that can be reached; the next ring is set in this transaction."""
    due = [job for job in _DUE(step.now) if _reachable(step.nodes[job.node_id], job)]
    jobs = _payloads(step, due)
    by_node: dict[str, list[Message]] = defaultdict(list)
    for job in due:
        if job.id not in jobs or protocol.needs(jobs[job.id]) > step.nodes[job.node_id].protocol:
            # It would do something else instead. Nothing is placed there that needs more: `results.conclude`.
            job.ring_at = step.now + timedelta(seconds=LONGEST_PATIENCE)
            continue
        _mark(step, job)
        by_node[job.node_id].append(Message(job.id, jobs[job.id], job.registry_id))
    rows.save_alike(due, ("rings", "ring_at", "received_at"))
    return [Due(step.nodes[node], tuple(batch)) for node, batch in sorted(by_node.items())]


def _payloads(step: Step, ringing: list[Job]) -> dict[str, protocol.Job]:
    """What this step made is at hand; the rest is read. One that this version does not know stops no other."""
    found = {job.id: step.messages[job.id] for job in ringing if job.id in step.messages}
    for ids in rows.chunks({job.id for job in ringing} - found.keys()):
        for id_, payload in _PAYLOADS(ids):
            try:
                found[id_] = msgspec.convert(payload, protocol.Job)
            except msgspec.ValidationError as error:
                logger.error("Job %s is left to a newer controller: %s", id_, error)
    return found


def ring_all(step: Step) -> None:
    """Redis was wiped: a job may be gone from its queue, a result from the stream. All open ones are due now."""
    Job.objects.filter(done_at=None).update(ring_at=step.now, rings=0, received_at=None)


def _reachable(node: Node, job: Job) -> bool:
    """Before the session's sync is confirmed, a node takes nothing but it."""
    if not node.session or (node.state == NodeState.DOWN and node.synced_session == node.session):
        return False
    return node.synced_session == node.session or job.kind == JobKind.SYNC


def _mark(step: Step, job: Job) -> None:
    job.rings += 1
    job.ring_at = step.now + timedelta(seconds=min(FIRST_PATIENCE * 2.0 ** (job.rings - 1), LONGEST_PATIENCE))
    job.received_at = None
    if job.rings == NOTED_RINGS:
        node = step.nodes[job.node_id]
        text = f"Node {node.name} has not answered {NOTED_RINGS} rings for a job ({job.kind}); it is rung on"
        step.tell_node(node, "node.unanswered", text, warning=True)


def ring(wire: Wire, due: list[Due], told: Told) -> None:
    """Send. A failure is logged; the outbox rings again."""
    sealer = Sealer(told)
    for batch in due:
        try:
            wire.send(batch.node.id, [sealer.seal(batch.node, message) for message in batch.messages])
        except (redis.RedisError, KombuError, OSError) as error:
            logger.warning("Could not ring node %s (%s); it is rung again.", batch.node.name, error)
