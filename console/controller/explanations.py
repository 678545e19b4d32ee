"""Why slots went where they did, or wait: kept as rows, one for each slot of a small batch, one for all slots of a
large batch that were decided alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from django.db.models import Exists, OuterRef

from console.workloads.models import App, Explanation, Slot
from scheduler import model
from scheduler.placement import Cluster

EXACT = 2000
"""Up to so many slots times nodes, each slot has a row of its own."""
_NAMES = 5


@dataclass(frozen=True, slots=True)
class Chosen:
    """A placement that was tried: its slot, and the scheduler's word."""

    slot: Slot
    placement: model.Placement
    decision: model.Decision


@dataclass(slots=True)
class Reasons:
    """Rows to save, and ids of rows that were replaced."""

    made: list[Explanation] = field(default_factory=list)
    old: set[str] = field(default_factory=set)

    def save(self) -> None:
        """Before the slots that point at them are saved."""
        Explanation.objects.bulk_create(self.made, batch_size=1000)

    def clear(self) -> None:
        """After the slots were saved: what no slot points at any more goes."""
        if self.old:
            delete_unused(self.old)


def delete_unused(ids: set[str]) -> None:
    used = Exists(Slot.objects.filter(explanation=OuterRef("pk")))
    for start in range(0, len(ordered := sorted(ids)), 500):
        Explanation.objects.filter(~used, pk__in=ordered[start : start + 500]).delete()


def explain(cluster: Cluster, app: App, chosen: Sequence[Chosen], now: datetime) -> Reasons:
    """Sets each slot's `explanation`, `scores` and `pending`; saves nothing. Right after the `place` that made
    the decisions: later the cluster does not know any more."""
    exact = len(chosen) * len(cluster.nodes) <= EXACT
    groups: defaultdict[tuple[object, ...], list[Chosen]] = defaultdict(list)
    for one in chosen:
        want, node = one.decision.want, one.decision.node
        key = (want.slot,) if exact else (id(want.request), node is None, "" if node else want.node)
        groups[key].append(one)
    reasons = Reasons()
    for group in groups.values():
        _explain(reasons, cluster.explain(group[0].decision), app, group, now)
    return reasons


def _explain(
    reasons: Reasons, found: model.Explanation, app: App, group: Sequence[Chosen], now: datetime
) -> None:
    if found.node is None and _told(found, group):
        return
    row = as_row(app, group[0].placement.service, found, now)
    reasons.made.append(row)
    scores = {verdict.node: dict(verdict.scores) for verdict in found.verdicts if verdict.node == found.node}
    for one in group:
        if one.slot.explanation_id:
            reasons.old.add(one.slot.explanation_id)
        one.slot.explanation = row
        one.slot.pending = "" if found.node else found.summary
        # Of the others in a large batch, nobody has kept how their node stood at their turn.
        one.slot.scores = scores.get(found.node or "", {}) if one is group[0] else {}


def _told(found: model.Explanation, group: Sequence[Chosen]) -> bool:
    """The slots say so already. What would help can change while the sentence stays."""
    told = group[0].slot.explanation
    return (
        told is not None
        and told.remedies == list(found.remedies)
        and all(one.slot.explanation_id and one.slot.pending == found.summary for one in group)
    )


def as_row(app: App, service: str, found: model.Explanation, now: datetime) -> Explanation:
    """The row of an explanation, not saved."""
    fitting = [verdict for verdict in found.verdicts if verdict.refusal is None]
    refused = [verdict for verdict in found.verdicts if verdict.refusal is not None]
    fitting.sort(key=lambda verdict: (verdict.node != found.node, -verdict.total))
    return Explanation(
        app=app,
        service=service,
        at=now,
        nodes=len(found.verdicts),
        fitting=len(fitting),
        summary=found.summary,
        remedies=list(found.remedies),
        refused=_refused(refused),
        verdicts=[msgspec.to_builtins(verdict) for verdict in (*fitting, *refused)[: Explanation.MOST]],
    )


def _refused(verdicts: Sequence[model.NodeVerdict]) -> list[dict[str, object]]:
    """By filter and reason, the most frequent first. Amounts differ from node to node: of those the reason is
    that of the node that has the most."""
    groups: defaultdict[tuple[str, str], list[model.NodeVerdict]] = defaultdict(list)
    for verdict in verdicts:
        if refusal := verdict.refusal:
            groups[refusal.filter, "" if refusal.free or refusal.asked else refusal.reason].append(verdict)
    found = []
    for (name, reason), group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        best = max(group, key=lambda verdict: (verdict.refusal.free if verdict.refusal else 0, verdict.node))
        found.append(
            {
                "filter": name,
                "reason": reason or (best.refusal.reason if best.refusal else ""),
                "count": len(group),
                "names": sorted(verdict.name for verdict in group)[:_NAMES],
            }
        )
    return found
