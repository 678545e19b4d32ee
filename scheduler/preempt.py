"""Who would have to leave so that something of higher priority fits.

Kubernetes takes the node whose most important victim matters least, then the lowest sum of priorities, then
the fewest pods (`pickOneNodeForPreemption`, kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption).
Nomad takes the lowest priorities first and, among those, what comes nearest to what is lacking
(developer.hashicorp.com/nomad/docs/concepts/scheduling/preemption). Here the order is, lowest first:

1. nodes that the want does not avoid, then those on which its slot just failed;
2. the highest priority among the victims;
3. how many victims have it;
4. how many victims there are;
5. what is freed beyond need: CPU and memory, in shares of the node;
6. the node's id.

A set of victims is found by taking away all containers of lower priority and giving back whoever can stay, the
most important first. First by amounts alone (`scheduler.shortage`), which ranks the nodes; then `Cluster.place`
has the word, on a copy, so that ports, affinity, generic resources, limits and quotas count as they always do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scheduler.model import Allocation, Node, Request, Want
from scheduler.placement import Cluster
from scheduler.scores import Policy
from scheduler.shortage import Amounts, Needs, fewest, needed_near, small_first

Rank = tuple[bool, float, int, int, float, str]


_PROBE = "preempt?"
"""Under this id a want is tried."""


@dataclass(frozen=True, slots=True)
class Preemption:
    """Where a want fits once `victims` and those that are `leaving` are gone."""

    want: Want
    node: str
    victims: tuple[str, ...]
    """Containers to stop, the least important first. Empty: it is enough to wait."""
    leaving: tuple[str, ...]
    """Containers that leave this node anyway."""
    reason: str
    """A sentence: 'worker-2: web (priority 10) takes the place of 2 containers of lower priority'."""


@dataclass(frozen=True, slots=True)
class _Option:
    """A node, who may leave it (in the order in which they may stay), and who has to, by amounts alone."""

    rank: Rank
    node: Node
    lower: tuple[Allocation, ...]
    victims: tuple[Allocation, ...]


def preempt(cluster: Cluster, want: Want, policy: Policy | None = None) -> Preemption | None:
    """Where `want`, which no node can take now, fits with as few evictions as possible.

    None: not even if all of lower priority left any one node. `cluster` is not changed. Nothing of the
    want's own service is ever a victim, and nothing of another team that has a volume or is exclusive.
    """
    return preempt_each(cluster, (want,), policy)[0]


def preempt_each(
    cluster: Cluster, wants: Sequence[Want], policy: Policy | None = None
) -> list[Preemption | None]:
    """As `preempt`, for several that were refused; answers in the order of `wants`. Higher priority first,
    each seeing the ones before in their places, so that no two count on the same room."""
    copy = cluster.copy()
    leaving = _dismiss(copy)
    answers: list[Preemption | None] = [None] * len(wants)
    hopeless: set[tuple[int, str]] = set()
    for number in sorted(range(len(wants)), key=lambda number: -wants[number].request.priority):
        want = wants[number]
        alike = (id(want.request), want.node)
        if alike not in hopeless:
            answers[number] = _preempt(copy, want, leaving, policy)
            if answers[number] is None:
                hopeless.add(alike)
    return answers


def _dismiss(copy: Cluster) -> dict[str, tuple[str, ...]]:
    """Take away what is leaving; by node, who that was."""
    gone = {}
    for node in copy.nodes:
        gone[node.id] = tuple(sorted(each.container for each in copy.on(node.id) if each.leaving))
        for container in gone[node.id]:
            copy.free(container)
    return gone


def _preempt(
    copy: Cluster, want: Want, leaving: Mapping[str, tuple[str, ...]], policy: Policy | None
) -> Preemption | None:
    """The answer; on `copy` the victims are gone then and the want is in its place."""
    [decision] = copy.place([want], policy)
    node = decision.node
    victims: tuple[Allocation, ...] = ()
    if node is None:
        best = _best(copy, want)
        if best is None:
            return None
        node, victims = best.node.id, best.victims
        for victim in victims:
            copy.free(victim.container)
        copy.place([want._replace(node=node)], policy)
    ordered = sorted(victims, key=lambda each: (each.request.priority, each.container))
    name = next(each.name for each in copy.nodes if each.id == node)
    return Preemption(
        want,
        node,
        tuple(each.container for each in ordered),
        leaving[node],
        _reason(want.request, name, ordered, len(leaving[node])),
    )


def _best(copy: Cluster, want: Want) -> _Option | None:
    """The lowest in rank of the options that hold; they come lowest first by amounts, and what really has to
    go is never less."""
    best: _Option | None = None
    needs = Needs(copy, want.request)
    for option in sorted(_options(copy, want, needs), key=lambda option: option.rank):
        if best is not None and best.rank <= option.rank:
            break
        found = _tried(copy, want, needs, option)
        if found is not None and (best is None or found.rank < best.rank):
            best = found
    return best


# -- by amounts


def _options(copy: Cluster, want: Want, needs: Needs) -> Iterator[_Option]:
    eligible = set(copy.eligible(want.request))
    for node in copy.nodes:
        if node.id in eligible and want.node in ("", node.id):
            held = copy.on(node.id)
            lower: list[Allocation] = []
            staying: list[Allocation] = []
            for each in held:
                (lower if _below(want.request, each.request) else staying).append(each)
            if lower and not any(needs.clash(each) for each in staying):
                yield from _options_of(want, needs, node, held, lower)


def _below(request: Request, other: Request) -> bool:
    """Of lower priority, and not of the same service. What is bound leaves for its own team alone."""
    return (
        other.priority < request.priority
        and (other.service != request.service or other.app != request.app)
        and (other.team == request.team or not other.bound)
    )


def _options_of(
    want: Want, needs: Needs, node: Node, held: Sequence[Allocation], lower: list[Allocation]
) -> Iterator[_Option]:
    """One with all of lower priority; and, as the others may be what the want must be near, one without
    those."""
    lower.sort(key=lambda each: (-each.request.priority, -needs.size(each.request), each.container))
    short = needs.short(node, held)
    for pool in _pools(want.request, lower):
        found = fewest(pool, short, needs)
        if found is not None:
            sets = [found, fewest(small_first(pool), short, needs) or found] if len(found) > 1 else [found]
            ranked = [(_rank(want, node, short, needs, each), each) for each in sets]
            rank, victims = min(ranked, key=lambda each: each[0])
            yield _Option(rank, node, pool, victims)


def _pools(request: Request, lower: Sequence[Allocation]) -> list[tuple[Allocation, ...]]:
    if not any(each.required and not each.anti for each in request.affinity):
        return [tuple(lower)]
    apart = tuple(each for each in lower if not needed_near(request, each.request))
    return [tuple(lower)] if len(apart) == len(lower) else [tuple(lower), apart]


def _rank(want: Want, node: Node, short: Amounts, needs: Needs, victims: Collection[Allocation]) -> Rank:
    highest = max((each.request.priority for each in victims), default=float("-inf"))
    return (
        node.id in want.avoid,
        highest,
        sum(each.request.priority == highest for each in victims),
        len(victims),
        needs.excess(node, short, victims),
        node.id,
    )


# -- for real


def _tried(copy: Cluster, want: Want, needs: Needs, option: _Option) -> _Option | None:
    """The option with those victims that `place` asks for; None if it does not fit even without all of
    `lower`. `copy` is as before."""
    short = needs.short(option.node, copy.on(option.node.id))
    if _fits_without(copy, want, option.node, option.victims):
        return option
    if not _fits_without(copy, want, option.node, option.lower):
        return None
    turned = small_first(option.lower)
    found = [_given_back(copy, want, option.node, order) for order in (option.lower, turned)]
    ranked = [(_rank(want, option.node, short, needs, each), each) for each in found]
    rank, victims = min(ranked, key=lambda each: each[0])
    return replace(option, rank=rank, victims=victims)


def _given_back(copy: Cluster, want: Want, node: Node, order: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """Who has to go when all but those are given back, one by one, that leave room for the want."""
    gone = {each.container: each for each in order}
    for each in order:
        others = [other for other in gone.values() if other is not each]
        if _fits_without(copy, want, node, others):
            del gone[each.container]
    return tuple(gone.values())


def _fits_without(copy: Cluster, want: Want, node: Node, gone: Collection[Allocation]) -> bool:
    """Tried without the want's volumes, which the try would bind: `eligible` has seen to them."""
    for each in gone:
        copy.free(each.container)
    probe = want._replace(node=node.id, container=_PROBE, request=_unbound(want.request))
    [decision] = copy.place([probe])
    copy.free(_PROBE)
    for each in gone:
        copy.reserve(each)
    return decision.node is not None


def _unbound(request: Request) -> Request:
    return replace(request, volumes=()) if request.volumes else request


def _reason(request: Request, node: str, victims: Sequence[Allocation], leaving: int) -> str:
    if not victims:
        waits = f"once {_containers(leaving)} that leave{'s' * (leaving == 1)} it {_are(leaving)} gone"
        return f"{node} has room for {request.service} {waits if leaving else 'now'}"
    what = f"{_containers(len(victims))} of lower priority"
    return f"{node}: {request.service} (priority {request.priority}) takes the place of {what}"


def _containers(number: int) -> str:
    return "1 container" if number == 1 else f"{number} containers"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
