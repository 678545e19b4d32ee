"""Operation rows: begun by a request, carried on and ended by the controller."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from console.common import events
from console.common.writes import insert, update
from console.workloads.enums import OperationKind, OperationState
from console.workloads.models import App, Operation

STEPS_KEPT = 50


class Progress(NamedTuple):
    """Of the slots that are wanted, how many are as the operation wants them. Kept with a step."""

    done: int
    wanted: int


def progress_of(operation: Operation) -> dict[str, int] | None:
    """As the last step that says so has it; None before the controller has looked."""
    return next((step["progress"] for step in reversed(operation.steps) if "progress" in step), None)


def begin(app: App, kind: OperationKind, *, actor: str, target: str = "", text: str) -> Operation:
    """A running operation of the app, with its first step. In the caller's transaction."""
    now = timezone.now()
    operation = Operation(
        team=app.team,
        app_id=app.id,
        app_name=app.name,
        kind=kind,
        target=target,
        actor=actor,
        created_at=now,
        steps=[{"at": now.isoformat(), "text": text}],
    )
    insert([operation])
    events.announce(app.team_id, "operation", app.id)
    return operation


def note(operation: Operation, text: str, now: datetime, progress: Progress | None = None) -> None:
    """Add a step. One on the same subject (the words before a colon) takes the last one's place."""
    last = operation.steps[-1] if operation.steps else {"text": ""}
    step = {"at": now.isoformat(), "text": text} | ({"progress": progress._asdict()} if progress else {})
    if last["text"] == text and last.get("progress") == step.get("progress"):
        return
    subject = text.partition(":")[0]
    again = last["text"] == text or (":" in text and last["text"].partition(":")[0] == subject)
    before = operation.steps[:-1] if again else operation.steps
    operation.steps = [*before, step][-STEPS_KEPT:]
    update(operation, ["steps"])
    events.announce(operation.team_id, "operation", operation.app_id)


def end(operation: Operation, state: OperationState, now: datetime, error: str = "") -> None:
    """The operation's last word; one that has ended stays as it ended."""
    if operation.state != OperationState.RUNNING:
        return
    operation.state, operation.error, operation.ended_at = state, error, now
    update(operation, ["state", "error", "ended_at"])
    events.announce(operation.team_id, "operation", operation.app_id)


def open_operations(app_id: str) -> list[Operation]:
    return list(Operation.objects.filter(app_id=app_id, state=OperationState.RUNNING).order_by("created_at"))
