"""A team at a glance: what is unwell first."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.accounts.access import Access
from console.cluster.enums import NodeState
from console.cluster.queries import all_nodes
from console.web.addresses import team_metrics_url
from console.web.charts import MOST, charts
from console.web.nodecards import node_cards
from console.web.shell import WebRequest, render_page, team_page
from console.workloads.enums import AppState
from console.workloads.history import events_of
from console.workloads.summaries import summaries


@require_GET
@team_page
def overview(request: WebRequest, access: Access) -> HttpResponse:
    apps = summaries(access.team)
    nodes, now = all_nodes(), timezone.now()
    context = {
        "apps": apps,
        "unwell": [(app, app.unsteady(now)) for app in apps if app.needs_attention(now)],
        "busy": [app for app in apps if app.state == AppState.DEPLOYING],
        "running": sum(app.state == AppState.RUNNING for app in apps),
        "wanted": sum(app.wanted for app in apps),
        "well": sum(min(app.well, app.wanted) for app in apps),
        "nodes": node_cards(nodes),
        "ready": sum(node.state == NodeState.READY for node in nodes),
        "lost": [node for node in nodes if node.state in (NodeState.DOWN, NodeState.SUSPECT)],
        "events": events_of(access.team, limit=8),
        "charts": charts(request, team_metrics_url(access.team.slug), by="app", limit=MOST),
    }
    return render_page(request, access, "web/overview.html", context, section="overview")
