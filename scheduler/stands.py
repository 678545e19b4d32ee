"""How the slots of an app stand: the first pass of reconcile, which decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from scheduler.everywhere import sift
from scheduler.lifecycle import State
from scheduler.model import AppView, ContainerView, NewSlot, NodeState, ServiceView, SlotView
from scheduler.restarts import epochs
from scheduler.slots import MOST_RESTARTS, Judge, in_contact, node_down, staying


@dataclass(frozen=True, slots=True)
class Stand:
    """One wanted slot."""

    slot: SlotView
    target: ContainerView | None
    """The newest one that is as wanted, or on its way to be."""
    keeper: ContainerView | None
    """The best of the others, which stays until there is a target that is well."""
    surplus: tuple[ContainerView, ...]
    """What nobody needs."""
    settled: bool
    """Something of the wanted digest is well, or done."""


@dataclass(slots=True)
class Group:
    """One service with its slots, those in lists in the order of their index."""

    judge: Judge
    calm: list[SlotView]
    """Wanted slots with one container that is as wanted and well: nothing is to be done for them."""
    stands: list[Stand]
    """The other wanted slots."""
    kept: list[Stand]
    """Slots that are left as they are, and not counted."""
    excess: list[SlotView]
    new: list[NewSlot]

    @property
    def service(self) -> ServiceView:
        return self.judge.service

    @property
    def wanted(self) -> int:
        return len(self.calm) + len(self.stands) + len(self.new)


@dataclass(frozen=True, slots=True)
class Standing:
    """A whole app. Services in the order of their names, so that nothing depends on the view's."""

    view: AppView
    groups: Mapping[str, Group]
    gone: list[list[SlotView]]
    """Slots of services that are wanted no more."""


def standing(view: AppView, now: float) -> Standing:
    since = epochs(view)
    services = {each.name: each for each in sorted(view.services, key=attrgetter("name"))}
    slots: dict[str, list[SlotView]] = {name: [] for name in services}
    for slot in sorted(view.slots, key=attrgetter("service", "index")):
        slots.setdefault(slot.service, []).append(slot)
    ready = frozenset(node for node, state in view.node_states.items() if state is NodeState.READY)
    groups = {
        name: _group(
            Judge(view, service, now, since[name], None if service.ahead else view.rollout),
            slots.pop(name),
            ready,
        )
        for name, service in services.items()
    }
    return Standing(view, groups, list(slots.values()))


def _group(judge: Judge, slots: list[SlotView], ready: frozenset[str]) -> Group:
    sifted = sift(judge.view, judge.service, slots)
    calm: list[SlotView] = []
    stands: list[Stand] = []
    unchecked = not judge.service.has_healthcheck
    digest, monitor, epoch, now = judge.service.digest, judge.service.update.monitor, judge.epoch, judge.now
    # Almost all slots of almost all apps are calm: this loop is what a large app costs.
    for slot in sifted.wanted:
        if len(slot.containers) == 1:
            only = slot.containers[0]
            if (
                only.state is State.RUNNING
                and only.digest == digest
                and only.node in ready
                and not only.move_to
                and only.restarts < MOST_RESTARTS
                and (since := only.running_since) is not None
                and since >= epoch
                and (
                    (only.health == "healthy" and (only.healthy_since or since) + monitor <= now)
                    or (unchecked and only.health == "none" and since + monitor <= now)
                )
            ):
                calm.append(slot)
                continue
        stands.append(stand(judge, slot))
    kept = [stand(judge, slot) for slot in sifted.kept]
    return Group(judge, calm, stands, kept, sifted.excess, sifted.new)


def stand(judge: Judge, slot: SlotView) -> Stand:
    """Sort the slot's containers. What is on a node that is down is neither target nor keeper, and surplus
    unless it is the newest and nothing else is as wanted. What is about to be stopped as a failure counts as
    little as what stops already."""
    live = [each for each in slot.containers if staying(each) and not judge.failing(each)]
    there = [each for each in live if not node_down(judge.view, each)]
    if _done(judge, slot):
        # A task of an older release that still runs has been overtaken.
        return Stand(slot, None, None, tuple(live), settled=True)
    target = next((each for each in there if not _amiss(judge, slot, each)), None)
    keeper = _best(judge, [each for each in there if _stays(judge, each, target)])
    cut_off = slot.current if target is None and slot.current not in there else None
    surplus = tuple(each for each in live if each not in (target, keeper, cut_off))
    return Stand(slot, target, keeper, surplus, _settled(judge, (target, keeper)))


def _amiss(judge: Judge, slot: SlotView, container: ContainerView) -> bool:
    return judge.outdated(container) or judge.displaced(slot, container)


def _stays(judge: Judge, container: ContainerView, target: ContainerView | None) -> bool:
    """Beside a target only what serves, and only until the target is known to."""
    if target is None or container is target:
        return target is None
    taken_over = judge.well(target) and in_contact(judge.view, target)
    return container.state is State.RUNNING and judge.overlaps and not taken_over


def _best(judge: Judge, containers: list[ContainerView]) -> ContainerView | None:
    return max(
        containers,
        key=lambda each: (each.state is State.RUNNING, judge.well(each), each.generation),
        default=None,
    )


def _done(judge: Judge, slot: SlotView) -> bool:
    """The newest one was as wanted, and ran to its end."""
    current = slot.current
    return current is not None and current.digest == judge.service.digest and judge.done(current)


def _settled(judge: Judge, ours: Iterable[ContainerView | None]) -> bool:
    digest = judge.service.digest
    return any(each is not None and each.digest == digest and judge.well(each) for each in ours)
