"""For platform administrators: everybody with an account, and new teams."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts import people as services
from console.accounts.access import Access, require_administrator
from console.accounts.queries import people, without_factor
from console.accounts.teams import create_team
from console.common.errors import BerthError
from console.web.forms import NewTeamForm
from console.web.settingstabs import render_settings
from console.web.shell import WebRequest, add_errors, team_page


@require_GET
@team_page
def platform(request: WebRequest, access: Access) -> HttpResponse:
    require_administrator(access.user)
    return _page(request, access)


@require_POST
@team_page
def set_user(request: WebRequest, access: Access, user: str) -> HttpResponse:
    require_administrator(access.user)
    found, change = services.find_person(user), request.POST.get("change", "")
    match change:
        case "grant" | "withdraw":
            services.set_administrator(found, administrator=change == "grant", actor=access.actor)
        case "enable" | "disable":
            services.set_active(found, active=change == "enable", actor=access.actor)
        case _:
            raise BerthError(_("There is no such change."))
    messages.success(request, _("%(who)s is changed.") % {"who": found.email})
    return redirect("web:platform", access.team.slug)


@require_POST
@team_page
def new_team(request: WebRequest, access: Access) -> HttpResponse:
    form = NewTeamForm(request.POST)
    if form.is_valid():
        try:
            team = create_team(access.user, **form.cleaned_data)
        except BerthError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("The team is there, and you are its owner."))
            return redirect("web:overview", team.slug)
    require_administrator(access.user)
    return _page(request, access, team_form=form, status=422)


def _page(request: WebRequest, access: Access, *, status: int = 200, **context: Any) -> HttpResponse:
    everybody = people()
    values = {
        "people": everybody,
        "without_factor": without_factor(one.pk for one in everybody),
        "team_form": NewTeamForm(),
        "sign_up": settings.SIGN_UP,
        "two_factor": settings.REQUIRE_TWO_FACTOR,
        **context,
    }
    return render_settings(request, access, "platform", values, status=status)
