"""The installation's nodes. Every member sees them, platform administrators change them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts.access import Access
from console.cluster import services, verdicts
from console.cluster.access import find_node, require_administrator
from console.cluster.joining import join_tokens
from console.cluster.models import Node
from console.cluster.queries import all_nodes
from console.cluster.versions import skew
from console.common.errors import BerthError
from console.network.queries import reach_of
from console.web.addresses import node_metrics_url
from console.web.charts import charts
from console.web.forms import HostForm, NodeForm
from console.web.nodecards import node_cards
from console.web.shell import Link, WebRequest, add_errors, render_page, team_page
from console.workloads.drains import drain_of
from console.workloads.history import events_of
from console.workloads.queries import containers_on


def list_page(
    request: WebRequest, access: Access, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The nodes; for administrators, with the join tokens and the form that makes one."""
    values: dict[str, Any] = {"cards": node_cards(all_nodes()), **context}
    if access.user.is_staff:
        now = timezone.now()
        values["tokens"] = [(token, token.state(now)) for token in join_tokens()]
        values.setdefault("form", HostForm())
    return render_page(request, access, "web/nodes.html", values, section="nodes", status=status)


@require_GET
@team_page
def node_list(request: WebRequest, access: Access) -> HttpResponse:
    return list_page(request, access, {})


@require_GET
@team_page
def node(request: WebRequest, access: Access, name: str) -> HttpResponse:
    return _page(request, access, find_node(name))


def _page(
    request: WebRequest, access: Access, found: Node, form: NodeForm | None = None, status: int = 200
) -> HttpResponse:
    """`form`: as it was sent, to be mended."""
    context = {
        "card": node_cards([found])[0],
        "node": found,
        "drain": drain_of(found),
        "death": getattr(found, "death", None),
        "hold": getattr(found, "hold", None),
        "skew": skew(found),
        "rotation": getattr(found, "rotation", None),
        "leaving": hasattr(found, "departure"),
        "reach": reach_of(found),
        "containers": containers_on(found, access.team),
        "events": events_of(access.team, node=found, limit=15),
        "charts": charts(request, node_metrics_url(access.team.slug, found)),
        "asking": form is not None,
        "form": form or NodeForm.of(found),
    }
    crumbs = [Link(found.name)]
    return render_page(
        request, access, "web/node.html", context, section="nodes", crumbs=crumbs, status=status
    )


@require_POST
@team_page
def change(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """Its zone and its labels."""
    require_administrator(access)
    found, form = find_node(name), NodeForm(request.POST)
    if form.is_valid():
        try:
            services.change_node(access, found, **form.cleaned_data)
        except BerthError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("Zone and labels of %(name)s are set.") % {"name": found.name})
            return redirect("web:node", access.team.slug, found.name)
    return _page(request, access, found, form, status=422)


@require_POST
@team_page
def cordon(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    cordoned = request.POST.get("cordoned") == "1"
    services.set_cordoned(access, found, cordoned=cordoned)
    said = _("Nothing new is placed on %(name)s.") if cordoned else _("%(name)s takes containers again.")
    messages.success(request, said % {"name": found.name})
    return redirect("web:node", access.team.slug, found.name)


@require_POST
@team_page
def drain(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    draining = request.POST.get("draining") == "1"
    services.set_draining(access, found, draining=draining)
    said = _("%(name)s is being drained.") if draining else _("%(name)s takes containers again.")
    messages.success(request, said % {"name": found.name})
    return redirect("web:node", access.team.slug, found.name)


@require_POST
@team_page
def dead(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    verdicts.declare_dead(access, found, volumes=request.POST.get("volumes") == "give-up")
    messages.success(request, _("%(name)s is declared dead.") % {"name": found.name})
    return redirect("web:node", access.team.slug, found.name)


@require_POST
@team_page
def confirm(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    verdicts.confirm_assignment(access, found)
    messages.success(request, _("%(name)s gets its assignment.") % {"name": found.name})
    return redirect("web:node", access.team.slug, found.name)


@require_POST
@team_page
def remove(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    services.remove_node(access, found)
    messages.success(request, _("%(name)s is removed.") % {"name": found.name})
    return redirect("web:nodes", access.team.slug)
