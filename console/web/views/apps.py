"""The team's apps, and new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts.access import Access
from console.common.errors import BerthError
from console.web import composing
from console.web.files import as_mapping, posted_rows
from console.web.forms import ComposeForm, ImageForm
from console.web.shell import Link, WebRequest, add_errors, render_page, team_page
from console.workloads.quotas import use_of
from console.workloads.services import create_app
from console.workloads.summaries import summaries

EXAMPLE = """\
services:
  web:
    image: berth/demo
    ports:
      - "80"
    deploy:
      replicas: 2
"""

FIELDS_OF_KEYS = {"image": "image", "ports": "port", "environment": "environment", "deploy": "replicas"}


@require_GET
@team_page
def app_list(request: WebRequest, access: Access) -> HttpResponse:
    search = request.GET.get("q", "")
    context = {"apps": summaries(access.team, search=search), "search": search}
    return render_page(request, access, "web/apps.html", context, section="apps")


@require_http_methods(["GET", "POST"])
@team_page
def from_image(request: WebRequest, access: Access) -> HttpResponse:
    access.require_write()
    initial = {"image": request.GET.get("image", ""), "replicas": 1}
    form = ImageForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        name = values.pop("name")
        try:
            return _create(request, access, name=name, compose=composing.from_image(**values))
        except BerthError as error:
            _place(form, error)
    return _new(request, access, "web/app_new_image.html", {"form": form}, failed=bool(form.errors))


def _place(form: ImageForm, error: BerthError) -> None:
    """The generated file's problems at the form's own fields."""
    for problem in error.data.get("problems", ()):
        parts = problem["key"].split(".")
        field = FIELDS_OF_KEYS.get(parts[2]) if len(parts) > 2 else None
        form.add_error(field, problem["message"])
    if not error.data.get("problems"):
        add_errors(form, error)


@require_http_methods(["GET", "POST"])
@team_page
def from_compose(request: WebRequest, access: Access) -> HttpResponse:
    access.require_write()
    rows = posted_rows(request)
    form = ComposeForm(request.POST or None, initial={"compose": EXAMPLE})
    problems: list[Mapping[str, Any]] = []
    if request.method == "POST" and form.is_valid():
        try:
            return _create(request, access, **form.cleaned_data, files=as_mapping(rows))
        except BerthError as error:
            problems = error.data.get("problems", [])
            add_errors(form, error)
    context = {"form": form, "problems": problems, "files": rows}
    return _new(request, access, "web/app_new_compose.html", context, failed=bool(form.errors))


@require_POST
@team_page
def deploy_demo(request: WebRequest, access: Access) -> HttpResponse:
    """The first step on an empty cluster."""
    compose = composing.from_image(image=composing.DEMO_IMAGE, port=80)
    return _create(request, access, name="demo", compose=compose)


def _create(request: WebRequest, access: Access, *, name: str, compose: str, **more: Any) -> HttpResponse:
    create_app(access, name=name, compose=compose, **more)
    messages.success(request, _("%(name)s is on its way.") % {"name": name})
    return redirect("web:app", access.team.slug, name)


def _new(
    request: WebRequest, access: Access, template: str, context: Mapping[str, Any], *, failed: bool
) -> HttpResponse:
    tabs = [
        Link(
            label,
            reverse(f"web:{page}", args=[access.team.slug]),
            icon,
            active=template == f"web/{file}.html",
        )
        for page, file, label, icon in (
            ("app-new", "app_new_image", _("From an image"), "box"),
            ("app-new-compose", "app_new_compose", _("From a Compose file"), "file-code"),
        )
    ]
    return render_page(
        request,
        access,
        template,
        {"tabs": tabs, "use": use_of(access.team), **context},
        section="apps",
        crumbs=[Link(_("New app"))],
        status=422 if failed else 200,
    )
