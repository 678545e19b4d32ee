"""`deploy.placement`: constraints, preferences and the most of one node."""

from __future__ import annotations

import re

from .cursor import Cursor, value
from .model import Affinity, Constraint, Placement, Spread
from .problems import clip
from .values import integer, matching, text

_LABEL = r"node\.labels\.[A-Za-z0-9][A-Za-z0-9_./-]*"
_KEY = rf"node\.id|node\.hostname|node\.zone|node\.platform\.(?:os|arch)|{_LABEL}"
_CONSTRAINT = re.compile(rf"({_KEY})\s*(==|!=)\s*(\S(?:.*\S)?)")
_SPREAD = re.compile(rf"node\.hostname|node\.zone|{_LABEL}")

node_key = matching(_KEY, "a node's key such as node.zone or node.labels.rack")
"""A reader of what constraints, spreads and affinities go by."""


def read_placement(
    at: Cursor | None, weighted: tuple[Spread, ...], affinity: tuple[Affinity, ...]
) -> Placement:
    """With what `x-berth` adds to it."""
    fields = at.fields({"constraints", "preferences", "max_replicas_per_node"}) if at else {}
    constraints = [
        _constraint(item) for item in (fields["constraints"].items() if "constraints" in fields else [])
    ]
    spread: list[str] = []
    for item in fields["preferences"].items() if "preferences" in fields else []:
        over = value(item.fields({"spread"}), "spread", text, "")
        if _SPREAD.fullmatch(over):
            spread.append(over)
        else:
            item.fail("invalid", f"spread must name a label such as node.labels.zone, not {clip(over)}")
    return Placement(
        constraints=tuple(constraint for constraint in constraints if constraint is not None),
        spread=tuple(spread),
        weighted=weighted,
        affinity=affinity,
        max_per_node=value(fields, "max_replicas_per_node", integer(0, 10_000), 0),
    )


def _constraint(item: Cursor) -> Constraint | None:
    written = item.parse(text, "")
    match = _CONSTRAINT.fullmatch(written.strip()) if len(written) <= 500 else None
    if match is not None:
        return Constraint(key=match[1], equal=match[2] == "==", value=match[3])
    if written.strip().startswith(("node.role", "engine.labels")):
        item.fail(
            "unsupported", f"{clip(written)} is not supported yet: use node.labels, node.hostname or node.id"
        )
    else:
        item.fail("invalid", f"{clip(written)} is not a constraint such as node.labels.disk == ssd")
    return None
