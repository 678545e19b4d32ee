"""What a write would do, as the console says when it is only tried (`?dry_run=true`)."""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps
from typing import Any

from rich.text import Text

from berth import output
from berth.client import Json

LONGEST = 60
"""Characters of a value that are shown."""


def show(plan: Json) -> None:
    """The model's changes, where new containers would go, and what the team would claim of its quota."""
    rows = [[one["path"], _value(one["before"]), _value(one["after"])] for one in plan["changes"]]
    output.show_table(["CHANGE", "NOW", "THEN"], rows, "Nothing of the app's model would change.")
    placed = [_service(one) for one in plan["placement"]]
    if placed:
        output.show_table(["SERVICE", "NEW", "WOULD GO TO", "FINDS NO NODE"], placed)
    for one in plan["placement"]:
        if one["refusal"]:
            _refusal(one["service"], one["refusal"])
    if plan["quota"]:
        output.show_table(["QUOTA", "NOW", "THEN", "ALLOWED"], list(_quota(plan["quota"])))


def _value(value: Any) -> str:
    """As JSON; nothing for what is not there."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _service(one: Json) -> list[Any]:
    nodes = " ".join(f"{node['name']}×{node['count']}" for node in one["nodes"])
    missing = one["wanted"] - one["placed"]
    return [one["service"], one["wanted"], nodes or "-", Text(str(missing), "yellow" if missing else "")]


def _refusal(service: str, refusal: Json) -> None:
    output.err.print(Text(f"{service} would wait: {refusal['summary']}", "yellow"))
    for remedy in refusal["remedies"]:
        output.err.print(Text(f"  {remedy}"))


def _quota(quota: Json) -> Iterator[list[str]]:
    units = {"cpu": lambda count: f"{count / 1000:g}", "memory": output.size}
    for name in quota["after"]:
        shown = units.get(name, str)
        allowed = quota["allowed"][name]
        yield [
            name,
            shown(quota["before"][name]),
            shown(quota["after"][name]),
            "no limit" if allowed is None else shown(allowed),
        ]
