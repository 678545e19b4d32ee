"""How a job ended, and what follows from it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.controller import jobs, load, observed, overlay, rows, tidy, verdicts, volumes
from console.controller.ledger import Ledger
from console.workloads.models import Release
from nodeagent import protocol
from scheduler.lifecycle import State

MOST_ATTEMPTS = 5
"""How often a start is tried, and after how many failures of another job an event says so."""
MOST_LOOKUPS = 2
"""A registry's answer is waited for by a person: it is asked for again once."""
NEVER_GIVEN_UP = {JobKind.STOP, JobKind.REMOVE, JobKind.SYNC}
"""Without these something runs, or a node waits, for ever."""
_LONGEST_PAUSE = 60.0


def tries_again(job: Job, message: protocol.Result) -> bool:
    most = MOST_LOOKUPS if job.release_id and job.payload.get("resolve") else MOST_ATTEMPTS
    if volumes.in_the_way(job, message):
        return False
    return job.kind in NEVER_GIVEN_UP or (not message.fatal and job.attempts + 1 < most)


def try_again(ledger: Ledger, node: Node, job: Job, message: protocol.Result) -> None:
    job.attempts += 1
    job.message = message.message
    pause = min(2.0 ** min(job.attempts, 10), _LONGEST_PAUSE)
    job.ring_at, job.received_at = ledger.step.now + timedelta(seconds=pause), None
    ledger.tried(job)
    if job.attempts == MOST_ATTEMPTS:
        container = ledger.container(job.container_id)
        what = f"{job.kind} of {container.name}" if container else job.kind
        ledger.step.tell_node(
            node,
            "node.trouble",
            f"Node {node.name} failed {MOST_ATTEMPTS} times ({what}) and tries on: {message.message}",
            warning=True,
            app=container.app if container else None,
        )


def conclude(ledger: Ledger, node: Node, job: Job, message: protocol.Result) -> None:
    """It is over, well or not."""
    job.done_at, job.ring_at, job.ok, job.message = ledger.step.now, None, message.ok, message.message
    if message.image:
        job.result = msgspec.to_builtins(message.image)
    elif job.kind == JobKind.PULL and not message.ok:
        job.result = {"fatal": observed.hopeless(message)}
    ledger.ended(job)
    if job.kind == JobKind.SYNC:
        if message.ok:
            _synced(ledger, node)
            if message.message and not message.message.startswith("0 "):
                text = f"Node {node.name} has its assignment. {message.message}"
                ledger.step.tell_node(node, "node.cleared", text, actor=f"node {node.name}")
    elif job.kind in (JobKind.SWARM, JobKind.NETWORK):
        overlay.concluded(ledger, node, job, message)
    elif job.kind == JobKind.TIDY:
        tidy.done(ledger.step, node, job, message)
    elif job.release_id:
        apps = Release.objects.filter(pk=job.release_id).values_list("app_id", flat=True)
        ledger.step.dirty.update(apps)
    elif not job.container_id:
        if job.kind == JobKind.REMOVE:
            volumes.removed(ledger.step, node, job, message)
    else:
        _of_container(ledger, job, message)


def _synced(ledger: Ledger, node: Node) -> None:
    ledger.write()
    node.synced_session = node.session
    rows.save_one(node, ["synced_session"])
    verdicts.release(ledger.step, node)
    _give_up_poison(ledger, node)
    _give_up_outdated(ledger, node)
    jobs.resume(ledger.step, node)
    ledger.step.freed = True


def _give_up_poison(ledger: Ledger, node: Node) -> None:
    """A start that ended its node's session every time is no accident: it is not tried for ever."""
    found = ledger.take_up(jobs.poisonous(node, MOST_ATTEMPTS))
    for container in found:
        message = (
            f"Its start was under way {MOST_ATTEMPTS} times when node {node.name} lost its session, and never came to "
            "an end. It is not tried again; look into the agent's log, then deploy or restart it."
        )
        observed.failed(
            ledger, container, protocol.Result(job="", ok=False, code="poison", message=message, fatal=True)
        )
        ledger.step.tell_node(
            node,
            "node.poison",
            f"The start of {container.name} is given up on node {node.name}: it was under way each of the last "
            f"{MOST_ATTEMPTS} times that the node's session ended",
            warning=True,
            app=container.app,
        )
    if found:
        ledger.write()


def _give_up_outdated(ledger: Ledger, node: Node) -> None:
    """The agent is an older one than was there when these were placed: they go elsewhere."""
    if not load.outdated(node):
        return
    message = (
        f"The agent of node {node.name} is too old for secrets, so it is not sent there. Update that agent, or let it "
        "run on another node."
    )
    result = protocol.Result(job="", ok=False, code="agent-outdated", message=message)
    found = ledger.take_up(jobs.not_started(node))
    for container in found:
        release = ledger.step.releases.get(container.release_id)
        spec = release.project.find(container.slot.service.name) if release else None
        if spec and (spec.secrets or spec.secret_environment):
            observed.failed(ledger, container, result)
    ledger.write()


def _of_container(ledger: Ledger, job: Job, message: protocol.Result) -> None:
    container = ledger.container(job.container_id)
    if container is None:
        return
    if job.kind == JobKind.ENSURE and not message.ok:
        observed.failed(ledger, container, message)
    elif job.kind == JobKind.STOP and State(container.state).ended and container.removed_at is None:
        ledger.remains(container)
    elif job.kind == JobKind.STOP:
        observed.stopped_for_good(ledger, container)
    elif job.kind == JobKind.REMOVE and message.ok:
        observed.vanished(ledger, container)
