"""Which apps a step looks at, and each one's turn: load → reconcile → apply."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import OperationalError
from django.db.models import Exists, OuterRef, Subquery

from console.common.models import Dirty
from console.controller import apply, appview, resolve, rows
from console.controller.context import Step
from console.controller.models import Wake
from console.workloads.enums import ReleaseState, RolloutState
from console.workloads.models import App, Container, Release, Rollout, Slot
from scheduler.reconcile import reconcile

logger = logging.getLogger(__name__)

MOST_APPS = 200
"""Looked at by one step: bounds its transaction. The others are for the next one."""
APP_AGAIN = timedelta(seconds=10)
"""After this an app that could not be worked on is tried again."""
SIGHT_AGAIN = timedelta(seconds=2)
"""After this an app that was worked on while the console was blind is looked at again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An app to look at."""

    app: App
    ready: str | None
    """Id of its newest release that became ready."""
    waiting: bool
    """Of a release the images are not known yet."""


def work(step: Step) -> None:
    """Carry on every app of which something changed, or whose time has come; higher priority first."""
    changed = step.live.follow(step.now, step.nodes)
    step.freed |= bool(changed)
    step.dirty |= _consume_dirty() | _due(step) | _everywhere(changed)
    if step.freed:
        step.dirty |= _pending_apps()
    step.live.load(step.now, step.nodes)
    turns = _in_order(step)
    left = sorted(turn.app.id for turn in turns[MOST_APPS:])
    Dirty.objects.bulk_create((Dirty(app_id=app) for app in left), batch_size=rows.BATCH)
    step.more = bool(left)
    for turn in turns[:MOST_APPS]:
        app = turn.app
        try:
            with step.part():
                _carry_on(step, turn)
        except OperationalError:
            raise
        except Exception:
            # One app that cannot be worked on must not stop the others.
            logger.exception("App %s (%s) cannot be carried on; it is tried again", app.name, app.pk)
            step.releases.prune(app.pk)
            step.wakes[app.pk] = step.now + APP_AGAIN
    if step.frozen:
        _look_again(step, [turn.app for turn in turns[:MOST_APPS]])
    _save_wakes(step)


def _in_order(step: Step) -> list[Turn]:
    ready = Release.objects.filter(app=OuterRef("pk"), state=ReleaseState.READY).order_by("-number")
    waiting = Release.objects.filter(app=OuterRef("pk"), state=ReleaseState.RESOLVING)
    found: list[Turn] = []
    for ids in rows.chunks(step.dirty):
        apps = App.objects.filter(pk__in=ids).select_related("team")
        apps = apps.annotate(ready=Subquery(ready.values("id")[:1]), waiting=Exists(waiting))
        found += (Turn(app, app.ready, app.waiting) for app in apps)
    step.releases.load(turn.ready for turn in found if turn.ready)
    return sorted(found, key=lambda turn: (-_priority(step, turn), turn.app.created_at, turn.app.id))


def _priority(step: Step, turn: Turn) -> int:
    known = step.releases.get(turn.ready) if turn.ready else None
    return known.priority if known else 0


def _carry_on(step: Step, turn: Turn) -> None:
    app, ready = turn.app, turn.ready
    if turn.waiting and not app.deleting:
        resolve.resolve(step, app)
        newest = Release.objects.filter(app=app, state=ReleaseState.READY).order_by("-number")
        ready = newest.values_list("id", flat=True).first()
    release = step.releases.get(ready) if ready else None
    if ready and release is None and not app.deleting:
        raise ValueError(f"release {ready} cannot be read")
    found = appview.read_rows(app, release)
    view = appview.app_view(found, step.live.cluster, step.nodes, step.releases, frozen=step.frozen)
    apply.apply(step, found, view, reconcile(view, step.time))
    used = {each.release_id for each in found.all_containers()}
    step.releases.prune(app.id, used | {ready} if ready else used)
    if app.deleting and not Container.objects.filter(app=app, removed_at=None).exists():
        apply.finish_deletion(step, app)


def _look_again(step: Step, apps: Iterable[App]) -> None:
    """Removals and stops were held back, and no report will call for them once the console sees again.
    What was deleted by now has no key any more."""
    soon = step.now + SIGHT_AGAIN
    for app in apps:
        if app.pk is not None:
            step.wakes[app.pk] = min(step.wakes.get(app.pk) or soon, soon)


# -- what there is to do


def _consume_dirty() -> set[str]:
    found = list(Dirty.objects.values_list("id", "app_id"))
    if found:
        Dirty.objects.filter(pk__in=[row for row, _app in found]).delete()
    return {app for _row, app in found}


def _due(step: Step) -> set[str]:
    due = set(Wake.objects.filter(at__lte=step.now).values_list("app_id", flat=True))
    step.wakes.update(dict.fromkeys(due))
    late = Rollout.objects.filter(
        state=RolloutState.RUNNING, release__state=ReleaseState.RESOLVING, deadline__lte=step.now
    )
    return due | set(late.values_list("app_id", flat=True))


def _everywhere(changed: Collection[str]) -> set[str]:
    """Apps with a global service, when nodes have changed. One without any slot looks again by itself."""
    if not changed:
        return set()
    slots = Slot.objects.filter(retired=False, node__isnull=False).order_by()
    return set(slots.values_list("service__app_id", flat=True).distinct())


def _pending_apps() -> set[str]:
    """Apps with a slot that found no node, or a release whose images are not known yet."""
    unplaced = Slot.objects.filter(retired=False).exclude(pending="").order_by()
    unresolved = Release.objects.filter(state=ReleaseState.RESOLVING).order_by()
    return {
        *unplaced.values_list("service__app_id", flat=True).distinct(),
        *unresolved.values_list("app_id", flat=True).distinct(),
    }


def _save_wakes(step: Step) -> None:
    wanted = [Wake(app_id=app, at=at) for app, at in sorted(step.wakes.items()) if at is not None]
    over = [app for app, at in step.wakes.items() if at is None]
    for ids in rows.chunks(over):
        Wake.objects.filter(app_id__in=ids).delete()
    Wake.objects.bulk_create(
        wanted, batch_size=rows.BATCH, update_conflicts=True, unique_fields=["app_id"], update_fields=["at"]
    )
