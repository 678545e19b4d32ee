"""Which apps are looked at again though nothing of them changed, kept from step to step.

The loop alone writes what this is made of, so that it is read only once: with a new term, and after a step that
failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from console.common.prepared import Prepared, PreparedDelete
from console.controller import rows
from console.controller.models import Wake
from console.workloads.enums import ReleaseState
from console.workloads.models import Release, Slot

_WAKES: Prepared[tuple[str, datetime]] = Prepared(lambda: Wake.objects.values_list("app_id", "at"))
_APPS_OF_SLOTS = (
    Slot.objects.filter(retired=False).order_by().values_list("service__app_id", flat=True).distinct()
)
_UNPLACED = Prepared(lambda: _APPS_OF_SLOTS.exclude(pending=""))
_BOUND = Prepared(lambda: _APPS_OF_SLOTS.filter(node__isnull=False))
_UNRESOLVED: Prepared[str] = Prepared(
    lambda: (
        Release.objects.filter(state=ReleaseState.RESOLVING)
        .order_by()
        .values_list("app_id", flat=True)
        .distinct()
    )
)
_DELETE_WAKES = PreparedDelete(lambda apps: Wake.objects.filter(app_id__in=apps))


class Agenda:
    def __init__(self) -> None:
        self._wakes: dict[str, datetime] | None = None
        self._unplaced: set[str] = set()
        self._everywhere: set[str] = set()

    def discard(self) -> None:
        """It may be wrong: the next `load` reads it from the database."""
        self._wakes = None

    def load(self) -> None:
        """Read it, if it is not there."""
        if self._wakes is not None:
            return
        self._wakes = dict(_WAKES())
        self._unplaced = {*_UNPLACED(), *_UNRESOLVED()}
        self._everywhere = set(_BOUND())

    def due(self, now: datetime) -> set[str]:
        """Apps whose time has come."""
        return {app for app, at in (self._wakes or {}).items() if at <= now}

    def next_due(self, now: datetime) -> float:
        """Seconds until the first app's time comes: a container will have been up for long enough then, say."""
        first = min((self._wakes or {}).values(), default=None)
        return float("inf") if first is None else (first - now).total_seconds()

    @property
    def unplaced(self) -> frozenset[str]:
        """Apps with a slot that found no node, or a release whose images are not known yet."""
        return frozenset(self._unplaced)

    @property
    def everywhere(self) -> frozenset[str]:
        """Apps with slots that are for a certain node each. A global service without any slot has a wake."""
        return frozenset(self._everywhere)

    def looked_at(self, app: str, *, unplaced: bool, everywhere: bool) -> None:
        """How an app stands now."""
        for apps, belongs in ((self._unplaced, unplaced), (self._everywhere, everywhere)):
            (apps.add if belongs else apps.discard)(app)

    def save_wakes(self, wakes: Mapping[str, datetime | None]) -> None:
        """When to look at these again (None: not by themselves). Rows are for whoever leads next; only those that
        change are written."""
        known = self._wakes or {}
        changed = {app: at for app, at in sorted(wakes.items()) if known.get(app) != at}
        for ids in rows.chunks([app for app, at in changed.items() if at is None]):
            _DELETE_WAKES(ids)
        wanted = {app: at for app, at in changed.items() if at is not None}
        rows.save((Wake(app_id=app, at=at) for app, at in wanted.items()), ("at",))
        self._wakes = {app: at for app, at in known.items() if app not in changed} | wanted
