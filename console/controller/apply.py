"""Plan → rows and jobs, in the step's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta

from console.cluster.enums import JobKind
from console.common import events
from console.common.ids import new_id
from console.controller import jobs, load, observed
from console.controller.context import Step
from console.controller.models import Wake
from console.workloads import operations
from console.workloads.enums import OperationKind, OperationState, RolloutState
from console.workloads.models import App, Container, Release, Rollout, Service, Slot, Volume
from scheduler import model
from scheduler.lifecycle import Actor, State, move
from scheduler.placement import Cluster

PENDING_AGAIN = timedelta(seconds=5)
"""A slot that found no node is tried again after this, though nothing is known to have changed."""


def apply(step: Step, app: App, release: Release | None, plan: model.Plan, cluster: Cluster) -> None:
    """Carry out a plan. What it decides is in the database, with its jobs, once the transaction commits."""
    _create(app, plan.create)
    _stop(step, app, plan.stop)
    unplaced = _place(step, app, release, plan.place, cluster) if release else False
    _remove(step, plan.remove)
    Slot.objects.filter(pk__in=plan.retire).update(retired=True, pending="", verdicts=[])
    _operations(step, app, plan)
    if plan.rollout:
        _end_rollout(step, app, plan.rollout)
    _wake(step, app, plan.wake_at, unplaced)
    if not plan.empty:
        events.announce(app.team_id, "app", app.id)


def _create(app: App, wanted: Sequence[model.NewSlot]) -> None:
    """New slots, or retired ones taken up again: their generations go on."""
    services = {service.name: service for service in Service.objects.filter(app=app)}
    for one in wanted:
        slot, _made = Slot.objects.get_or_create(service=services[one.service], index=one.index)
        if slot.retired:
            slot.retired, slot.failures, slot.not_before = False, 0, None
            slot.save(update_fields=["retired", "failures", "not_before"])


def _stop(step: Step, app: App, wanted: Sequence[model.StopContainer]) -> None:
    reasons = {one.container: one for one in wanted}
    rows = list(
        Container.objects.filter(pk__in=reasons).select_related(
            "slot__service", "app__team", "release", "node"
        )
    )
    for container in rows:
        stop = reasons[container.id]
        container.state = move(State(container.state), State.STOPPING, Actor.CONTROLLER)
        container.stop_reason = stop.reason[:200]
        container.save(update_fields=["state", "stop_reason"])
        if stop.failure:
            observed.count_failure(container, step.now)
        _event(step, app, f"{container.name} is stopped: {stop.reason}", warning=stop.failure)
    jobs.close(rows, None, step.now)
    jobs.for_containers(step, rows)


def _place(
    step: Step, app: App, release: Release, wanted: Sequence[model.Placement], cluster: Cluster
) -> bool:
    """Decide and assign; whether a slot found no node."""
    if not wanted:
        return False
    slots = {
        (slot.service.name, slot.index): slot
        for slot in Slot.objects.filter(service__app=app, retired=False).select_related("service")
    }
    chosen = [(placement, slots[placement.service, placement.index], new_id()) for placement in wanted]
    decisions = cluster.place(
        [replace(placement.request, slot=slot.id, container=id_) for placement, slot, id_ in chosen]
    )
    started = []
    for (placement, slot, id_), decision in zip(chosen, decisions, strict=True):
        slot.verdicts = [asdict(verdict) for verdict in decision.verdicts]
        slot.pending = "" if decision.node else decision.summary
        if decision.node:
            started.append(_assign(step, app, release, placement, slot, id_, decision))
        slot.save(update_fields=["verdicts", "pending", "generation", "failures", "not_before"])
    jobs.for_containers(step, started)
    return len(started) < len(decisions)


def _assign(
    step: Step,
    app: App,
    release: Release,
    placement: model.Placement,
    slot: Slot,
    container_id: str,
    decision: model.Decision,
) -> Container:
    node = step.nodes[decision.node or ""]
    before = Container.objects.filter(slot=slot).order_by("-generation").first()
    if placement.replaces and before:
        before.state = move(State(before.state), State.LOST, Actor.CONTROLLER)
        before.ended_at = step.now
        before.save(update_fields=["state", "ended_at"])
        jobs.close([before], None, step.now)
        _event(step, app, f"{before.name} is lost with node {step.nodes[before.node_id].name}", warning=True)
    if before and before.digest != placement.digest:
        slot.failures, slot.not_before = 0, None
    slot.generation += 1
    _bind_volumes(app, decision.request, node.id)
    spec = release.project.services[placement.service]
    container = Container.objects.create(
        id=container_id,
        app=app,
        slot=slot,
        release=release,
        node=node,
        generation=slot.generation,
        name=f"{app.name}/{slot.service.name}.{slot.index}",
        digest=placement.digest,
        image=decision.request.image,
        cpu=decision.request.cpu,
        memory=decision.request.memory,
        pids=decision.request.pids,
        cpu_limit=spec.resources.cpu,
        memory_limit=spec.resources.memory,
        ports=[[port.host, port.container, port.protocol] for port in decision.ports],
        volumes=list(decision.request.volumes),
        created_at=step.now,
    )
    _event(step, app, f"{container.name} placed on {decision.summary}")
    return container


def _bind_volumes(app: App, request: model.Request, node: str) -> None:
    for key in request.volumes:
        volume, _made = Volume.objects.get_or_create(app=app, name=key.partition("/")[2])
        if volume.node_id is None:
            volume.node_id = node
            volume.save(update_fields=["node"])


def _remove(step: Step, wanted: Sequence[str]) -> None:
    rows = list(
        Container.objects.filter(pk__in=wanted).select_related("slot__service", "app__team", "release")
    )
    busy = jobs.open_for(wanted, JobKind.STOP, JobKind.REMOVE)
    rows = [container for container in rows if container.id not in busy]
    jobs.close(rows, None, step.now)
    jobs.for_containers(step, rows)


def _end_rollout(step: Step, app: App, wanted: model.RolloutMove) -> None:
    rollout = (
        Rollout.objects.filter(app=app, state=RolloutState.RUNNING)
        .select_related("operation", "release")
        .first()
    )
    if rollout is None:
        return
    rollout.state, rollout.reason, rollout.ended_at = wanted.state.value, wanted.reason, step.now
    rollout.save(update_fields=["state", "reason", "ended_at"])
    failed = wanted.state is model.RolloutState.FAILED
    if rollout.operation:
        state = OperationState.FAILED if failed else OperationState.SUCCEEDED
        operations.end(rollout.operation, state, step.now, wanted.reason)
    reason = f": {wanted.reason}" if wanted.reason else ""
    _event(step, app, f"Rollout of release {rollout.release.number} {wanted.state}{reason}", warning=failed)


def _operations(step: Step, app: App, plan: model.Plan) -> None:
    """Carry the app's running operations on: what is there of what is wanted, and what holds it up."""
    running = operations.open_operations(app.id)
    if not running:
        return
    held = list(
        Slot.objects.filter(service__app=app, retired=False).exclude(pending="").select_related("service")[:1]
    )
    text = f"{held[0]} waits: {held[0].pending}" if held else _progress(plan.counts)
    quiet = not (held or plan.place or plan.stop)
    reached = quiet and all(one.well >= one.wanted and one.live <= one.wanted for one in plan.counts)
    for operation in running:
        if text:
            operations.note(operation, text, step.now)
        if operation.kind in (OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.DELETE):
            continue
        if reached:
            operations.end(operation, OperationState.SUCCEEDED, step.now)


def _progress(counts: Sequence[model.Counts]) -> str:
    return ", ".join(f"{one.service}: {one.well} of {one.wanted} well" for one in counts)


def _wake(step: Step, app: App, at: float | None, unplaced: bool) -> None:
    times = [load.moment(at)] if at is not None else []
    if unplaced:
        times.append(step.now + PENDING_AGAIN)
    if times:
        Wake.objects.update_or_create(app_id=app.id, defaults={"at": min(times)})
    else:
        Wake.objects.filter(app_id=app.id).delete()


def finish_deletion(step: Step, app: App) -> None:
    """Once no container of a deleted app is left: its volumes as asked, then its rows. History stays."""
    if app.delete_volumes and _volumes_left(step, app):
        return
    for operation in operations.open_operations(app.id):
        operations.end(operation, OperationState.SUCCEEDED, step.now)
    _event(step, app, f"App {app.name} is deleted")
    events.announce(app.team_id, "app", app.id)
    app.delete()


def _volumes_left(step: Step, app: App) -> bool:
    """Whether volumes are still to be deleted; asks each node for its own, once."""
    left: dict[str, list[str]] = {}
    for volume in Volume.objects.filter(app=app).exclude(node=None):
        left.setdefault(str(volume.node_id), []).append(volume.engine_name)
    for node_id, names in left.items():
        jobs.add_volume_removal(step, step.nodes[node_id], app, names)
    return bool(left)


def _event(step: Step, app: App, message: str, *, warning: bool = False) -> None:
    events.record(
        "app",
        message,
        actor=events.CONTROLLER,
        team=app.team_id,
        app=app.id,
        at=step.now,
        warning=warning,
    )
