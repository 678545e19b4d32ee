"""The team's history."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from console.accounts.access import Access
from console.web.shell import WebRequest, render_page, team_page
from console.workloads.history import events_of

PAGE = 50


@require_GET
@team_page
def event_list(request: WebRequest, access: Access) -> HttpResponse:
    before = request.GET.get("before", "")
    found = events_of(access.team, before=int(before) if before.isdecimal() else 0, limit=PAGE + 1)
    context = {
        "events": found[:PAGE],
        "older": f"?before={found[PAGE - 1].id}" if len(found) > PAGE else "",
        "newer": request.path if before else "",
    }
    return render_page(request, access, "web/events.html", context, section="events")
