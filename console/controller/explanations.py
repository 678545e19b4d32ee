"""Why slots went where they did, or wait: kept as rows, one for each slot of a small batch, one for all slots of a
large batch that were decided alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from django.db.models import Exists, OuterRef

from console.common.prepared import PreparedDelete
from console.common.writes import insert
from console.controller import rows
from console.workloads.models import App, Explanation, Slot
from scheduler import model
from scheduler.placement import Cluster

EXACT = 2000
"""Each slot has a row of its own while slots times nodes, and slots times slots, are at most so many: to explain
one is to look at each node, with the later ones undone."""
_NAMES = 5
_USED = Exists(Slot.objects.filter(explanation=OuterRef("pk")))
_DELETE_UNUSED = PreparedDelete(lambda ids: Explanation.objects.filter(~_USED, pk__in=ids))


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
        insert(self.made)

    def clear(self) -> None:
        """After the slots were saved: what no slot points at any more goes."""
        if self.old:
            delete_unused(self.old)


def delete_unused(ids: set[str]) -> None:
    for some in rows.chunks(ids):
        _DELETE_UNUSED(some)


def explain(cluster: Cluster, app: App, chosen: Sequence[Chosen], now: datetime) -> Reasons:
    """Sets each slot's `explanation`, `scores` and `pending`; saves nothing. Right after the `place` that made
    the decisions: later the cluster does not know any more."""
    exact = len(chosen) * max(len(chosen), len(cluster.nodes)) <= EXACT
    told = _told_remedies(chosen)
    groups: defaultdict[tuple[object, ...], list[Chosen]] = defaultdict(list)
    for one in chosen:
        want, node = one.decision.want, one.decision.node
        key = (want.slot,) if exact else (id(want.request), node is None, "" if node else want.node)
        groups[key].append(one)
    reasons = Reasons()
    explained = cluster.explain_all([group[0].decision for group in groups.values()])
    for group, found in zip(groups.values(), explained, strict=True):
        if found.node is not None or not _told(found, group, told):
            _take(reasons, found, app, group, now)
    return reasons


def _take(
    reasons: Reasons, found: model.Explanation, app: App, group: Sequence[Chosen], now: datetime
) -> None:
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


def _told_remedies(chosen: Sequence[Chosen]) -> dict[str, list[str]]:
    """By explanation: what slots that still find no node were told would help."""
    waiting = {one.slot.explanation_id for one in chosen if one.slot.pending and one.slot.explanation_id}
    found: dict[str, list[str]] = {}
    for some in rows.chunks(waiting):
        found.update(Explanation.objects.filter(pk__in=some).values_list("id", "remedies"))
    return found


def _told(found: model.Explanation, group: Sequence[Chosen], told: Mapping[str, list[str]]) -> bool:
    """The slots say so already. What would help can change while the sentence stays."""
    return all(
        one.slot.pending == found.summary and told.get(one.slot.explanation_id or "") == list(found.remedies)
        for one in group
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
