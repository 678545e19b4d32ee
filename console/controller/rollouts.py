"""How rollouts end, and what the app's operations say meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from console.common import events
from console.controller import appview
from console.controller.appview import Rows
from console.controller.context import Step
from console.workloads import operations, quotas, restarts
from console.workloads.enums import UNDER_WAY, OperationKind, OperationState, ReleaseState, RolloutState
from console.workloads.models import App, Container, Operation, Release, Rollout
from console.workloads.services import go_back, take_services
from scheduler import model

_BY_ROLLOUT = (OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.DELETE, OperationKind.VOLUME)
"""These end with a rollout, with the app, or with a volume."""
MOST_LINES = 20
"""Of a failed container's last lines, shown with the operation."""
_COARSE = timedelta(seconds=10)
"""A deadline is moved in the database only when it is later by so much."""


def carry_on(step: Step, app: Rows, plan: model.Plan) -> datetime | None:
    """End the rollout, or the release commands before it, if the plan says so, and note in the app's operations
    how far they are. When the first of these will be late."""
    late = _note_operations(step, app, plan)
    rollout = app.rollout
    if plan.commands is not None:
        _end_commands(step, app, plan.commands)
    elif rollout is not None and plan.rollout is not None:
        _end(step, app, rollout, plan.rollout)
    elif rollout is not None:
        later = appview.deadline(app, rollout)
        if later - rollout.deadline >= _COARSE:
            # Kept, so that a pause can move it on from where it stands.
            _running(rollout).update(deadline=later)
            rollout.deadline = later
    return late


def _running(rollout: Rollout) -> QuerySet[Rollout]:
    """The rollout, unless a person has paused or ended it since it was read."""
    return Rollout.objects.filter(pk=rollout.pk, state=RolloutState.RUNNING)


def _end(step: Step, app: Rows, rollout: Rollout, wanted: model.RolloutMove) -> None:
    back = wanted.state is model.RolloutState.ROLLED_BACK
    before = appview.release_to_go_back_to(rollout) if back else None
    state = RolloutState.FAILED if back and before is None else RolloutState(wanted.state.value)
    culprit = _container(wanted.container)
    values = {"state": state, "reason": wanted.reason, "failed_container": culprit, "ended_at": step.now}
    if not _running(rollout).update(**values):
        return
    failed = state in (RolloutState.FAILED, RolloutState.ROLLED_BACK)
    number, reason = rollout.release.number, wanted.reason
    if before is not None:
        operation = go_back(app.app, before, actor=events.CONTROLLER)
        quotas.settle(app.app, None)
        made = _restart_clock(step, app.app)
        reason = f"{reason} (rolled back to release {before.number}, as release {made.release.number})"
        operations.note(operation, f"Release {number} failed: {wanted.reason}", step.now)
    if rollout.operation:
        ended = OperationState.FAILED if failed else OperationState.SUCCEEDED
        _note_last_lines(rollout.operation, culprit, step.now)
        operations.end(rollout.operation, ended, step.now, reason)
    word = "rolled back" if before else str(state)
    because = f": {reason}" if reason else ""
    step.tell_app(app.app, f"Rollout of release {number} {word}{because}", warning=failed)


def _container(id_: str) -> Container | None:
    return Container.objects.filter(pk=id_).first() if id_ else None


def _note_last_lines(operation: Operation, container: Container | None, now: datetime) -> None:
    """What the container that decided it said at its end."""
    if container is not None and container.last_lines:
        lines = "\n".join(container.last_lines[-MOST_LINES:])
        operations.note(operation, f"Last lines of {container.name}:\n{lines}", now)


# -- release commands


def _end_commands(step: Step, app: Rows, end: model.CommandsEnd) -> None:
    """From now on the release is the one that is wanted; or it is given up, and nothing of it will be."""
    assert app.coming is not None  # noqa: S101  (its commands were in the view)
    release, attempt = app.coming.release, app.attempt
    if attempt is None or attempt.state != RolloutState.RUNNING:
        return
    if not end.ok:
        reason = f"{end.reason}; nothing was replaced"
        give_up(step, app.app, release, reason, container=_container(end.container))
        return
    later = step.now + timedelta(seconds=settings.ROLLOUT_DEADLINE)
    if not _running(attempt).update(deadline=later):
        return
    release.state = ReleaseState.READY
    release.save(update_fields=["state"])
    take_services(app.app, release)
    names = ", ".join(app.coming.project.commands)
    if attempt.operation:
        operations.note(attempt.operation, f"{names} succeeded", step.now)
    step.tell_app(app.app, f"{names} of release {release.number} succeeded", kind="release.prepared")
    step.more = True


def give_up(step: Step, app: App, release: Release, reason: str, container: Container | None = None) -> None:
    """A release that never becomes ready: nothing of the one before was touched."""
    rollouts = Rollout.objects.filter(release=release, state__in=UNDER_WAY)
    for rollout in rollouts.select_related("operation"):
        rollout.state, rollout.reason, rollout.ended_at = RolloutState.FAILED, reason, step.now
        rollout.failed_container = container
        rollout.save(update_fields=["state", "reason", "ended_at", "failed_container"])
        if rollout.operation:
            _note_last_lines(rollout.operation, container, step.now)
            operations.end(rollout.operation, OperationState.FAILED, step.now, reason)
    release.state, release.error = ReleaseState.FAILED, reason
    release.save(update_fields=["state", "error"])
    quotas.settle(app, None)
    text = f"Release {release.number} failed: {reason}"
    step.tell_app(app, text, kind="release.failed", warning=True)
    step.more = True


# -- operations


def _restart_clock(step: Step, app: App) -> Rollout:
    """The rollout that was just made, begun at the step's own time."""
    made = Rollout.objects.select_related("release").get(app=app, state=RolloutState.RUNNING)
    made.deadline += step.now - made.started_at
    made.started_at = step.now
    made.save(update_fields=["started_at", "deadline"])
    return made


def _note_operations(step: Step, app: Rows, plan: model.Plan) -> datetime | None:
    """What is there of what is wanted, and what holds it up. One that has reached its end, ends, and one that has
    had as much time as a rollout fails; a restart then leaves what it has not replaced."""
    if not app.operations:
        return None
    pending = [slot for slot in app.slots.values() if slot.pending and not slot.retired]
    held = min(pending, key=lambda slot: (slot.service.name, slot.index), default=None)
    text = f"{held} waits: {_without_verb(held.pending)}" if held else _progress(plan.counts)
    if appview.commands_wait_for_start(app):
        text = "The release command runs once the app is started"
    quiet = not (held or plan.place or plan.stop)
    reached = quiet and all(
        one.well >= one.wanted and one.live <= one.wanted and not (one.waits or one.due)
        for one in plan.counts
    )
    times = []
    for operation in app.operations:
        if text:
            operations.note(operation, text, step.now, _counted(plan.counts))
        if operation.kind in _BY_ROLLOUT:
            continue
        late = _late_at(step, app, operation)
        if reached:
            operations.end(operation, OperationState.SUCCEEDED, step.now)
        elif late <= step.now:
            operations.end(operation, OperationState.FAILED, step.now, f"{text} when its time was up")
            if operation.kind == OperationKind.RESTART:
                restarts.take_back(operation)
        else:
            times.append(late)
    return min(times, default=None)


def _late_at(step: Step, app: Rows, operation: Operation) -> datetime:
    """While a rollout is under way it has all the time again: what it waits for may be the rollout."""
    under_way = app.rollout is not None and app.rollout.state in UNDER_WAY
    began = step.now if under_way else operation.created_at
    return began + timedelta(seconds=settings.ROLLOUT_DEADLINE)


def _without_verb(pending: str) -> str:
    return pending.removeprefix("waits ")


def _counted(counts: Sequence[model.Counts]) -> operations.Progress:
    """What is still to be replaced is not done, however well it is."""
    done = sum(max(0, min(one.well, one.wanted - one.due)) for one in counts)
    return operations.Progress(done, sum(one.wanted for one in counts))


def _progress(counts: Sequence[model.Counts]) -> str:
    return ", ".join(
        f"{one.service}: {one.well} of {one.wanted} well{f' ({one.waits})' if one.waits else ''}"
        for one in counts
    )
