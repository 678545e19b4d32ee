"""Hosts that join and leave, and nodes' credentials. For platform administrators."""

from __future__ import annotations

import shlex
from datetime import timedelta

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from console.accounts.access import Access
from console.cluster import credentials, joining, trust
from console.cluster.access import find_node, require_administrator
from console.cluster.leaving import drain_and_remove
from console.cluster.models import Node
from console.common.errors import BerthError
from console.web.forms import HostForm
from console.web.shell import WebRequest, add_errors, team_page
from console.web.views.nodes import list_page

CONTAINER = """
docker run --detach --name berth-agent --restart unless-stopped --network host --user root
--cap-drop ALL --cap-add DAC_OVERRIDE --cap-add CHOWN --security-opt no-new-privileges:true
--volume /var/run/docker.sock:/var/run/docker.sock --volume berth-agent:/var/lib/berth-agent
--volume /run/berth:/run/berth --env BERTH_SECRETS_DIR=/run/berth
berth/console python -m nodeagent join --run --config /var/lib/berth-agent/agent.json
"""
"""The image is the one that `docker compose build` makes."""


@never_cache
@require_POST
@team_page
def invite(request: WebRequest, access: Access) -> HttpResponse:
    """A join token, with the command that uses it; shown this once."""
    require_administrator(access)
    trust.usable_authority()
    form = HostForm(request.POST)
    if form.is_valid():
        given = dict(form.cleaned_data)
        lifetime = timedelta(minutes=given.pop("minutes"))
        try:
            made = joining.create_join_token(actor=access.actor, lifetime=lifetime, **given)
            return _shown(request, access, made)
        except BerthError as error:
            add_errors(form, error)
    return list_page(request, access, {"form": form, "asking": True}, status=422)


@never_cache
@require_POST
@team_page
def invite_again(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """A join token for a node that is there: for a new host in its place, or after its credentials were revoked."""
    require_administrator(access)
    trust.usable_authority()
    made = joining.create_join_token(actor=access.actor, node=find_node(name))
    return _shown(request, access, made)


def _shown(request: WebRequest, access: Access, made: joining.Invitation) -> HttpResponse:
    arguments = made.arguments()
    context = {
        "invitation": made,
        "command": f"make join ARGS={shlex.quote(shlex.join(arguments))}",
        "container_command": container_command(arguments),
        "local_only": trust.local_only(),
    }
    return list_page(request, access, context)


def container_command(arguments: list[str]) -> str:
    """The agent in a container of its own, as `docker-compose.yml` has it: on the host's network, with the engine's
    socket, and no more rights than it needs."""
    return shlex.join([*shlex.split(CONTAINER), *arguments])


@require_POST
@team_page
def revoke_token(request: WebRequest, access: Access, token: str) -> HttpResponse:
    joining.revoke_join_token(access, token)
    messages.success(request, _("Nobody joins with that command any more."))
    return redirect("web:nodes", access.team.slug)


@require_POST
@team_page
def leave(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    if drain_and_remove(access, found):
        messages.success(request, _("%(name)s is removed.") % {"name": found.name})
        return redirect("web:nodes", access.team.slug)
    messages.success(
        request, _("%(name)s is drained, and removed once nothing is on it.") % {"name": found.name}
    )
    return _back(access, found)


@require_POST
@team_page
def rotate(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    credentials.ask_rotation(access, found)
    messages.success(
        request, _("The agent makes new credentials; the present ones hold until it uses those.")
    )
    return _back(access, found)


@require_POST
@team_page
def revoke(request: WebRequest, access: Access, name: str) -> HttpResponse:
    found = find_node(name)
    credentials.revoke_credential(access, found)
    messages.success(
        request, _("The agent of %(name)s is cut off. It must join again.") % {"name": found.name}
    )
    return _back(access, found)


def _back(access: Access, node: Node) -> HttpResponse:
    return redirect("web:node", access.team.slug, node.name)
