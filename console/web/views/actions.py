"""What people do to an app. Each calls one service and goes back to the app's page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from console.accounts.access import Access
from console.common.errors import BerthError
from console.web.addresses import app_url
from console.web.forms import ScaleForm
from console.web.shell import WebRequest, team_page
from console.workloads import rollouts, services
from console.workloads.access import find_app, find_release, find_service
from console.workloads.models import App, Service
from console.workloads.queries import releases_of


@require_POST
@team_page
def redeploy(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """The same file as a new release: its tags are looked up anew."""
    app = find_app(access, name)
    services.create_release(access, app, compose=releases_of(app)[0].compose)
    messages.success(request, _("The new release is on its way."))
    return redirect(app_url(app))


@require_POST
@team_page
def restart(request: WebRequest, access: Access, name: str, service: str = "") -> HttpResponse:
    app, chosen = _subject(access, name, service)
    services.restart(access, app, chosen)
    messages.success(request, _("The containers are replaced one by one."))
    return redirect(app_url(app))


@require_POST
@team_page
def stop(request: WebRequest, access: Access, name: str, service: str = "") -> HttpResponse:
    app, chosen = _subject(access, name, service)
    services.set_stopped(access, app, chosen, stopped=True)
    messages.success(request, _("%(name)s is stopping.") % {"name": chosen or app})
    return redirect(app_url(app))


@require_POST
@team_page
def start(request: WebRequest, access: Access, name: str, service: str = "") -> HttpResponse:
    app, chosen = _subject(access, name, service)
    services.set_stopped(access, app, chosen, stopped=False)
    messages.success(request, _("%(name)s is starting.") % {"name": chosen or app})
    return redirect(app_url(app))


@require_POST
@team_page
def scale(request: WebRequest, access: Access, name: str, service: str) -> HttpResponse:
    app = find_app(access, name)
    form = ScaleForm(request.POST)
    if not form.is_valid():
        raise BerthError(" ".join(str(text) for text in form.errors["replicas"]))
    services.scale(access, find_service(app, service), replicas=form.cleaned_data["replicas"])
    return redirect(app_url(app))


@require_POST
@team_page
def roll_back(request: WebRequest, access: Access, name: str) -> HttpResponse:
    app = find_app(access, name)
    number = request.POST.get("release", "")
    release = find_release(app, int(number) if number.isdecimal() else 0)
    services.roll_back(access, app, to=release)
    messages.success(request, _("Rolling back to release %(number)d.") % {"number": release.number})
    return redirect(app_url(app))


@require_POST
@team_page
def pause_rollout(request: WebRequest, access: Access, name: str) -> HttpResponse:
    app = find_app(access, name)
    rollouts.pause_rollout(access, app)
    messages.success(request, _("The rollout is paused: nothing more is replaced until it is resumed."))
    return redirect(app_url(app))


@require_POST
@team_page
def resume_rollout(request: WebRequest, access: Access, name: str) -> HttpResponse:
    app = find_app(access, name)
    rollouts.resume_rollout(access, app)
    messages.success(request, _("The rollout goes on."))
    return redirect(app_url(app))


@require_POST
@team_page
def cancel_rollout(request: WebRequest, access: Access, name: str) -> HttpResponse:
    app = find_app(access, name)
    rollouts.cancel_rollout(access, app)
    messages.success(request, _("Going back to the release before."))
    return redirect(app_url(app))


@require_POST
@team_page
def delete(request: WebRequest, access: Access, name: str) -> HttpResponse:
    """The dialog asks for the app's name; so does the server."""
    app = find_app(access, name)
    if request.POST.get("confirm") != app.name:
        raise BerthError(_("Type the app's name to delete it."))
    services.delete_app(access, app, delete_volumes=request.POST.get("volumes") == "delete")
    messages.success(request, _("%(name)s is being deleted.") % {"name": app.name})
    return redirect("web:apps", access.team.slug)


def _subject(access: Access, name: str, service: str) -> tuple[App, Service | None]:
    app = find_app(access, name)
    return app, find_service(app, service) if service else None
