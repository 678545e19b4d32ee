"""The installation's nodes. Every member sees them, platform administrators change them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from console.accounts.access import Access
from console.cluster import services, verdicts
from console.cluster.access import find_node, require_administrator
from console.cluster.queries import all_nodes
from console.common.errors import BerthError
from console.web.addresses import node_metrics_url
from console.web.charts import charts
from console.web.forms import NodeForm
from console.web.nodecards import node_cards
from console.web.shell import Link, WebRequest, add_errors, render_page, team_page
from console.workloads.drains import drain_of
from console.workloads.queries import containers_on, events_of

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@require_GET
@team_page
def node_list(request: WebRequest, access: Access) -> HttpResponse:
    return _list(request, access, {"form": NodeForm()})


@require_GET
@team_page
def node(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    context = {
        "card": node_cards([found])[0],
        "node": found,
        "drain": drain_of(found),
        "death": getattr(found, "death", None),
        "hold": getattr(found, "hold", None),
        "containers": containers_on(found, access.team),
        "events": events_of(access.team, node=found, limit=15),
        "charts": charts(request, node_metrics_url(access.team.slug, found)),
    }
    return render_page(request, access, "web/node.html", context, section="nodes", crumbs=[Link(found.name)])


@never_cache
@require_POST
@team_page
def add(request: WebRequest, access: Access) -> HttpResponse:
    """Makes the credential and shows it with the command, this once."""
    require_administrator(access)
    form = NodeForm(request.POST)
    if form.is_valid():
        try:
            credential = services.add_node(**form.cleaned_data, actor=access.actor)
        except BerthError as error:
            add_errors(form, error)
        else:
            config = credential.config()
            context = {
                "credential": credential,
                "command": _command(config),
                "local_only": _local_only(config),
            }
            return _list(request, access, {"form": NodeForm(), **context})
    return _list(request, access, {"form": form, "asking": True}, status=422)


def _command(config: Mapping[str, str]) -> str:
    """One paste for a shell: the configuration into a file that only its owner reads, then the agent."""
    text = json.dumps(config, indent=2)
    return f"umask 077 && cat > node.json <<'END'\n{text}\nEND\nmake agent CONFIG=node.json"


def _local_only(config: Mapping[str, str]) -> bool:
    """Whether another host could not follow these addresses."""
    places = [urlsplit(config[key]) for key in ("console", "broker")]
    return any(place.scheme == "unix" or place.hostname in LOOPBACK for place in places)


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


def _list(request: WebRequest, access: Access, context: dict[str, Any], status: int = 200) -> HttpResponse:
    values = {"cards": node_cards(all_nodes()), **context}
    return render_page(request, access, "web/nodes.html", values, section="nodes", status=status)
