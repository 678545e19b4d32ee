"""An explanation of a placement as a table: nodes down, parts of the score across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from console.workloads.models import Explanation

PARTS: Mapping[str, Any] = {
    "prefer": _("planned"),
    "avoid": _("failed there"),
    "labels": _("spread"),
    "service": _("same service"),
    "app": _("same app"),
    "affinity": _("affinity"),
    "bestfit": _("tight fit"),
    "fragmentation": _("fragments"),
    "image": _("image there"),
    "load": _("room left"),
}
"""Words for the parts of a score; a part without one is shown by its name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One node: why it was refused, or its score by part, in the table's order."""

    node: str
    name: str
    refusal: str
    scores: Sequence[str]
    total: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Table:
    parts: Sequence[str]
    rows: Sequence[Row]
    more: int
    """Nodes that are not in it."""


def table_of(
    explanation: Explanation, *, chosen: str = "", scores: Mapping[str, float] | None = None
) -> Table:
    """The chosen node first, then those that fit, the best first, then the rest. `scores` are the chosen one's at
    its turn, which in a batch is not when the others were scored."""
    verdicts = [dict(verdict) for verdict in explanation.verdicts]
    for verdict in verdicts:
        if verdict["node"] == chosen and scores:
            verdict["scores"] = scores
    parts = list(dict.fromkeys(part for verdict in verdicts for part in verdict.get("scores") or {}))
    verdicts.sort(
        key=lambda one: (one["node"] != chosen, bool(one.get("refusal")), -_total(one), one["name"])
    )
    rows = [_row(verdict, parts, chosen) for verdict in verdicts]
    labels = [str(PARTS.get(part, part)) for part in parts]
    return Table(labels, rows, max(0, explanation.nodes - len(rows)))


def _row(verdict: Mapping[str, Any], parts: Sequence[str], chosen: str) -> Row:
    scores: Mapping[str, float] = verdict.get("scores") or {}
    refusal = (verdict.get("refusal") or {}).get("reason", "")
    cells = [number(scores[part]) if part in scores else "" for part in parts]
    total = "" if refusal else number(_total(verdict))
    return Row(verdict["node"], verdict["name"], refusal, cells, total, verdict["node"] == chosen)


def _total(verdict: Mapping[str, Any]) -> float:
    return float(sum((verdict.get("scores") or {}).values()))


def number(value: float) -> str:
    """A score with as many digits as tell something."""
    if value and (abs(value) >= 1e10 or abs(value) < 0.005):
        return f"{value:.1e}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")
