"""The outbox → the nodes' bells. Marked first, sent after the commit: a lost ring is rung again."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import redis
from kombu.exceptions import KombuError
from nacl.exceptions import CryptoError

from console.accounts.secrets import seal_to_node
from console.cluster.enums import JobKind, NodeState
from console.cluster.models import Job, Node
from console.common import events
from console.common.errors import BerthError
from console.controller.context import Step
from console.controller.wire import Wire
from console.images.models import RegistryCredential
from console.images.services import password_of
from nodeagent import protocol

logger = logging.getLogger(__name__)

FIRST_PATIENCE = 2.0
"""Seconds to wait for a receipt; doubles with each ring."""
LONGEST_PATIENCE = 60.0
NOTED_RINGS = 5
"""After this many unanswered rings an event says so."""


@dataclass(frozen=True, slots=True)
class Due:
    node: Node
    jobs: tuple[Job, ...]


def collect(step: Step) -> list[Due]:
    """The jobs to send now, one batch per node that can be reached; the next ring is set in this transaction."""
    by_node: dict[str, list[Job]] = defaultdict(list)
    for job in Job.objects.filter(done_at=None, ring_at__lte=step.now).order_by("created_at", "id"):
        node = step.nodes[str(job.node_id)]
        if _reachable(node, job):
            by_node[node.id].append(job)
    for batch in by_node.values():
        for job in batch:
            _mark(step, job)
    return [Due(step.nodes[node], tuple(batch)) for node, batch in sorted(by_node.items())]


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
    job.save(update_fields=["rings", "ring_at", "received_at"])
    if job.rings == NOTED_RINGS:
        node = step.nodes[str(job.node_id)]
        events.record(
            "node.unanswered",
            f"Node {node.name} has not answered {NOTED_RINGS} rings for a job ({job.kind}); it is rung on",
            actor=events.CONTROLLER,
            node=node.id,
            warning=True,
            at=step.now,
        )


def ring(wire: Wire, due: list[Due]) -> None:
    """Send. A failure is logged; the outbox rings again."""
    for batch in due:
        try:
            wire.send(batch.node.id, [_message(batch.node, job) for job in batch.jobs])
        except (redis.RedisError, KombuError, OSError) as error:
            logger.warning("Could not ring node %s (%s); it is rung again.", batch.node.name, error)


def _message(node: Node, job: Job) -> protocol.Job:
    message: protocol.Job = msgspec.convert(job.payload, protocol.Job)
    if not job.registry_id or not isinstance(message, protocol.Pull | protocol.Ensure):
        return message
    credential = RegistryCredential.objects.filter(pk=job.registry_id).first()
    if credential is None or not node.public_key:
        return message
    try:
        login = json.dumps({"username": credential.username, "password": password_of(credential)}).encode()
        return msgspec.structs.replace(message, auth=seal_to_node(bytes(node.public_key), login))
    except (BerthError, CryptoError) as error:
        # Without its login the registry refuses; the node says so, and this says why.
        logger.error("Job %s goes without the login %s: %s", job.id, credential.id, error)
        events.record(
            "registry.unreadable",
            f"The login for {credential.host} cannot be sent to node {node.name}: {error}",
            actor=events.CONTROLLER,
            team=credential.team_id,
            warning=True,
        )
        return message
