"""What a service has to wait for: Compose's depends_on."""

from __future__ import annotations

from scheduler.failures import lost_hope
from scheduler.lifecycle import State
from scheduler.model import ContainerView, Dependency
from scheduler.slots import Judge
from scheduler.stands import Group, Stand, Standing

_UNTIL = {"started": "has started", "healthy": "is healthy", "completed": "is done"}


def waits(app: Standing, group: Group) -> str:
    """Why first placements and updates of this service must wait ('waits until db is healthy'); empty: they
    need not. A service that is gone, stopped, or (what Compose refuses) waits for this one, holds nothing up.
    """
    for each in sorted(group.service.depends_on, key=lambda each: each.service):
        other = app.groups.get(each.service)
        if other is None or not other.wanted or _follows(app, each.service, group.service.name):
            continue
        if not _met(other, each):
            return f"waits until {each.service} {_UNTIL[each.condition]}"
    return ""


def restart_waits(app: Standing, group: Group) -> str:
    """The same of its restart: it comes after those of the services that bring it about."""
    for each in sorted(group.service.depends_on, key=lambda each: each.service):
        other = app.groups.get(each.service)
        if (
            other
            and each.restart
            and _restarts(other)
            and not _follows(app, each.service, group.service.name)
        ):
            return f"waits until {each.service} has restarted"
    return ""


def _follows(app: Standing, service: str, other: str) -> bool:
    """Whether `service` depends on `other`, directly or not."""
    path, seen = [service], set()
    while path:
        name = path.pop()
        if name == other:
            return True
        if name not in seen and name in app.groups:
            seen.add(name)
            path += [each.service for each in app.groups[name].service.depends_on]
    return False


def _met(group: Group, wish: Dependency) -> bool:
    """In each slot of the service, save that a dependency that is not required may have failed in some."""
    if group.new or (group.calm and wish.condition == "completed"):
        return False
    return all(
        _slot_meets(group.judge, stand, wish.condition)
        or (not wish.required and lost_hope(group.judge, stand))
        for stand in group.stands
    )


def _slot_meets(judge: Judge, stand: Stand, condition: str) -> bool:
    """While the rollout goes on, only the new release will do; once it is halted, what serves does."""
    ours = [each for each in stand.slot.containers if judge.halted or each.digest == judge.service.digest]
    match condition:
        case "completed":
            return any(judge.done(each) for each in ours)
        case "healthy":
            return stand.settled or any(judge.well(each) for each in ours)
    return any(_has_started(each) for each in ours)


def _has_started(container: ContainerView) -> bool:
    """It runs or ran; one that was seen ended before it was seen running ran too, unless it was stopped."""
    ran = container.state is State.RUNNING or (container.state is State.EXITED and not container.stopped)
    return ran or container.running_since is not None


def _restarts(group: Group) -> bool:
    return bool(group.new) or any(_slot_restarts(group.judge, stand) for stand in group.stands)


def _slot_restarts(judge: Judge, stand: Stand) -> bool:
    old = any(each is not None and judge.outdated(each) for each in (stand.slot.current, stand.keeper))
    return old or not stand.settled
