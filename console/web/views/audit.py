"""The audit of a team, of one of its apps, and of the platform."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from console.accounts.access import Access, require_administrator
from console.common.audit import entries
from console.web.settingstabs import render_settings
from console.web.shell import WebRequest, team_page
from console.workloads.access import find_app
from console.workloads.queries import app_names

PAGE = 50


@require_GET
@team_page
def audit(request: WebRequest, access: Access) -> HttpResponse:
    """`?scope=platform` is the whole installation's, for administrators; `?app=` one app's."""
    asked = {key: request.GET.get(key, "")[:254].strip() for key in ("scope", "app", "actor", "kind")}
    whole = asked["scope"] == "platform"
    if whole:
        require_administrator(access.user)
    else:
        access.require_owner()
    app = find_app(access, asked["app"]) if asked["app"] and not whole else None
    before = request.GET.get("before", "")
    found = entries(
        team="" if whole else access.team.pk,
        app=app.pk if app else "",
        actor=asked["actor"],
        kind=asked["kind"],
        before=int(before) if before.isdecimal() and len(before) < 19 else 0,
        limit=PAGE + 1,
    )
    query = {key: value for key, value in asked.items() if value}
    context = {
        "entries": found[:PAGE],
        "asked": asked,
        "whole": whole,
        "app": app,
        "app_names": app_names(access.team),
        "older": f"?{urlencode({**query, 'before': found[PAGE - 1].pk})}" if len(found) > PAGE else "",
        "newer": f"?{urlencode(query)}" if before else "",
    }
    return render_settings(request, access, "audit", context)
