"""Restarts that people ask for. One is under way from its request until its operation has ended; what it has not
replaced by then, it leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import QuerySet

from console.common import events
from console.common.prepared import Prepared
from console.workloads.compose import Service as Spec
from console.workloads.enums import OperationKind, OperationState
from console.workloads.models import App, Operation, Service

_RUNNING: Prepared[str] = Prepared(
    lambda app: Operation.objects.filter(
        app_id=app, kind=OperationKind.RESTART, state=OperationState.RUNNING
    ).values_list("target", flat=True)
)


def requests(services: QuerySet[Service]) -> dict[str, str | None]:
    """When a restart of each was asked for last, as the audit tells it."""
    rows = services.order_by("name").values_list("name", "restart_at")
    return {f"restart_at.{name}": at.isoformat() if at else None for name, at in rows}


def concerned(operation: Operation) -> QuerySet[Service]:
    """The services that it asked to restart, but for those that were asked to again since."""
    services = Service.objects.filter(app=operation.app_id, restart_at__lte=operation.created_at)
    return services.filter(name=operation.target) if operation.target else services


def take_back(operation: Operation) -> None:
    """What it has not replaced yet stays. In the transaction that ends it."""
    concerned(operation).update(restart_at=None)
    events.mark_dirty(operation.app_id)


def under_way(app: App, specs: Iterable[Spec]) -> set[str]:
    """Names of the services whose containers a restart may replace now: those that were asked to, and those that
    depend on them with `restart`, directly or not."""
    specs = list(specs)
    names = set(_RUNNING(app.pk))
    if "" in names:
        return {spec.name for spec in specs}
    more = names
    while more:
        more = {spec.name for spec in specs if _follows(spec, more)} - names
        names |= more
    return names


def _follows(spec: Spec, names: Collection[str]) -> bool:
    return any(one.restart and one.service in names for one in spec.depends_on)
