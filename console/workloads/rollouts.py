"""What people do to a rollout under way: hold it, let it go on, or go back. All of it is told by its operation."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from console.accounts.access import Access
from console.common import audit, events
from console.common.errors import Conflict
from console.common.prepared import Prepared
from console.workloads import operations, quotas, restarts
from console.workloads.enums import UNDER_WAY, OperationKind, OperationState, RolloutState
from console.workloads.models import App, Operation, Release, Rollout
from console.workloads.services import go_back, lock_app

ROLLED_OUT = (OperationKind.DEPLOY, OperationKind.ROLLBACK)
_ROLLED_OUT_BEFORE = Prepared(
    lambda app, number: Release.objects.filter(
        app=app, number__lt=number, rollouts__state=RolloutState.SUCCEEDED
    ).order_by("-number")[:1]
)


@transaction.atomic
def pause_rollout(access: Access, app: App) -> Operation:
    """Replace nothing more until it is resumed; its deadline stands still. What runs goes on running."""
    access.require_deploy(app)
    app = lock_app(app)
    rollout = _under_way(app)
    if rollout.state == RolloutState.PAUSED:
        raise _conflict(_("The rollout is paused already."), "rollout_paused", rollout)
    rollout.state, rollout.paused_at = RolloutState.PAUSED, timezone.now()
    rollout.save(update_fields=["state", "paused_at"])
    return _tell(access, app, rollout, "paused", f"Paused by {access.actor}")


@transaction.atomic
def resume_rollout(access: Access, app: App) -> Operation:
    """Go on with a paused rollout; its deadline moves on by the pause."""
    access.require_deploy(app)
    app = lock_app(app)
    rollout = _under_way(app)
    if rollout.state == RolloutState.RUNNING:
        raise _conflict(_("The rollout is not paused."), "rollout_running", rollout)
    now = timezone.now()
    rollout.deadline += now - (rollout.paused_at or now)
    rollout.state, rollout.paused_at = RolloutState.RUNNING, None
    rollout.save(update_fields=["state", "paused_at", "deadline"])
    return _tell(access, app, rollout, "resumed", f"Resumed by {access.actor}")


@transaction.atomic
def cancel_rollout(access: Access, app: App) -> Operation:
    """Go back to the last release before it that was rolled out well. The answer is the rollback's operation."""
    access.require_deploy(app)
    app = lock_app(app)
    rollout = _under_way(app)
    if rollout.rollback:
        message = _("This rollout is a rollback already. Roll out another release instead.")
        raise _conflict(message, "rollout_is_rollback", rollout)
    before = release_before(rollout)
    if before is None:
        message = _("No earlier release was rolled out well. Stop or delete the app instead.")
        raise _conflict(message, "no_earlier_release", rollout)
    operation = go_back(app, before, actor=access.actor, reason=f"Cancelled by {access.actor}")
    # What it goes back to ran before; no quota keeps a team from that.
    quotas.settle(app, None)
    return operation


@transaction.atomic
def cancel_operation(access: Access, operation: Operation) -> Operation:
    """Take back what it is doing: a deployment or rollback as `cancel_rollout`, whose operation is the answer; a
    restart leaves the containers that it has not replaced yet. Asks for the verb that began it. Raises Conflict for
    what has ended or cannot be."""
    app = App.objects.filter(pk=operation.app_id, team=access.team).first()
    operation = Operation.objects.select_for_update(no_key=True).get(pk=operation.pk)
    if app is not None and operation.kind in ROLLED_OUT:
        access.require_deploy(app)
    elif app is not None:
        access.require_write(app)
    if app is None or operation.state != OperationState.RUNNING:
        raise _not_cancellable(_("It has ended already."), operation)
    rollout = Rollout.objects.filter(app=app, operation=operation, state__in=UNDER_WAY).first()
    if rollout is not None:
        return cancel_rollout(access, app)
    if operation.kind != OperationKind.RESTART:
        message = _("An operation of this kind is not taken back. Ask for the opposite instead.")
        raise _not_cancellable(message, operation)
    app = lock_app(app)
    before = restarts.requests(restarts.concerned(operation))
    restarts.take_back(operation)
    text = f"Restart of {operation.target or app.name} cancelled"
    operations.note(operation, text, timezone.now())
    operations.end(operation, OperationState.SUPERSEDED, timezone.now(), f"Cancelled by {access.actor}")
    data = audit.change(before, dict.fromkeys(before))
    events.record("app.cancel", text, actor=access.actor, team=app.team_id, app=app.id, data=data)
    return operation


def _not_cancellable(message: str, operation: Operation) -> Conflict:
    return Conflict(message, code="not_cancellable", data={"operation": operation.pk})


def release_before(rollout: Rollout) -> Release | None:
    """What it would go back to: the newest earlier release that was once rolled out well."""
    return next(iter(_ROLLED_OUT_BEFORE(rollout.app_id, rollout.release.number)), None)


def _under_way(app: App) -> Rollout:
    rollouts = Rollout.objects.select_for_update(of=("self",), no_key=True).select_related("release")
    rollout = rollouts.filter(app=app, state__in=UNDER_WAY).first()
    if rollout is None:
        raise Conflict(_("No rollout is under way."), code="no_rollout", data={"operation": None})
    return rollout


def _conflict(message: str, code: str, rollout: Rollout) -> Conflict:
    return Conflict(message, code=code, data={"operation": rollout.operation_id})


def _tell(access: Access, app: App, rollout: Rollout, verb: str, step: str) -> Operation:
    """The rollout's operation with one step more; an event, and a dirty mark."""
    operation = Operation.objects.select_for_update(no_key=True).filter(pk=rollout.operation_id).first()
    target = f"#{rollout.release.number}"
    if operation is None:
        kind = OperationKind.ROLLBACK if rollout.rollback else OperationKind.DEPLOY
        operation = operations.begin(app, kind, actor=access.actor, target=target, text=step)
        rollout.operation = operation
        rollout.save(update_fields=["operation"])
    else:
        operations.note(operation, step, timezone.now())
    text = f"Rollout of release {rollout.release.number} {verb}"
    data = audit.change({"paused": verb == "resumed"}, {"paused": verb == "paused"}, rollout=target)
    events.record(f"rollout.{verb}", text, actor=access.actor, team=app.team_id, app=app.id, data=data)
    events.mark_dirty(app.id)
    events.announce(app.team_id, "app", app.id)
    return operation
