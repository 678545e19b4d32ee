"""What would happen to a node's containers, and moves that would use the nodes more evenly."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from console.accounts.access import Access
from console.cluster.access import find_node, require_administrator
from console.common.errors import BerthError
from console.controller import preview
from console.web.forms import RebalanceForm
from console.web.shell import Link, WebRequest, render_page, team_page
from console.workloads import moves


@require_GET
@team_page
def node_what_if(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """If it went (`event=loss`), or were drained (`event=drain`). Nothing changes."""
    node = find_node(name)
    event: preview.Event = "drain" if request.GET.get("event") == "drain" else "loss"
    context = {"node": node, "forecast": preview.node_forecast(access.team, node, event)}
    label = _("If it were drained") if event == "drain" else _("If it went")
    crumbs = [Link(node.name, reverse("web:node", args=[access.team.slug, node.name])), Link(label)]
    return render_page(request, access, "web/node_what_if.html", context, section="nodes", crumbs=crumbs)


@require_GET
@team_page
def rebalance(request: WebRequest, access: Access) -> HttpResponse:
    """A dry run first; its moves are made by a button."""
    require_administrator(access)
    usual = {"budget": moves.USUAL_MOVES, "gain": moves.USUAL_GAIN}
    form = RebalanceForm(request.GET if "budget" in request.GET else usual)
    plan = preview.rebalance_forecast(access.team, **form.cleaned_data) if form.is_valid() else None
    context = {"form": form, "plan": plan, "under_way": moves.under_way()}
    status = 200 if plan else 422
    crumbs = [Link(_("Rebalance"))]
    return render_page(
        request, access, "web/rebalance.html", context, section="nodes", crumbs=crumbs, status=status
    )


@require_POST
@team_page
def make_moves(request: WebRequest, access: Access) -> HttpResponse:
    marked = moves.mark_moves(access, [_move(text) for text in request.POST.getlist("move")])
    if count := len(marked.moves):
        said = ngettext("%(n)d move is being made.", "%(n)d moves are being made.", count)
        messages.success(request, said % {"n": count})
    if count := len(marked.skipped):
        said = ngettext("%(n)d move was skipped: %(why)s", "%(n)d moves were skipped: %(why)s", count)
        reasons = " ".join(dict.fromkeys(one.reason for one in marked.skipped))
        messages.error(request, said % {"n": count, "why": reasons})
    return redirect("web:rebalance", access.team.slug)


def _move(text: str) -> moves.WantedMove:
    """From a row of the plan: the ids of a container, its node and its target."""
    parts = text.split()
    if len(parts) != 3:
        raise BerthError(_("This is no move of a plan."))
    return moves.WantedMove(*parts)
