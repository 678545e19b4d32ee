"""What a node lacks for a request, and what each container on it would give back: by amounts, and by what
cannot be side by side.

A necessary condition, quick to ask of hundreds of nodes; whether something fits is for `Cluster.place` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scheduler.model import Affinity, Allocation, Node, Quota, Request
from scheduler.placement import Cluster

Amounts = tuple[int, ...]

UNLIMITED = 1 << 62


class Needs:
    """A request's amounts: CPU, memory, pids, disk, each generic resource in thousandths of a unit, and with a
    quota what the team holds (containers, CPU, memory). Those it asks nothing of are left out."""

    def __init__(self, cluster: Cluster, request: Request) -> None:
        self.request = request
        self.kinds = tuple(sorted({each.kind for each in request.resources}))
        self.quota = cluster.quotas.get(request.team)
        self._gives: dict[int, Amounts] = {}
        self._sizes: dict[int, float] = {}
        self._ports = {(port.protocol, port.host) for port in request.ports if port.host}
        everything = self._amounts(request)
        self._asked_for = tuple(place for place, amount in enumerate(everything) if amount > 0)
        self.asked = self.gives(request)
        self._team_free = self._left_of_quota(cluster, self.quota) if self.quota else ()

    def gives(self, request: Request) -> Amounts:
        """What a container with this request gives back when it goes."""
        known = self._gives.get(id(request))
        if known is None:
            everything = self._amounts(request)
            known = self._gives[id(request)] = tuple(everything[place] for place in self._asked_for)
        return known

    def size(self, request: Request) -> float:
        """The largest part that it would give back of anything asked for."""
        known = self._sizes.get(id(request))
        if known is None:
            pairs = zip(self.gives(request), self.asked, strict=True)
            known = self._sizes[id(request)] = max((given / asked for given, asked in pairs), default=0.0)
        return known

    def clash(self, held: Allocation) -> bool:
        """They cannot be on one node: both want the same host port, or one must be away from the other."""
        if self._ports and any((port.protocol, port.host) in self._ports for port in held.ports):
            return True
        mine, other = self.request, held.request
        return other.app == mine.app and (_keeps_away(mine, other) or _keeps_away(other, mine))

    def short(self, node: Node, held: Iterable[Allocation]) -> Amounts:
        """What is lacking on `node` while it holds `held`; nothing lacking is 0 or less."""
        capacity: Amounts = (node.cpu, node.memory, node.pids, node.disk or UNLIMITED)
        capacity += tuple(node.resources.get(kind, 0) * 1000 for kind in self.kinds)
        given = [self.gives(each.request) for each in held]
        shorts = []
        for number, place in enumerate(self._asked_for):
            if place < len(capacity):
                free = capacity[place] - sum([each[number] for each in given])
            else:
                free = self._team_free[place - len(capacity)]
            shorts.append(self.asked[number] - free)
        return tuple(shorts)

    def excess(self, node: Node, short: Amounts, gone: Iterable[Allocation]) -> float:
        """CPU and memory given back beyond what was short, in shares of the node."""
        given = [self.gives(each.request) for each in gone]
        shares = 0.0
        for number, place in enumerate(self._asked_for):
            if place < 2 and given:
                beyond = sum([each[number] for each in given]) - max(short[number], 0)
                shares += beyond / max((node.cpu, node.memory)[place], 1)
        return shares

    def _amounts(self, request: Request) -> Amounts:
        amounts: Amounts = (request.cpu, request.memory, request.pids, request.disk)
        for kind in self.kinds:
            amounts += (
                sum(1000 * each.units + each.share for each in request.resources if each.kind == kind),
            )
        if self.quota is None:
            return amounts
        mine = request.team == self.request.team
        return (*amounts, 1, request.cpu, request.memory) if mine else (*amounts, 0, 0, 0)

    def _left_of_quota(self, cluster: Cluster, quota: Quota) -> Amounts:
        team = [
            each.request
            for node in cluster.nodes
            for each in cluster.on(node.id)
            if each.request.team == self.request.team
        ]
        most = (quota.containers, quota.cpu, quota.memory)
        taken = (len(team), sum(each.cpu for each in team), sum(each.memory for each in team))
        return tuple(
            UNLIMITED if limit is None else limit - used for limit, used in zip(most, taken, strict=True)
        )


def needed_near(request: Request, other: Request) -> bool:
    """`request` must be near a container like `other`."""
    return any(each.required and not each.anti and _means(each, request, other) for each in request.affinity)


def _keeps_away(request: Request, other: Request) -> bool:
    return any(
        each.required and each.anti and each.over == "node.id" and _means(each, request, other)
        for each in request.affinity
    )


def _means(affinity: Affinity, request: Request, other: Request) -> bool:
    return other.app == request.app and affinity.service in ("*", other.service)


def small_first(lower: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """The order turned round among those of equal priority, which stays highest first."""
    lowest_first = sorted(lower, key=lambda each: each.request.priority)
    return tuple(lowest_first[::-1])


def fewest(lower: Sequence[Allocation], short: Amounts, needs: Needs) -> tuple[Allocation, ...] | None:
    """Out of `lower` a set that gives what is short and of which none is spare; None: not even all of them
    do. Who comes earlier in `lower` stays if possible; those that clash always go."""
    lacking = [place for place, amount in enumerate(short) if amount > 0]
    gives = [needs.gives(each.request) for each in lower]
    spare = [sum([each[place] for each in gives]) - short[place] for place in lacking]
    if lacking and min(spare) < 0:
        return None
    gone = []
    for each, given in zip(lower, gives, strict=True):
        left = [amount - given[place] for amount, place in zip(spare, lacking, strict=True)]
        if (left and min(left) < 0) or needs.clash(each):
            gone.append(each)
        else:
            spare = left
    return tuple(gone)
