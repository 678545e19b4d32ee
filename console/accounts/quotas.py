"""What platform administrators settle for all: how much a team may have, and the sizes of instances."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from console.accounts.access import Access, require_administrator
from console.accounts.models import InstanceSize, Quota
from console.common import audit, events
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
        data = audit.change(before, after)
        events.record("team.quota", text, actor=access.actor, team=access.team.id, data=data)
    return row


@transaction.atomic
def set_size(access: Access, *, name: str, cpu: int, memory: int, default: bool = False) -> InstanceSize:
    """Make or change an instance size; apps take it with their next release. For administrators."""
    require_administrator(access.user, access.token)
    if not _NAME.fullmatch(name):
        message = _("Use up to 40 lower-case letters, digits and inner hyphens.")
        raise BerthError(message, fields={"name": [message]})
    sizes = InstanceSize.objects.select_for_update(no_key=True)
    for other in sizes.filter(default=True).exclude(name=name) if default else ():
        _put_size(access, other, other.name, {**_size_data(other), "default": False})
    values = {"cpu": cpu, "memory": memory, "default": default}
    return _put_size(access, sizes.filter(name=name).first(), name, values)


def _put_size(
    access: Access, size: InstanceSize | None, name: str, values: Mapping[str, Any]
) -> InstanceSize:
    before = _size_data(size) if size else None
    if size and before == values:
        return size
    size, _made = InstanceSize.objects.update_or_create(name=name, defaults=values)
    data = audit.change(before, values, size=name)
    events.record("size.set", f"Instance size {name} set", actor=access.actor, data=data)
    return size


@transaction.atomic
def delete_size(access: Access, name: str) -> None:
    """Apps that have it keep their limits until their next release. For administrators."""
    require_administrator(access.user, access.token)
    size = InstanceSize.objects.select_for_update().filter(name=name).first()
    if size is None:
        raise NotFound(_("There is no such instance size."))
    size.delete()
    data = audit.change(_size_data(size), None, size=name)
    events.record("size.deleted", f"Instance size {name} deleted", actor=access.actor, data=data)


def _size_data(size: InstanceSize) -> dict[str, Any]:
    return {"cpu": size.cpu, "memory": size.memory, "default": size.default}


def _as_data(row: Quota) -> dict[str, int | None]:
    amounts = {"apps": row.apps, "containers": row.containers, "cpu": row.cpu, "memory": row.memory}
    return {**amounts, "priority": row.priority}
