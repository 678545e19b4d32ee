"""`deploy.update_config` and `deploy.rollback_config`."""

from __future__ import annotations

from typing import Literal

from .cursor import Cursor, value
from .model import USUAL_UPDATE, Update
from .values import duration, integer, number, one_of

_KEYS = frozenset(("parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order"))
_Action = Literal["pause", "continue", "rollback"]
_Order = Literal["stop-first", "start-first"]


def read_update(at: Cursor | None, *, rollback: bool = False) -> Update:
    """Either of the two; a rollback cannot roll back itself."""
    if at is None:
        return USUAL_UPDATE
    fields = at.fields(_KEYS)
    action: _Action = value(fields, "failure_action", one_of("pause", "continue", "rollback"), "pause")
    if rollback and action == "rollback":
        fields["failure_action"].fail("invalid", "a rollback cannot be rolled back: use pause or continue")
    return Update(
        parallelism=value(fields, "parallelism", integer(0, 100_000), None),
        delay=value(fields, "delay", duration, 0.0),
        failure_action=action,
        monitor=value(fields, "monitor", duration, 0.0),
        max_failure_ratio=value(fields, "max_failure_ratio", number(0, 1), 0.0),
        order=_order(fields.get("order")),
    )


def _order(at: Cursor | None) -> _Order | None:
    if at is None:
        return None
    order: _Order = at.parse(one_of("stop-first", "start-first"), "stop-first")
    return order
