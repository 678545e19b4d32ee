"""What is wanted of apps, kept from step to step.

Requests alone change these rows, and leave a dirty mark with each change; what the loop itself changes of them, it
forgets here. So an app that is looked at because of a report costs no statement for what is wanted of it,
unless the look was put off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, Subquery

from console.common.prepared import Prepared
from console.controller import rows
from console.workloads.enums import OperationState, ReleaseState
from console.workloads.models import App, Operation, Release, Rollout, Service

MOST = 2000
"""Apps kept: bounds what it takes of memory. Those looked at longest ago go first."""
_OF_APP = Release.objects.filter(app=OuterRef("pk"))
_APPS: Prepared[Any] = Prepared(
    lambda ids: (
        App.objects.select_related("team")
        .order_by()
        .annotate(
            ready=Subquery(_OF_APP.filter(state=ReleaseState.READY).order_by("-number").values("id")[:1]),
            waiting=Exists(_OF_APP.filter(state=ReleaseState.RESOLVING)),
            preparing=Subquery(
                _OF_APP.filter(state=ReleaseState.PREPARING).order_by("-number").values("id")[:1]
            ),
        )
        .filter(pk__in=ids)
    )
)
_SERVICES = Prepared(lambda apps: Service.objects.filter(app__in=apps).order_by())
_OPERATIONS = Prepared(
    lambda apps: Operation.objects.filter(app_id__in=apps, state=OperationState.RUNNING).order_by(
        "created_at"
    )
)
_ROLLOUTS = Prepared(lambda releases: Rollout.objects.filter(release__in=releases).order_by("started_at"))


@dataclass(slots=True)
class Wish:
    """One app's."""

    app: App
    ready: str | None
    """Id of its newest release that became ready."""
    waiting: bool
    """Of a release the images are not known yet."""
    preparing: str | None = None
    """Id of the release whose commands are to run."""
    services: dict[str, Service] = field(default_factory=dict)
    """By id."""
    rollout: Rollout | None = None
    """The newest one of the ready release, ended or not."""
    attempt: Rollout | None = None
    """The one of the release that is preparing."""
    operations: list[Operation] = field(default_factory=list)
    """Those that were running, oldest first."""


class Wishes:
    def __init__(self) -> None:
        self._kept: dict[str, Wish] = {}

    def discard(self) -> None:
        self._kept = {}

    def forget(self, apps: Iterable[str]) -> None:
        """These have changed: they are read again."""
        for app in apps:
            self._kept.pop(app, None)

    def of(self, apps: Collection[str]) -> list[Wish]:
        """Of these apps, but for those that are gone; in no order."""
        for ids in rows.chunks([app for app in apps if app not in self._kept]):
            self._read(ids)
        found = {app: self._kept.pop(app) for app in apps if app in self._kept}
        for app in list(self._kept)[: max(0, len(self._kept) + len(found) - MOST)]:
            del self._kept[app]
        self._kept |= found
        return list(found.values())

    def _read(self, ids: list[str]) -> None:
        found = {app.id: Wish(app, app.ready, app.waiting, app.preparing) for app in _APPS(ids)}
        for service in _SERVICES(found):
            found[service.app_id].services[service.id] = service
        for operation in _OPERATIONS(found):
            found[operation.app_id].operations.append(operation)
        self._read_rollouts(found)
        self._kept |= found

    def _read_rollouts(self, found: dict[str, Wish]) -> None:
        wanted = [id_ for wish in found.values() for id_ in (wish.ready, wish.preparing) if id_]
        for rollout in _ROLLOUTS(wanted):
            wish = found[rollout.app_id]
            if rollout.release_id == wish.preparing:
                wish.attempt = rollout
            else:
                wish.rollout = rollout
            for operation in wish.operations:
                if operation.id == rollout.operation_id:
                    rollout.operation = operation
