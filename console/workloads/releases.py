"""An app's releases, as every change of it asks for them."""

from __future__ import annotations

from console.common.prepared import Prepared
from console.workloads.enums import ReleaseState, RolloutState
from console.workloads.models import App, Release

_HIGHEST = 2**31 - 1
_OF_APP = Release.objects.order_by("-number")
_LAST = Prepared(lambda app: _OF_APP.filter(app=app)[:1])
_BEFORE = Prepared(lambda app, number: _OF_APP.filter(app=app, number__lt=number)[:1])
_NEWEST = Prepared(lambda app: _OF_APP.filter(app=app).exclude(state=ReleaseState.FAILED)[:1])
_READY_BEFORE = Prepared(
    lambda app, number: _OF_APP.filter(app=app, state=ReleaseState.READY, number__lt=number)[:1]
)
_ROLLED_OUT = Prepared(lambda app: _OF_APP.filter(app=app, rollouts__state=RolloutState.SUCCEEDED)[:1])


def last(app: App) -> Release | None:
    """Whatever became of it."""
    return _LAST.first(app.pk)


def before(app: App, number: int) -> Release | None:
    return _BEFORE.first(app.pk, number)


def newest(app: App) -> Release | None:
    """Of those that were not given up."""
    return _NEWEST.first(app.pk)


def ready_before(app: App, number: int | None = None) -> Release | None:
    """The last one that is ready, of those before this number."""
    return _READY_BEFORE.first(app.pk, _HIGHEST if number is None else number)


def rolled_out(app: App) -> Release | None:
    """The last one of which a rollout ended well."""
    return _ROLLED_OUT.first(app.pk)
