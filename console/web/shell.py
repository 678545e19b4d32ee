"""What every page of a team shares: who may see it, its frame, and how its live regions are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from console.accounts.access import Access, FactorRequired, team_access, teams_of
from console.accounts.enums import Role
from console.accounts.models import Team, User
from console.common.errors import BerthError, Forbidden, NotFound

P = ParamSpec("P")


class WebRequest(HttpRequest):
    """A request as the middleware leaves it."""

    htmx: HtmxDetails


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str = ""
    icon: str = ""
    active: bool = False


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame around a team's page."""

    user: User
    team: Team
    role: Role
    teams: Sequence[Team]
    nav: Sequence[Link]
    crumbs: Sequence[Link]
    title: str

    @property
    def initial(self) -> str:
        return str(self.user)[:1]


def team_page(
    view: Callable[Concatenate[WebRequest, Access, P], HttpResponse],
) -> Callable[..., HttpResponse]:
    """A page or action of the team in the path: 404 for strangers; an action's error becomes a message."""

    @wraps(view)
    def inner(request: WebRequest, team: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            if request.htmx:
                return HttpResponseClientRefresh()
            return redirect_to_login(request.get_full_path())
        try:
            return view(request, team_access(request.user, team), *args, **kwargs)
        except NotFound as error:
            raise Http404(str(error.message)) from error
        except FactorRequired:
            return _to_second_factor(request, team)
        except Forbidden as error:
            raise PermissionDenied(str(error.message)) from error
        except BerthError as error:
            if request.method != "POST":
                raise
            messages.error(request, str(error.message))
            return redirect(_back(request, team))

    return inner


def _to_second_factor(request: WebRequest, team: str) -> HttpResponse:
    address = f"{reverse('web:second-factor')}?{urlencode({'team': team})}"
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def _back(request: HttpRequest, team: str) -> str:
    """The page that an action came from."""
    came_from = request.headers.get("referer", "")
    known = url_has_allowed_host_and_scheme(
        came_from, {request.get_host()}, require_https=request.is_secure()
    )
    return came_from if known else reverse("web:overview", args=[team])


def render_page(
    request: HttpRequest,
    access: Access,
    template: str,
    context: Mapping[str, Any],
    *,
    section: str,
    crumbs: Sequence[Link] = (),
    base: str = "",
    status: int = 200,
) -> HttpResponse:
    """The page, or the one region that htmx asks for by its id, of the template or the `base` it extends."""
    shell = _shell(access, section, crumbs)
    values = {"access": access, "team": access.team, "shell": shell, **context}
    region = cast(WebRequest, request).htmx.target
    name = _region(region, template, base) if region else template
    response = render(request, name, values, status=status)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    patch_vary_headers(response, ("HX-Request", "HX-Target"))
    return response


def _region(region: str, *templates: str) -> str:
    """Name of the first of these templates that has the region, with the region; else the first one alone."""
    for template in filter(None, templates):
        try:
            get_template(f"{template}#{region}")
        except TemplateDoesNotExist:
            continue
        return f"{template}#{region}"
    return templates[0]


def _shell(access: Access, section: str, crumbs: Sequence[Link]) -> Shell:
    entries = (
        ("overview", _("Overview"), "layout-dashboard"),
        ("apps", _("Apps"), "layout-grid"),
        ("nodes", _("Nodes"), "server-2"),
        ("volumes", _("Volumes"), "database"),
        ("events", _("Events"), "history"),
        ("settings", _("Settings"), "settings"),
    )
    nav = [
        Link(label, reverse(f"web:{name}", args=[access.team.slug]), icon, active=name == section)
        for name, label, icon in entries
    ]
    here = next(link for link in nav if link.active)
    trail = [Link(here.label, here.url), *crumbs] if crumbs else [Link(here.label)]
    return Shell(access.user, access.team, access.role, teams_of(access.user), nav, trail, trail[-1].label)


def add_errors(form: BaseForm, error: BerthError, names: Mapping[str, str] | None = None) -> None:
    """A service's refusal at the form's fields; what has no field there goes to the top of the form."""
    placed = False
    for field, texts in error.fields.items():
        target = (names or {}).get(field, field)
        if target in form.fields:
            form.add_error(target, [str(text) for text in texts])
            placed = True
    if not placed:
        form.add_error(None, str(error.message))
