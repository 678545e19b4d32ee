"""The verdicts on all nodes as one sentence for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from scheduler.columns import Columns
from scheduler.filters import SHOW
from scheduler.model import NodeVerdict, Refusal, Request

_PLURAL = {"is": "are", "has": "have", "lacks": "lack", "does": "do"}


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
        if all(value >= other.scores[part] for other in fitting) and part in texts
    ]
    reasons = best or ["best in total"]
    return f"{winner.name}: {'; '.join(reasons)}; {len(fitting)} of {len(verdicts)} nodes fit"


def _texts(columns: Columns, request: Request, row: int) -> Mapping[str, str]:
    """What it means to be the best by each part."""
    there = int(columns.of_service(request.app, request.service)[row])
    of_app = int(columns.of_app(request.app)[row])
    texts = {
        "labels": f"fewest replicas of {request.service} by {', '.join(request.spread_over)}",
        "service": f"fewest replicas of {request.service} ({there})",
        "app": f"fewest containers of its app ({of_app})",
        "bestfit": "fullest node that fits",
        "load": "most room left",
    }
    if request.image in columns.nodes[row].images:
        texts["image"] = "has the image"
    return texts
