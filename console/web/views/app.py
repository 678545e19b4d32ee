"""One app: each tab is a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from console.accounts.access import Access
from console.common.errors import BerthError, Forbidden, NotFound
from console.network.queries import networks_of
from console.web.addresses import app_metrics_url, app_url, service_metrics_url
from console.web.apptabs import render_tab
from console.web.charts import MOST, charts
from console.web.composing import differences
from console.web.files import as_mapping, posted_rows, rows_of
from console.web.forms import ReleaseForm
from console.web.shell import WebRequest, add_errors, team_page
from console.workloads.access import find_app, find_container, find_release, find_service
from console.workloads.history import events_of
from console.workloads.models import App
from console.workloads.queries import (
    containers_of,
    operations_of,
    past_of,
    releases_of,
    remedies_of,
    rollouts_of,
)
from console.workloads.reading import read_texts
from console.workloads.services import create_release

PAGE = 50


@require_GET
@team_page
def overview(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """Services, slots and containers as they are now."""
    app = find_app(access, name)
    operations = operations_of(app, limit=1)
    past = past_of(app)
    context = {
        "operation": operations[0] if operations else None,
        "past": past[:8],
        "remedies": remedies_of(app),
        "networks": networks_of(app),
        "endings": {one.slot_id: one for one in reversed(past)},
        "events": events_of(access.team, app=app, limit=6),
    }
    return render_tab(request, access, app, "app", context)


@require_GET
@team_page
def releases(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """All releases; `?from=1&to=2` adds the difference between two."""
    app = find_app(access, name)
    chosen = [request.GET.get(end, "") for end in ("from", "to")]
    context: dict[str, Any] = {"releases": releases_of(app), "rollouts": _newest_rollouts(app)}
    if all(number.isdecimal() for number in chosen):
        old, new = (find_release(app, int(number)) for number in chosen)
        context |= {"old": old, "new": new, "diff": differences(old.compose, new.compose)}
    return render_tab(request, access, app, "app-releases", context)


def _newest_rollouts(app: App) -> dict[int, Any]:
    """The newest rollout by release number."""
    return {rollout.release.number: rollout for rollout in reversed(rollouts_of(app, limit=200))}


@require_GET
@team_page
def logs(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """All containers' output, or one service's, slot's or container's, also of one that ended."""
    app = find_app(access, name)
    asked = {key: request.GET.get(key, "") for key in ("service", "slot", "container", "ended")}
    one = find_container(access, asked["container"]) if asked["container"] else None
    if one and one.app_id != app.id:
        raise NotFound(_("The app has no such container."))
    context = {
        **asked,
        "slot": asked["slot"] if asked["service"] and asked["slot"].isdecimal() else "",
        "gone": one if one and one.removed_at else None,
        "containers": sorted(containers_of(app), key=lambda one: (one.slot.service.name, one.slot.index)),
    }
    return render_tab(request, access, app, "app-logs", context)


@require_GET
@team_page
def metrics(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """The services' use over time, or that of one service's slots."""
    app = find_app(access, name)
    service = request.GET.get("service", "")
    if service:
        url, by = service_metrics_url(app, find_service(app, service).name), "slot"
    else:
        url, by = app_metrics_url(app), "service"
    shown = charts(request, url, by=by, limit=MOST)
    return render_tab(request, access, app, "app-metrics", {"service": service, "charts": shown})


@require_GET
@team_page
def events(request: WebRequest, access: Access, name: str) -> HttpResponse:
    app = find_app(access, name)
    before = request.GET.get("before", "")
    found = events_of(access.team, app=app, before=int(before) if before.isdecimal() else 0, limit=PAGE + 1)
    context = {
        "events": found[:PAGE],
        "older": f"?before={found[PAGE - 1].id}" if len(found) > PAGE else "",
        "newer": request.path if before else "",
    }
    return render_tab(request, access, app, "app-events", context)


@require_http_methods(["GET", "POST"])
@team_page
def compose(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """The newest release's text; a changed one is the next release."""
    app = find_app(access, name)
    last = releases_of(app)[0]
    texts = read_texts(access, last)
    lines = "\n".join(f"{key}={value or ''}" for key, value in texts.variables.items())
    form = ReleaseForm(request.POST or None, initial={"compose": last.compose, "variables": lines})
    rows = (
        posted_rows(request)
        if request.method == "POST"
        else rows_of({path: text or "" for path, text in texts.files.items()})
    )
    problems: list[Mapping[str, Any]] = []
    if request.method == "POST" and form.is_valid():
        try:
            create_release(access, app, **form.cleaned_data, files=as_mapping(rows))
        except Forbidden:
            raise
        except BerthError as error:
            problems = error.data.get("problems", [])
            add_errors(form, error)
        else:
            messages.success(request, _("The new release is on its way."))
            return redirect(app_url(app))
    context = {"form": form, "files": rows, "last": last, "problems": problems}
    return render_tab(request, access, app, "app-compose", context, status=422 if form.errors else 200)
