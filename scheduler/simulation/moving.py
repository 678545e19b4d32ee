"""What a rebalance would still gain, once a trace has been played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.model import Allocation, Decision, Node
from scheduler.placement import Cluster
from scheduler.rebalance import rebalance
from scheduler.scores import Policy

WORTH = 0.01
"""The least that a move must gain, by `scheduler.evenness`."""


@dataclass(frozen=True, slots=True)
class Moves:
    number: int
    gain: float
    """Share of the measure of unevenness that they take away."""


def moves(nodes: Sequence[Node], decisions: Sequence[Decision], policy: Policy, budget: int) -> Moves:
    """At most `budget` moves of the containers that were placed, all of them well and free to go."""
    held = [
        Allocation(str(place), each.want.slot, each.node, each.want.request, each.ports, each.grants)
        for place, each in enumerate(decisions)
        if each.node is not None
    ]
    services = dict.fromkeys(((each.request.app, each.request.service) for each in held), budget)
    plan = rebalance(
        Cluster(nodes, held),
        {each.container for each in held},
        budget=budget,
        gain=WORTH,
        policy=policy,
        healthy=services,
    )
    gain = 1 - plan.after / plan.before if plan.before else 0.0
    return Moves(len(plan.moves), gain)
