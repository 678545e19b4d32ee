"""One service of an app, one of its slots, and how many more of it would fit."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from console.accounts.access import Access
from console.common.errors import Conflict
from console.controller import preview
from console.web.addresses import service_metrics_url, service_url, slot_metrics_url
from console.web.apptabs import render_tab
from console.web.charts import MOST, charts
from console.web.explaining import table_of
from console.web.forms import RoomForm
from console.web.shell import Link, WebRequest, team_page
from console.workloads.access import find_app, find_service, find_slot
from console.workloads.models import Explanation
from console.workloads.queries import past_of, remedies_of
from console.workloads.summaries import slot_detail, summary

USUAL_LIMIT = 100


@require_GET
@team_page
def service(request: WebRequest, access: Access, name: str, service: str) -> HttpResponse:
    """Its settings in words, and its slots."""
    app = find_app(access, name)
    found = find_service(app, service)
    details = summary(app)
    context = {
        "summary": details,
        "detail": next(one for one in details.services if one.service.pk == found.pk),
        "remedies": remedies_of(app),
        "endings": {one.slot_id: one for one in reversed(past_of(app))},
        "limit": USUAL_LIMIT,
        "charts": charts(request, service_metrics_url(app, found.name), by="slot", limit=MOST),
    }
    trail = [Link(found.name)]
    return render_tab(request, access, app, "app", context, template="service_page", trail=trail)


@require_GET
@team_page
def room(request: WebRequest, access: Access, name: str, service: str) -> HttpResponse:
    """How many more replicas fit: tried on a copy, nothing changes."""
    app = find_app(access, name)
    found = find_service(app, service)
    form = RoomForm(request.GET if "limit" in request.GET else {"limit": USUAL_LIMIT})
    limit = form.cleaned_data["limit"] if form.is_valid() else USUAL_LIMIT
    context = {"service": found, "limit": limit}
    try:
        forecast = preview.room(found, limit)
    except Conflict as error:
        context["refused"] = str(error.message)
    else:
        context |= {"room": forecast, "table": table_of(forecast.refusal) if forecast.refusal else None}
    trail = [Link(found.name, service_url(app, found.name)), Link(_("Room for more"))]
    return render_tab(request, access, app, "app", context, template="service_room", trail=trail)


@require_GET
@team_page
def slot(request: WebRequest, access: Access, name: str, service: str, index: int) -> HttpResponse:
    """What fills it, and why there; or why nothing does, and what would help."""
    app = find_app(access, name)
    wanted = find_slot(app, service, index)
    owner, detail = slot_detail(app, wanted)
    found, current = detail.slot, detail.current
    explanation, past = wanted.explanation, past_of(app, slot=found, limit=20)
    chosen = current.node_id if current and not found.pending else ""
    context = {
        "detail": owner,
        "item": detail,
        "slot": found,
        "endings": {found.id: past[0]} if past else {},
        "past": past,
        "charts": charts(request, slot_metrics_url(app, found)),
        "explanation": explanation,
        "of_first": chosen != "" and _other_node(explanation, chosen),
        "together": explanation.slots.count() - 1 if explanation else 0,
        "table": table_of(explanation, chosen=chosen, scores=found.scores) if explanation else None,
    }
    trail = [Link(service, service_url(app, service)), Link(str(found))]
    return render_tab(request, access, app, "app", context, template="slot_page", trail=trail)


def _other_node(explanation: Explanation | None, chosen: str) -> bool:
    """Of a large batch the sentence is that of the first slot, which may have gone to another node."""
    return (
        explanation is not None and bool(explanation.verdicts) and explanation.verdicts[0]["node"] != chosen
    )
