"""A team's own page: its name, logins to registries, how long logs are kept."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts import services as accounts
from console.accounts.access import Access
from console.accounts.teams import rename_team
from console.common.errors import BerthError
from console.images import services as images
from console.web.forms import LogRetentionForm, RegistryForm, TeamNameForm
from console.web.settingstabs import render_settings
from console.web.shell import WebRequest, add_errors, team_page


@require_GET
@team_page
def overview(request: WebRequest, access: Access) -> HttpResponse:
    return _page(request, access)


@require_POST
@team_page
def rename(request: WebRequest, access: Access) -> HttpResponse:
    access.require_owner()
    form = TeamNameForm(request.POST)
    if form.is_valid():
        rename_team(access, name=form.cleaned_data["team_name"])
        messages.success(request, _("The team has its new name."))
        return redirect("web:settings", access.team.slug)
    return _page(request, access, name_form=form, status=422)


@require_POST
@team_page
def store_registry(request: WebRequest, access: Access) -> HttpResponse:
    access.require_owner()
    form = RegistryForm(request.POST)
    if form.is_valid():
        try:
            images.store_credential(access, **form.cleaned_data)
        except BerthError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("The login is stored."))
            return redirect("web:settings", access.team.slug)
    return _page(request, access, registry_form=form, status=422)


@require_POST
@team_page
def delete_registry(request: WebRequest, access: Access, registry: str) -> HttpResponse:
    images.delete_credential(access, registry)
    messages.success(request, _("The login is deleted."))
    return redirect("web:settings", access.team.slug)


@require_POST
@team_page
def set_log_retention(request: WebRequest, access: Access) -> HttpResponse:
    access.require_owner()
    form = LogRetentionForm(request.POST)
    if form.is_valid():
        accounts.set_log_retention(access, days=form.cleaned_data["log_days"])
        messages.success(request, _("The time is set."))
        return redirect("web:settings", access.team.slug)
    return _page(request, access, retention_form=form, status=422)


@require_POST
@team_page
def require_second_factor(request: WebRequest, access: Access) -> HttpResponse:
    """Ask members for one, or no longer."""
    required = request.POST.get("required") == "1"
    accounts.set_two_factor_required(access, required=required)
    text = _("Members come in with a second factor now.") if required else _("A password is enough again.")
    messages.success(request, text)
    return redirect("web:settings", access.team.slug)


def _page(request: WebRequest, access: Access, *, status: int = 200, **context: Any) -> HttpResponse:
    values = {
        "name_form": TeamNameForm(initial={"team_name": access.team.name}),
        "registry_form": RegistryForm(),
        "retention_form": LogRetentionForm(initial={"log_days": access.team.log_retention_days}),
        "logs_share": settings.TEAM_LOGS_MIB * 1024 * 1024,
        "registries": images.list_credentials(access.team),
        **context,
    }
    return render_settings(request, access, "settings", values, status=status)
