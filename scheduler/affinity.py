"""Near to, or away from, containers of the same app."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.arrays import Floats, Mask
from scheduler.columns import Columns
from scheduler.counts import EMPTY, Tally
from scheduler.model import Affinity, Request

ANY = "*"


def named(columns: Columns, request: Request, each: Affinity) -> Tally:
    """The containers that it names."""
    if each.service == ANY:
        return columns.app(request.app)
    return columns.service(request.app, each.service)


def of_itself(request: Request, each: Affinity) -> bool:
    """It names its own service too."""
    return each.service in (ANY, request.service)


def waived(columns: Columns, request: Request, each: Affinity) -> bool:
    """Nobody is there yet, and it asks to be near itself: the first one goes anywhere."""
    return of_itself(request, each) and not named(columns, request, each).rows


def repelled(columns: Columns, request: Request) -> Mask | None:
    """Nodes that a required anti-affinity refuses, the request's own or one of those who are there."""
    refused: Mask | None = None
    for _service, key, tally in _repelling(columns, request):
        near = tally.near(columns.masks.domains(key))
        refused = near if refused is None else refused | near
    return refused


def _repelling(columns: Columns, request: Request) -> Iterator[tuple[str, str, Tally]]:
    """What keeps the request away from whom, over which key: its own rules first. The service is the request's
    own where it is somebody there who does not want it near."""
    for each in request.affinity:
        if each.required and each.anti and (tally := named(columns, request, each)).rows:
            yield each.service, each.over, tally
    for (service, key), tally in columns.repels.get(request.app, {}).items():
        if service in (ANY, request.service) and tally.rows:
            yield request.service, key, tally


def far(columns: Columns, request: Request) -> Mask | None:
    """Nodes that are not near what the request must be near."""
    refused: Mask | None = None
    for each in request.affinity:
        if each.required and not each.anti and not waived(columns, request, each):
            away = ~named(columns, request, each).near(columns.masks.domains(each.over))
            refused = away if refused is None else refused | away
    return refused


def preferred(columns: Columns, request: Request) -> Floats | None:
    """The weights of the preferred ones that a node is near to, less those that it should be away from."""
    score: Floats | None = None
    for each in request.affinity:
        tally = EMPTY if each.required else named(columns, request, each)
        if tally.rows:
            weight = round((-each.weight if each.anti else each.weight) * 1024.0) / 1024.0
            part = tally.worth(columns.masks.domains(each.over), weight)
            score = part if score is None else np.add(score, part, out=score)
    return score


def refusers(columns: Columns, request: Request, row: int) -> list[tuple[str, str]]:
    """(service, key) of what keeps the request off this node; a service is the request's own where somebody
    who is there does not want it near."""
    return [
        (service, key)
        for service, key, tally in _repelling(columns, request)
        if tally.near(columns.masks.domains(key))[row]
    ]
