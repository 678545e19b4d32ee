"""Before something that serves is stopped, what is to come after it is tried: reconcile asks, the caller answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from scheduler.model import Allocation, AppView, Decision, Placement, Plan, Rehearsed, Want
from scheduler.placement import Cluster
from scheduler.reconcile import reconcile

Answer = Callable[[str, Placement], Rehearsed]
"""Of a slot, by its id: what would become of it if the container that the placement `leaves` were gone."""


def plan_with(view: AppView, now: float, answer: Answer) -> Plan:
    """The plan, once all that reconcile wants to know is answered. Each slot is asked about once."""
    slots = {(slot.service, slot.index): slot.id for slot in view.slots}
    answers: dict[str, Rehearsed] = {}
    while True:
        plan = reconcile(replace(view, rehearsed=dict(answers)), now)
        if not plan.rehearse:
            return plan
        for placement in plan.rehearse:
            slot = slots[placement.service, placement.index]
            answers[slot] = answer(slot, placement)


class Stage:
    """A copy of a cluster on which slots' next generations take the places of those before them, one by one, each
    seeing the ones before."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster.copy()
        self._old: dict[str, Allocation | None] = {}

    def take_place(self, want: Want, leaves: str) -> Decision:
        """As `Cluster.place`, without the container that leaves. Where it finds no node, that stays (after
        `Cluster.explain`, of which this is still the latest decision, `take_back` puts it there again)."""
        self._old[want.container] = self.cluster.get(leaves)
        self.cluster.free(leaves)
        [decision] = self.cluster.place([want])
        return decision

    def take_back(self, want: Want) -> None:
        """It does not come to it: the old one holds its place."""
        old = self._old.pop(want.container)
        self.cluster.free(want.container)
        if old is not None:
            self.cluster.reserve(old)
