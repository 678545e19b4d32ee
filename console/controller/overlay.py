"""The overlay as this cluster's nodes have it → who may start what on it, and the jobs that bring it about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import msgspec
from django.conf import settings
from django.db.models import Q

from console.cluster.enums import JobKind, NodeState
from console.cluster.models import Job, Node
from console.cluster.queries import cluster
from console.common.ids import new_id
from console.controller import outbox
from console.controller.context import Step
from console.controller.ledger import Ledger
from console.network import membership
from console.network.membership import Order, Part, View
from console.network.models import AppNetwork
from console.workloads.models import App, Container
from nodeagent import protocol

HELD = timedelta(seconds=10)
"""How long a start waits for its network; then the node itself says what is missing."""
AGAIN = timedelta(seconds=30)
"""After this a change that failed, or was forgotten, is asked for again."""
LOST = timedelta(seconds=60)
"""A manager that was away for so long gets a stand-in."""


def wanted() -> bool:
    return bool(settings.NETWORK_DRIVER == "overlay")


def keep(step: Step) -> None:
    """Once in each step, after the nodes were judged."""
    if not wanted():
        for node in step.nodes.values():
            _save_reason(step, node, "")
        return
    parts, found = _look(step)
    for id_, reason in membership.reasons(parts, found).items():
        _save_reason(step, step.nodes[id_], reason)
    if found.speaker:
        step.overlay_manager, step.overlay_swarm = found.speaker.id, found.swarm
    pool, subnet = settings.OVERLAY_POOL, settings.OVERLAY_SUBNET
    orders = membership.plan(parts, found, pool=pool, subnet=subnet)
    if orders:
        _give(step, orders)
    _keep_networks(step)


def _look(step: Step) -> tuple[list[Part], View]:
    step.cluster_id = step.cluster_id or cluster().id
    parts = [_part(step, node) for node in step.nodes.values()]
    return parts, membership.view(parts, step.cluster_id)


def _part(step: Step, node: Node) -> Part:
    down = node.state == NodeState.DOWN
    return Part(
        id=node.id,
        name=node.name,
        well=node.state == NodeState.READY and node.synced_session == node.session,
        lost=down and (node.contact_at is None or step.now - node.contact_at > LOST),
        live_restore=bool(node.engine.get("live_restore")),
        public_key=bytes(node.public_key),
        overlay=msgspec.convert(node.overlay, protocol.Overlay) if node.overlay else None,
    )


def _save_reason(step: Step, node: Node, reason: str) -> None:
    if node.off_overlay == reason:
        return
    if wanted():
        text = f"Node {node.name} {reason}" if reason else f"Node {node.name} is on the overlay"
        step.tell_node(node, "node.overlay", text, warning=bool(reason) and not node.off_overlay)
    node.off_overlay = reason
    node.save(update_fields=["off_overlay"])
    step.freed |= not reason


# -- the swarm


def _give(step: Step, orders: Iterable[Order]) -> None:
    """Jobs for what is not under way already, and was not tried in vain just now."""
    recent = Job.objects.filter(kind=JobKind.SWARM, created_at__gt=step.now - AGAIN)
    open_ = Job.objects.filter(kind=JobKind.SWARM, done_at=None)
    busy = {_key(job) for job in (*recent, *open_)}
    for order in orders:
        act = order.job.act
        # Whoever was invited is about to join; a swarm is begun in one place alone.
        taken = {(act, order.about), ("join", order.about)} if act == "invite" else {(act, order.about)}
        if act == "init":
            taken |= {key for key in busy if key[0] == "init"}
        if not busy & taken:
            outbox.add(step, step.nodes[order.node], msgspec.structs.replace(order.job, id=new_id()))


def _key(job: Job) -> tuple[str, str]:
    payload = job.payload
    about = payload.get("guest") or payload.get("node") or job.node_id
    return str(payload["act"]), str(about)


# -- networks


def hold_for(step: Step, app_id: str, joined: Iterable[protocol.Attachment]) -> timedelta:
    """How long a start on these networks waits: not at all once all are made. A manager is asked for the others."""
    held = timedelta()
    for one in joined:
        if one.overlay and not _made(step, app_id, one):
            held = HELD
    return held


def _made(step: Step, app_id: str, one: protocol.Attachment) -> bool:
    row, _new = AppNetwork.objects.get_or_create(
        name=one.network, defaults={"app_id": app_id, "internal": one.internal}
    )
    # A swarm that was made anew has none of the networks of the one before.
    made = row.made_at is not None and row.swarm == (step.overlay_swarm or row.swarm)
    if not made:
        _ask(step, row, gone=False)
    return made


def _ask(step: Step, row: AppNetwork, *, gone: bool) -> None:
    manager = step.nodes.get(step.overlay_manager)
    if manager is None or (row.asked_at is not None and step.now - row.asked_at < AGAIN):
        return
    row.asked_at = step.now
    row.save(update_fields=["asked_at"])
    job = protocol.Network(id=new_id(), name=row.name, app=row.app_id, internal=row.internal, gone=gone)
    outbox.add(step, manager, job)


def _keep_networks(step: Step) -> None:
    """Ask again for what is not made, and for what is not removed though its app is gone."""
    if not step.overlay_manager:
        return
    apps = App.objects.order_by().values("pk")
    missing = Q(made_at=None) | ~Q(swarm=step.overlay_swarm)
    for row in AppNetwork.objects.filter(missing, app_id__in=apps):
        _ask(step, row, gone=False)
    for row in AppNetwork.objects.exclude(app_id__in=apps):
        _ask(step, row, gone=True)


# -- how jobs ended


def concluded(ledger: Ledger, node: Node, job: Job, message: protocol.Result) -> None:
    if job.kind == JobKind.NETWORK:
        _network_concluded(ledger.step, node, job, message)
    elif not message.ok:
        what = f"Node {node.name} cannot {job.payload['act']} for the overlay: {message.message}"
        ledger.step.tell_node(node, "node.overlay", what, warning=True)
    elif job.payload["act"] == "invite":
        _let_join(ledger.step, str(job.payload["guest"]), message.sealed)


def _let_join(step: Step, guest: str, token: bytes) -> None:
    node = step.nodes.get(guest)
    _parts, found = _look(step)
    if node is not None and found.addresses:
        outbox.add(step, node, protocol.Swarm(id=new_id(), act="join", token=token, managers=found.addresses))


def _network_concluded(step: Step, node: Node, job: Job, message: protocol.Result) -> None:
    row = AppNetwork.objects.filter(name=job.payload["name"]).first()
    if row is None:
        return
    if not message.ok:
        _tell_failure(step, node, row, message.message[:500])
    elif job.payload["gone"]:
        row.delete()
    else:
        _parts, found = _look(step)
        row.made_at, row.swarm, row.error = step.now, found.swarm, ""
        row.save(update_fields=["made_at", "swarm", "error"])
        held = Container.objects.filter(app_id=row.app_id, removed_at=None).values("pk")
        waiting = Job.objects.filter(kind=JobKind.ENSURE, done_at=None, rings=0, container_id__in=held)
        waiting.update(ring_at=step.now)


def _tell_failure(step: Step, node: Node, row: AppNetwork, error: str) -> None:
    """Once for each reason: it is tried again and again."""
    if row.error != error:
        app = App.objects.filter(pk=row.app_id).first()
        text = f"Node {node.name} cannot settle the network {row.name}: {error}"
        step.tell_node(node, "node.overlay", text, warning=True, app=app)
        row.error = error
        row.save(update_fields=["error"])
