"""What a team may hold in all. A refusal is the team's, not a node's.

The console makes its clusters without quotas: it refuses at the write what a team may not have, by what apps claim
(`console/workloads/quotas.py`), so that nothing waits for a quota. Here it is for who schedules without a console,
and counts what is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from scheduler.arrays import Mask
from scheduler.columns import Columns
from scheduler.model import Refusal, Request
from scheduler.units import of_bytes, of_cpu, plain

_SHOWS: dict[str, Callable[[int], str]] = {"containers": plain, "CPU": of_cpu, "memory": of_bytes}


def _limits(columns: Columns, request: Request) -> Iterator[tuple[str, int, int, int]]:
    """Of each limit of the request's team: its word, the limit, what is left of it, what one more takes."""
    quota = columns.quotas.get(request.team) if request.team else None
    if quota is not None:
        used = columns.teams.get(request.team, [0, 0, 0])
        limits, asked = (quota.containers, quota.cpu, quota.memory), (1, request.cpu, request.memory)
        for word, limit, there, more in zip(_SHOWS, limits, used, asked, strict=True):
            if limit is not None:
                yield word, limit, limit - there, more


def most(columns: Columns, request: Request, number: int) -> int:
    """How many more of the request the quota lets in, up to so many."""
    for _word, _limit, left, more in _limits(columns, request):
        if left < more:
            return 0
        if more:
            number = min(number, left // more)
    return number


def refuses(columns: Columns, request: Request) -> Mask | None:
    return None if most(columns, request, 1) else np.ones(len(columns.nodes), dtype=np.bool_)


def refuse(columns: Columns, request: Request, _row: int) -> Refusal:
    word, limit, left, more = next(each for each in _limits(columns, request) if each[2] < each[3])
    show = _SHOWS[word]
    reason = f"the quota of team {request.team} has {show(left)} of {show(limit)} {word} left"
    return Refusal("quota", reason, asked=more, free=max(left, 0))
