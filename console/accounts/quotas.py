"""What platform administrators settle for all: how much a team may have, and the sizes of instances."""

from __future__ import annotations

import re

from django.db import transaction
from django.utils.translation import gettext as _

from console.accounts.access import Access, require_administrator
from console.accounts.models import InstanceSize, Quota
from console.common import events
from console.common.errors import BerthError, NotFound

LEAST_CPU, LEAST_MEMORY = 10, 6 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@transaction.atomic
def set_quota(
    access: Access,
    *,
    apps: int | None = None,
    containers: int | None = None,
    cpu: int | None = None,
    memory: int | None = None,
    priority: int = 0,
) -> Quota:
    """From now on; None is no limit. `priority` is the highest that services may have. What a team has beyond it
    stays, and grows no more. For administrators."""
    require_administrator(access.user, access.token)
    row, _made = Quota.objects.select_for_update(no_key=True).get_or_create(team=access.team)
    before = _as_data(row)
    row.apps, row.containers, row.cpu, row.memory = apps, containers, cpu, memory
    row.priority = priority
    row.save()
    if (after := _as_data(row)) != before:
        text = f"Quota of team “{access.team.name}” set"
        data = {"before": before, "after": after}
        events.record("team.quota", text, actor=access.actor, team=access.team.id, data=data)
    return row


@transaction.atomic
def set_size(access: Access, *, name: str, cpu: int, memory: int, default: bool = False) -> InstanceSize:
    """Make or change an instance size; apps take it with their next release. For administrators."""
    require_administrator(access.user, access.token)
    if not _NAME.fullmatch(name):
        message = _("Use up to 40 lower-case letters, digits and inner hyphens.")
        raise BerthError(message, fields={"name": [message]})
    if default:
        InstanceSize.objects.filter(default=True).exclude(name=name).update(default=False)
    values = {"cpu": cpu, "memory": memory, "default": default}
    size, _made = InstanceSize.objects.update_or_create(name=name, defaults=values)
    events.record("size.set", f"Instance size {name} set", actor=access.actor, data={"after": values})
    return size


@transaction.atomic
def delete_size(access: Access, name: str) -> None:
    """Apps that have it keep their limits until their next release. For administrators."""
    require_administrator(access.user, access.token)
    if not InstanceSize.objects.filter(name=name).delete()[0]:
        raise NotFound(_("There is no such instance size."))
    events.record("size.deleted", f"Instance size {name} deleted", actor=access.actor)


def _as_data(row: Quota) -> dict[str, int | None]:
    amounts = {"apps": row.apps, "containers": row.containers, "cpu": row.cpu, "memory": row.memory}
    return {**amounts, "priority": row.priority}
