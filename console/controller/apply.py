"""Plan → rows and jobs, in the step's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta

from console.accounts.members import forget_app
from console.common.prepared import Prepared
from console.controller import appview, jobs, rollouts, rows, volumes
from console.controller.appview import Rows
from console.controller.context import Step
from console.controller.explanations import delete_unused
from console.controller.observed import count_failure
from console.controller.place import place
from console.workloads import operations
from console.workloads.enums import OperationKind, OperationState
from console.workloads.models import App, Container, Slot, Volume
from scheduler import model
from scheduler.lifecycle import Actor, State, move

PENDING_AGAIN = timedelta(seconds=5)
"""A slot that found no node is tried again after this, though nothing is known to have changed."""
_RESTED = Prepared(
    lambda services, highest: Slot.objects.filter(service__in=services, retired=True, index__lte=highest)
)


def apply(step: Step, app: Rows, view: model.AppView, plan: model.Plan, held: Collection[str] = ()) -> None:
    """Carry out the plan for a view. What it decides is in the database, with its jobs, once the transaction
    commits. `held`: slots of which a rehearsal said that they have to wait."""
    _create(app, plan)
    _stop(step, app, plan.stop)
    held = {*held, *plan.waits}
    unplaced = place(step, app, plan.place, held)
    _remove(step, app, plan.remove)
    _retire(app, plan.retire)
    late = rollouts.carry_on(step, app, plan)
    times = [late] if late is not None else []
    if plan.wake_at is not None:
        times.append(appview.moment(plan.wake_at))
    if unplaced or held or any(_nowhere(service) for service in view.services):
        times.append(step.now + PENDING_AGAIN)
    if any(one.leaves for one in unplaced):
        # There is no room for both: whether the old one can make way is found out next.
        times.append(step.now)
        step.more = True
    step.wakes[app.app.id] = min(times, default=None)
    if not plan.empty:
        step.announce(app.app.team_id, "app", app.app.id)


def _nowhere(service: model.ServiceView) -> bool:
    """A global service without a single node has no slot that would wait."""
    return service.mode.everywhere and bool(service.replicas) and not service.eligible


def _create(app: Rows, plan: model.Plan) -> None:
    """New slots, or retired ones taken up again: their generations go on. Those that are placed are saved when
    they are."""
    by_service: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for one in plan.create:
        by_service[one.service][one.index] = one.node
    if not by_service:
        return
    wanted = [app.services[name].id for name in by_service]
    rested = {(slot.service_id, slot.index): slot for slot in _RESTED(wanted, _highest(plan))}
    placed = {(one.service, one.index) for one in plan.place}
    waiting = []
    for name, nodes in by_service.items():
        service = app.services[name]
        for index, node in nodes.items():
            slot = rested.get((service.id, index)) or Slot(service=service, index=index)
            slot.service, slot.node_id = service, node or None
            slot.retired, slot.failures, slot.not_before = False, 0, None
            app.slots[slot.id] = slot
            if (name, index) not in placed:
                waiting.append(slot)
    rows.save(waiting, ("retired", "failures", "not_before", "node"))


def _highest(plan: model.Plan) -> int:
    return max(one.index for one in plan.create)


def _stop(step: Step, app: Rows, wanted: Sequence[model.StopContainer]) -> None:
    stops = {one.container: one for one in wanted}
    found = [each for each in app.all_containers() if each.id in stops]
    failed: dict[str, Slot] = {}
    for container in found:
        stop = stops[container.id]
        container.state = move(State(container.state), State.STOPPING, Actor.CONTROLLER)
        container.stop_reason = stop.reason[:200]
        step.live.leave(container.id)
        if stop.failure:
            count_failure(step, container)
            failed[container.slot_id] = container.slot
        step.tell_app(
            app.app,
            f"{container.name} is stopped: {stop.reason}",
            warning=stop.failure,
            many=f"{container.slot.service.name}: {{count}} containers on {{nodes}} are stopped: "
            + stop.reason.replace("{", "{{").replace("}", "}}"),
            where=container.node_id,
        )
    rows.save_alike(found, ("state", "stop_reason"))
    rows.save(failed.values(), ("failures", "not_before"))
    jobs.close(found, None, step.now)
    jobs.for_containers(step, found)


def _remove(step: Step, app: Rows, wanted: Sequence[str]) -> None:
    """The view knows which are being removed already."""
    ids = set(wanted)
    found: list[Container] = [each for each in app.all_containers() if each.id in ids]
    jobs.close(found, None, step.now)
    jobs.for_containers(step, found)


def _retire(app: Rows, wanted: Sequence[str]) -> None:
    """A slot that rests keeps its number and nothing else."""
    found = [app.slots[id_] for id_ in wanted]
    explained = {slot.explanation_id for slot in found if slot.explanation_id}
    for slot in found:
        slot.retired, slot.pending, slot.scores = True, "", {}
        slot.explanation, slot.node = None, None
    rows.save_alike(found, ("retired", "pending", "scores", "explanation_id", "node_id"))
    delete_unused(explained)


def finish_deletion(step: Step, app: App) -> None:
    """Once no container of a deleted app is left: its volumes as asked, then its rows. History stays."""
    if app.delete_volumes and _volumes_left(step, app):
        return
    volumes.keep(step, app)
    for operation in operations.open_operations(app.id):
        if operation.kind != OperationKind.VOLUME:
            operations.end(operation, OperationState.SUCCEEDED, step.now)
    step.tell_app(app, f"App {app.name} is deleted")
    step.announce(app.team_id, "app", app.id)
    step.live.forget_app(app.id)
    step.releases.prune(app.id)
    step.wishes.forget([app.id])
    step.wakes[app.id] = None
    forget_app(app.id)
    app.delete()


def _volumes_left(step: Step, app: App) -> bool:
    """Whether volumes are still to be deleted; asks each node for its own, once."""
    left: dict[str, list[str]] = {}
    for volume in Volume.objects.filter(app=app).exclude(node=None):
        left.setdefault(str(volume.node_id), []).append(volume.engine_name)
    for node_id, names in left.items():
        jobs.add_volume_removal(step, step.nodes[node_id], app, names)
    return bool(left)
