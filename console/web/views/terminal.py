"""A terminal in a container, in the browser."""

from __future__ import annotations

import secrets

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from console.accounts.access import Access
from console.common.errors import NotFound
from console.common.middleware import policy
from console.web.addresses import exec_url, service_url, slot_url
from console.web.apptabs import render_tab
from console.web.shell import Link, WebRequest, team_page
from console.workloads.access import find_app, find_container
from console.workloads.enums import ContainerState


@require_GET
@team_page
def terminal(request: WebRequest, access: Access, name: str, container: str) -> HttpResponse:
    """The page's script asks the API for a ticket and opens the socket. xterm.js makes style elements: a nonce."""
    app, one = find_app(access, name), find_container(access, container)
    if one.app_id != app.id:
        raise NotFound(_("The app has no such container."))
    access.require_exec(app)
    nonce = secrets.token_urlsafe(16)
    service = one.slot.service.name
    context = {
        "container": one,
        "running": one.state == ContainerState.RUNNING,
        "exec_url": exec_url(one),
        "style_nonce": nonce,
    }
    trail = [
        Link(service, service_url(app, service)),
        Link(str(one.slot), slot_url(app, one.slot)),
        Link(_("Terminal")),
    ]
    response = render_tab(request, access, app, "app", context, template="terminal", trail=trail)
    response.headers["Content-Security-Policy"] = policy(style_nonce=nonce)
    return response
