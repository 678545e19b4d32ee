"""Why a want went where it did, or nowhere: a verdict on every node, and a sentence for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.arrays import Floats, Mask
from scheduler.columns import Columns
from scheduler.filters import FILTERS, SHOW
from scheduler.model import Decision, Explanation, NodeVerdict, Refusal, Request, Want
from scheduler.remedies import remedies
from scheduler.scores import AVOIDED, PREFERRED, Policy, score

_PLURAL = {"is": "are", "has": "have", "lacks": "lack", "does": "do", "the": "the"}
OTHER = Refusal("node", "is not the node it is for")


@dataclass(frozen=True, slots=True)
class _Sifted:
    """Which nodes fit, and for the rest the number of the first filter that refuses (-1: the want itself)."""

    fits: Mask
    refused_by: Mapping[int, int]


def explain(columns: Columns, decision: Decision, policy: Policy) -> Explanation:
    """Of a decision, from the columns as they were at its turn."""
    want = decision.want
    sifted = _sift(columns, want)
    verdicts = _verdicts(columns, want, sifted, _parts(columns, want, policy))
    if decision.node is None:
        return Explanation(None, refused(verdicts), verdicts, remedies(columns, want))
    row = columns.index[decision.node]
    return Explanation(decision.node, chosen(columns, want.request, row, verdicts), verdicts)


def _sift(columns: Columns, want: Want) -> _Sifted:
    fits = np.ones(len(columns.nodes), dtype=np.bool_)
    refused_by: dict[int, int] = {}
    if want.node:
        fits = np.array([node.id == want.node for node in columns.nodes], dtype=np.bool_)
        refused_by = dict.fromkeys((int(row) for row in np.flatnonzero(~fits)), -1)
    for number, each in enumerate(FILTERS):
        mask = each.refuses(columns, want.request)
        if mask is not None:
            refused_by.update((int(row), number) for row in np.flatnonzero(fits & mask))
            fits &= ~mask
    return _Sifted(fits, refused_by)


def _parts(columns: Columns, want: Want, policy: Policy) -> dict[str, Floats]:
    """As `scores.score`, with zeros where a part says the same of every node, and what the want says itself."""
    request = want.request
    nothing = np.zeros(len(columns.nodes))
    found = score(columns, request, policy)
    silent = {"labels": not request.spread, "affinity": not request.affinity, "image": not request.image}
    parts = {name: found.get(name, nothing) for name in policy.weights if not silent.get(name, False)}
    for name, nodes, value in (("prefer", (want.prefer,), PREFERRED), ("avoid", want.avoid, AVOIDED)):
        rows = [columns.index[each] for each in nodes if each in columns.index]
        if rows:
            parts[name] = nothing.copy()
            parts[name][rows] = value
    return parts


def _verdicts(
    columns: Columns, want: Want, sifted: _Sifted, parts: Mapping[str, Floats]
) -> tuple[NodeVerdict, ...]:
    verdicts = []
    for row, node in enumerate(columns.nodes):
        if sifted.fits[row]:
            scores = {part: float(column[row]) for part, column in parts.items()}
            verdicts.append(NodeVerdict(node.id, node.name, scores=scores))
        else:
            number = sifted.refused_by[row]
            refusal = OTHER if number < 0 else FILTERS[number].refuse(columns, want.request, row)
            verdicts.append(NodeVerdict(node.id, node.name, refusal))
    return tuple(verdicts)


# -- for people


def refused(verdicts: Sequence[NodeVerdict]) -> str:
    """Why no node fits: '0 of 4 nodes fit: 3 lack memory (largest free 1.2 GiB, asked 2 GiB), 1 is down'."""
    if not verdicts:
        return "There is no node yet"
    groups: defaultdict[str, list[Refusal]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.refusal is not None:
            refusal = verdict.refusal
            groups[refusal.filter if refusal.filter in SHOW else refusal.reason].append(refusal)
    ordered = sorted(groups.values(), key=len, reverse=True)
    nodes = "1 node fits" if len(verdicts) == 1 else f"{len(verdicts)} nodes fit"
    return f"0 of {nodes}: {', '.join(_group(group) for group in ordered)}"


def _group(refusals: Sequence[Refusal]) -> str:
    first, number = refusals[0], len(refusals)
    if first.filter == "quota":
        return first.reason
    if first.filter not in SHOW:
        return f"{number} {_conjugate(first.reason, number)}"
    show = SHOW[first.filter]
    largest = max(refusal.free for refusal in refusals)
    free = f"{'largest ' if number > 1 else ''}free {show(largest)}"
    return f"{number} {_conjugate('lacks', number)} {first.filter} ({free}, asked {show(first.asked)})"


def _conjugate(reason: str, number: int) -> str:
    verb, _, rest = reason.partition(" ")
    return f"{_PLURAL[verb] if number > 1 else verb} {rest}".rstrip()


def chosen(columns: Columns, request: Request, row: int, verdicts: Sequence[NodeVerdict]) -> str:
    """Why this node, as the columns are before it is reserved: 'worker-2: fewest replicas of web (0); has the
    image; 3 of 5 nodes fit'."""
    fitting = [verdict for verdict in verdicts if verdict.refusal is None]
    winner = verdicts[row]
    if len(fitting) == 1:
        alone = "the only node" if len(verdicts) == 1 else f"the only one of {len(verdicts)} nodes that fits"
        return f"{winner.name}: {alone}"
    texts = _texts(columns, request, row)
    best = [
        texts[part]
        for part, value in winner.scores.items()
        if part in texts and all(value >= other.scores[part] for other in fitting)
    ]
    reasons = best or ["best in total"]
    return f"{winner.name}: {'; '.join(reasons)}; {len(fitting)} of {len(verdicts)} nodes fit"


def _texts(columns: Columns, request: Request, row: int) -> Mapping[str, str]:
    """What it means to be the best by each part."""
    there = columns.service(request.app, request.service).rows.get(row, 0)
    of_app = columns.app(request.app).rows.get(row, 0)
    texts = {
        "prefer": "the node it was to move to",
        "labels": f"fewest replicas of {request.service} by {', '.join(each.key for each in request.spread)}",
        "affinity": "nearest to what it prefers",
        "service": f"fewest replicas of {request.service} ({there})",
        "app": f"fewest containers of its app ({of_app})",
        "fragmentation": "leaves the most usable units",
        "bestfit": "fullest node that fits",
        "load": "most room left",
    }
    if request.image in columns.nodes[row].images:
        texts["image"] = "has the image"
    return texts
