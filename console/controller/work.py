"""Which apps a step looks at, and each one's turn: load → reconcile → apply."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import OperationalError

from console.common.models import Dirty
from console.common.prepared import Prepared
from console.common.writes import insert
from console.controller import apply, appview, resolve, verdicts, volumes
from console.controller.appview import Rows
from console.controller.context import Step
from console.controller.rehearse import Rehearsal
from console.controller.wishes import Wish
from console.workloads.enums import RolloutState
from console.workloads.models import App, Container, Rollout
from scheduler.rehearsal import plan_with

logger = logging.getLogger(__name__)

MOST_APPS = 200
"""Looked at by one step: bounds its transaction. The others are for the next one."""
APP_AGAIN = timedelta(seconds=10)
"""After this an app that could not be worked on is tried again."""
SIGHT_AGAIN = timedelta(seconds=2)
"""After this an app that was worked on while the console was blind is looked at again."""
_DIRTY: Prepared[tuple[int, str]] = Prepared(lambda: Dirty.objects.values_list("id", "app_id"))
_LATE: Prepared[datetime] = Prepared(
    lambda app: (
        Rollout.objects.filter(app=app, state=RolloutState.RUNNING)
        .order_by("pk")
        .values_list("deadline", flat=True)[:1]
    )
)


def work(step: Step) -> None:
    """Carry on every app of which something changed, or whose time has come; higher priority first."""
    changed = step.live.follow(step.now, step.nodes)
    step.freed |= bool(changed)
    step.agenda.load()
    step.dirty |= _consume_dirty(step) | _due(step)
    if changed:
        step.dirty |= step.agenda.everywhere
    if step.freed:
        step.dirty |= step.agenda.unplaced
    step.live.load(step.now, step.nodes)
    volumes.carry_on(step)
    wishes = _in_order(step)
    left = sorted(wish.app.id for wish in wishes[MOST_APPS:])
    insert([Dirty(app_id=app) for app in left])
    step.more = bool(left)
    for wish in wishes[:MOST_APPS]:
        app = wish.app
        try:
            with step.part():
                _carry_on(step, wish)
        except OperationalError:
            raise
        except Exception:
            # One app that cannot be worked on must not stop the others.
            logger.exception("App %s (%s) cannot be carried on; it is tried again", app.name, app.pk)
            step.releases.prune(app.pk)
            step.wishes.forget([app.pk])
            step.wakes[app.pk] = step.now + APP_AGAIN
    if step.frozen:
        _look_again(step, [wish.app for wish in wishes[:MOST_APPS]])
    step.agenda.save_wakes(step.wakes)


def put_off(step: Step) -> None:
    """Look at no app now: those that this step found out about are written down for a later one."""
    insert([Dirty(app_id=app) for app in sorted(step.dirty)])


def _in_order(step: Step) -> list[Wish]:
    found = step.wishes.of(step.dirty)
    step.releases.load(wish.ready for wish in found if wish.ready)
    return sorted(found, key=lambda wish: (-_priority(step, wish), wish.app.created_at, wish.app.id))


def _priority(step: Step, wish: Wish) -> int:
    known = step.releases.get(wish.ready) if wish.ready else None
    return known.priority if known else 0


def _carry_on(step: Step, wish: Wish) -> None:
    app = wish.app
    if wish.waiting and not app.deleting:
        resolve.resolve(step, app)
        step.wishes.forget([app.id])
        [wish] = step.wishes.of([app.id])
        app = wish.app
    release = step.releases.get(wish.ready) if wish.ready else None
    if wish.ready and release is None and not app.deleting:
        raise ValueError(f"release {wish.ready} cannot be read")
    coming = step.releases.get(wish.preparing) if wish.preparing and not app.deleting else None
    if wish.preparing and coming is None and not app.deleting:
        raise ValueError(f"release {wish.preparing} cannot be read")
    found = appview.read_rows(wish, release, coming)
    view = appview.app_view(found, step.live.cluster, step.nodes, step.releases, frozen=step.frozen)
    rehearsal = Rehearsal(step, found)
    plan = verdicts.without_held(plan_with(view, step.time, rehearsal.answer), view, step.held_slots)
    apply.apply(step, found, view, plan, rehearsal.save())
    if plan.rollout or plan.commands:
        step.wishes.forget([app.id])
    _keep(step, wish, found)
    if app.deleting and not Container.objects.filter(app=app, removed_at=None).exists():
        apply.finish_deletion(step, app)


def _keep(step: Step, wish: Wish, found: Rows) -> None:
    """What the next steps need to know of the app."""
    app = wish.app.id
    used = {each.release_id for each in found.all_containers()}
    step.releases.prune(app, used | {id_ for id_ in (wish.ready, wish.preparing) if id_})
    slots = [slot for slot in found.slots.values() if not slot.retired]
    unplaced = wish.waiting or any(slot.pending for slot in slots)
    step.agenda.looked_at(app, unplaced=unplaced, everywhere=any(slot.node_id for slot in slots))
    if wish.waiting:
        # Its images may never become known: then it is late.
        step.wake_by(app, _LATE.first(app))


def _look_again(step: Step, apps: Iterable[App]) -> None:
    """Removals and stops were held back, and no report will call for them once the console sees again.
    What was deleted by now has no key any more."""
    for app in apps:
        if app.pk is not None:
            step.wake_by(app.pk, step.now + SIGHT_AGAIN)


# -- what there is to do


def _consume_dirty(step: Step) -> set[str]:
    found = _DIRTY()
    if found:
        Dirty.objects.filter(pk__in=[row for row, _app in found]).delete()
    apps = {app for _row, app in found}
    step.wishes.forget(apps)
    return apps


def _due(step: Step) -> set[str]:
    due = step.agenda.due(step.now)
    step.wakes.update(dict.fromkeys(due))
    return due
