"""Operation rows: begun by a request, carried on and ended by the controller."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from console.common import events
from console.workloads.enums import OperationKind, OperationState
from console.workloads.models import App, Operation

STEPS_KEPT = 50


def begin(app: App, kind: OperationKind, *, actor: str, target: str = "", text: str) -> Operation:
    """A running operation of the app, with its first step. In the caller's transaction."""
    now = timezone.now()
    operation = Operation.objects.create(
        team=app.team,
        app_id=app.id,
        app_name=app.name,
        kind=kind,
        target=target,
        actor=actor,
        created_at=now,
        steps=[{"at": now.isoformat(), "text": text}],
    )
    events.announce(app.team_id, "operation", app.id)
    return operation


def note(operation: Operation, text: str, now: datetime) -> None:
    """Add a step. One on the same subject (the words before a colon) takes the last one's place."""
    last = operation.steps[-1]["text"] if operation.steps else ""
    if last == text:
        return
    subject = text.partition(":")[0]
    before = operation.steps[:-1] if ":" in text and last.partition(":")[0] == subject else operation.steps
    operation.steps = [*before, {"at": now.isoformat(), "text": text}][-STEPS_KEPT:]
    operation.save(update_fields=["steps"])
    events.announce(operation.team_id, "operation", operation.app_id)


def end(operation: Operation, state: OperationState, now: datetime, error: str = "") -> None:
    """The operation's last word; one that has ended stays as it ended."""
    if operation.state != OperationState.RUNNING:
        return
    operation.state, operation.error, operation.ended_at = state, error, now
    operation.save(update_fields=["state", "error", "ended_at"])
    events.announce(operation.team_id, "operation", operation.app_id)


def open_operations(app_id: str) -> list[Operation]:
    return list(Operation.objects.filter(app_id=app_id, state=OperationState.RUNNING).order_by("created_at"))
