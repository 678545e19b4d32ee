"""How the release commands of a release end. Until then the release before is the one that is wanted."""

from __future__ import annotations

from scheduler.failures import gave_up, what_failed
from scheduler.model import CommandsEnd
from scheduler.rollout import holds
from scheduler.stands import Group, Standing


def commands_end(app: Standing, now: float) -> CommandsEnd | None:
    """None while they run, or where there are none. A console that is blind does not judge."""
    groups = [group for group in app.groups.values() if group.service.command]
    if not groups or app.view.frozen:
        return None
    for group in groups:
        for stand in group.stands:
            if gave_up(group.judge, stand) and stand.slot.current is not None:
                return CommandsEnd(False, what_failed(group.judge, stand), stand.slot.current.id)
    if all(_done(group) for group in groups):
        return CommandsEnd(True)
    return _late(app, groups) if app.view.commands_by <= now else None


def _done(group: Group) -> bool:
    """Of this release; what an earlier one's command did does not count."""
    if group.calm or group.new or not group.stands:
        return False
    ends = [stand.slot.current for stand in group.stands]
    return all(one and one.digest == group.service.digest and group.judge.done(one) for one in ends)


def _late(app: Standing, groups: list[Group]) -> CommandsEnd:
    group = next(group for group in groups if not _done(group))
    if group.calm:
        slot = group.calm[0]
        return CommandsEnd(
            False, f"{group.service.name} still ran when its time was up", slot.containers[0].id
        )
    if not group.stands:
        return CommandsEnd(False, f"{group.service.name} was not there when its time was up")
    stand = group.stands[0]
    container = stand.slot.current.id if stand.slot.current else ""
    what = holds(app, group, stand)
    return CommandsEnd(False, f"{group.service.name} {what} when its time was up", container)
