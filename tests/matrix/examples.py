"""`make examples` writes console/api/examples.json, which the API's schema shows: of each operation what was really
sent and answered here, with times and secrets that stand still, and lists cut short."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from ops.home import ROOT
from tests.matrix.console import console

if TYPE_CHECKING:
    from tests.matrix.schema import Operation
    from tests.matrix.world import World

PLACE = ROOT / "console" / "api" / "examples.json"
AT = "2026-01-31T12:00:00Z"
MOST = 3
"""Of a list of texts or numbers; of objects one is enough."""
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_SECRET = re.compile(r"\b(berth|link|invite|join|node|broker|exec|whsec)_[\w-]{16,}")
_BROKER = re.compile(r"redis(\+socket)?://[^\s\"]+")


def main() -> int:
    with console():
        from django.db import transaction

        from tests.matrix.snapshot import same_chance
        from tests.matrix.world import World

        with transaction.atomic(), same_chance():
            found = recorded(World())
            transaction.set_rollback(True)
    PLACE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"{PLACE}: {len(found)} entries")
    return 0


def recorded(world: World) -> dict[str, Any]:
    """By operation: the body that was sent (`request`), and the JSON that was answered (`responses`) by its status.
    By schema: what many operations answer."""
    from tests.matrix.schema import operations
    from tests.matrix.world import Who, undone

    found = {operation.id: _of(world, operation) for operation in operations()}
    scale = next(one for one in operations() if one.id == "scale_service")
    with undone():
        found["DryRunOutput"] = _still(scale.ask(world, scale.caller(world), {"dry_run": "true"}).json())
    found["Error"] = _still(scale.ask(world, world.principals[Who.OUTSIDER]).json())
    return found


def _of(world: World, operation: Operation) -> dict[str, Any]:
    from tests.matrix.world import undone

    found: dict[str, Any] = {}
    if "requestBody" in operation.said:
        found["request"] = json.loads(operation.row.content(world.home, page=False))
    with undone():
        operation.prepare(world)
        answer = operation.ask(world, operation.caller(world))
    kind, content = operation.read(answer)
    if kind == "application/json":
        found["responses"] = {str(answer.status_code): json.loads(content)}
    return dict(_still(found))


def _still(value: Any) -> Any:
    """Without what differs from one recording to the next, and without what is only more of the same."""
    match value:
        case dict():
            return {key: _still(one) for key, one in value.items()}
        case list():
            return [_still(one) for one in value[: 1 if value and isinstance(value[0], dict) else MOST]]
        case str():
            text = _SECRET.sub(r"\1_…", _TIME.sub(AT, value))
            return _BROKER.sub("rediss://berth.example.com:6379/0", text)
        case float():
            return round(value, 1)
        case _:
            return value


if __name__ == "__main__":
    sys.exit(main())
