"""Secrets of an app, and of a team with what it uses of its quota. A value is typed in and never shown."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts.access import Access
from console.accounts.enums import Verb
from console.common.errors import BerthError
from console.web.addresses import app_url
from console.web.apptabs import render_tab
from console.web.forms import SecretForm
from console.web.settingstabs import render_settings
from console.web.shell import WebRequest, add_errors, team_page
from console.workloads.access import find_app
from console.workloads.models import App
from console.workloads.quotas import use_of
from console.workloads.secretstore import delete_secret, list_secrets, store_secret


@sensitive_post_parameters("value")
@require_http_methods(["GET", "POST"])
@team_page
def of_app(request: WebRequest, access: Access, name: str) -> HttpResponse:
    app = find_app(access, name)
    form, stored = _store(request, access, app)
    if stored:
        return redirect(app_url(app, "app-secrets"))
    context = {
        "form": form,
        "secrets": list_secrets(access.team, app),
        "of_team": list_secrets(access.team),
        "may_store": access.may(Verb.WRITE, app) and not app.deleting,
    }
    return render_tab(request, access, app, "app-secrets", context, status=422 if form.errors else 200)


@sensitive_post_parameters("value")
@require_http_methods(["GET", "POST"])
@team_page
def of_team(request: WebRequest, access: Access) -> HttpResponse:
    form, stored = _store(request, access, None)
    if stored:
        return redirect("web:secrets", access.team.slug)
    context = {
        "form": form,
        "secrets": list_secrets(access.team),
        "may_store": access.role.may_own,
        "use": use_of(access.team),
    }
    return render_settings(request, access, "secrets", context, status=422 if form.errors else 200)


@require_POST
@team_page
def delete(request: WebRequest, access: Access, secret: str, name: str = "") -> HttpResponse:
    """Of the app `name`, or (it is empty) of the team."""
    app = find_app(access, name) if name else None
    try:
        delete_secret(access, app, secret)
        messages.success(request, _("The secret is deleted."))
    except BerthError as error:
        if error.code != "secret_in_use":
            raise
        messages.error(request, str(error.message))
    return redirect(app_url(app, "app-secrets") if app else reverse("web:secrets", args=[access.team.slug]))


def _store(request: WebRequest, access: Access, app: App | None) -> tuple[SecretForm, bool]:
    """The form, and whether what was posted is stored. What was typed is not put into the page again."""
    form = SecretForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return form, False
    try:
        kept = store_secret(access, app, name=form.cleaned_data["name"], value=form.cleaned_data["value"])
    except BerthError as error:
        if error.status == 403:
            raise
        add_errors(form, error)
        return form, False
    text = _("%(name)s is stored as version %(number)d. Apps take it with their next release.")
    messages.success(request, text % {"name": kept.secret.name, "number": kept.newest.number})
    return form, True
