"""Webhooks: where a team's events are sent; one with the log of its deliveries. All of it is for owners."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts.access import Access
from console.common.errors import BerthError
from console.web.forms import RotationForm, WebhookForm
from console.web.settingstabs import render_settings
from console.web.shell import Link, WebRequest, add_errors, team_page
from console.webhooks import services
from console.webhooks.access import find_delivery, find_webhook
from console.webhooks.enums import DeliveryState
from console.webhooks.models import Webhook
from console.webhooks.queries import deliveries_of, list_webhooks
from console.workloads.access import find_app
from console.workloads.queries import app_names

PAGE = 25


@never_cache
@require_http_methods(["GET", "POST"])
@team_page
def webhook_list(request: WebRequest, access: Access) -> HttpResponse:
    """A POST makes one and shows its secret in the answer, this once."""
    access.require_owner()
    context: dict[str, Any] = {"form": _form(access)}
    if request.method == "POST":
        context["form"] = form = _form(access, request.POST)
        if form.is_valid():
            try:
                made, secret = services.create_webhook(access, **_given(access, form))
            except BerthError as error:
                add_errors(form, error)
            else:
                context = {"form": _form(access), "made": made, "secret": secret}
    context |= {"webhooks": list_webhooks(access), "app_names": app_names(access.team)}
    status = 422 if context["form"].errors else 200
    return render_settings(request, access, "webhooks", context, status=status)


@never_cache
@require_http_methods(["GET", "POST"])
@team_page
def webhook(request: WebRequest, access: Access, webhook: str) -> HttpResponse:
    """A POST changes it."""
    found = find_webhook(access, webhook)
    form = _form(access, request.POST if request.method == "POST" else None, found)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_webhook(access, found, **_given(access, form))
        except BerthError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("The webhook is changed."))
            return redirect("web:webhook", access.team.slug, found.pk)
    return _page(request, access, found, form=form, status=422 if form.errors else 200)


@require_POST
@team_page
def set_active(request: WebRequest, access: Access, webhook: str) -> HttpResponse:
    active = request.POST.get("active") == "1"
    found = services.change_webhook(access, find_webhook(access, webhook), active=active)
    messages.success(request, _("The webhook is active.") if active else _("The webhook is paused."))
    return redirect("web:webhook", access.team.slug, found.pk)


@require_POST
@team_page
def delete(request: WebRequest, access: Access, webhook: str) -> HttpResponse:
    services.delete_webhook(access, find_webhook(access, webhook))
    messages.success(request, _("The webhook is deleted."))
    return redirect("web:webhooks", access.team.slug)


@never_cache
@require_http_methods(["GET", "POST"])
@team_page
def rotate(request: WebRequest, access: Access, webhook: str) -> HttpResponse:
    """The answer shows the new secret, this once. Its live regions, and whoever loads it again, get the page itself."""
    found, form = find_webhook(access, webhook), RotationForm(request.POST)
    if request.method == "GET":
        return redirect("web:webhook", access.team.slug, found.pk)
    if not form.is_valid():
        return _page(request, access, found, rotation_form=form, status=422)
    secret = services.rotate_secret(access, found, **form.cleaned_data)
    return _page(request, access, find_webhook(access, webhook), secret=secret)


@require_POST
@team_page
def ping(request: WebRequest, access: Access, webhook: str) -> HttpResponse:
    found = find_webhook(access, webhook)
    services.ping(access, found)
    messages.success(request, _("A test event is on its way."))
    return redirect("web:webhook", access.team.slug, found.pk)


@require_POST
@team_page
def redeliver(request: WebRequest, access: Access, webhook: str, delivery: str) -> HttpResponse:
    services.redeliver(access, find_delivery(access, webhook, delivery))
    messages.success(request, _("It is delivered again."))
    return redirect("web:webhook", access.team.slug, webhook)


def _form(access: Access, data: Any = None, webhook: Webhook | None = None) -> WebhookForm:
    names = app_names(access.team)
    initial: dict[str, Any] = {}
    if webhook is not None:
        initial = {name: getattr(webhook, name) for name in ("name", "url", "description", "warnings_only")}
        initial |= {"kinds": ", ".join(webhook.kinds), "apps": webhook.apps or []}
    return WebhookForm(data, initial=initial, apps=names.items())


def _given(access: Access, form: WebhookForm) -> dict[str, Any]:
    given = dict(form.cleaned_data)
    return {**given, "apps": [find_app(access, app).pk for app in given["apps"]] or None}


def _page(
    request: WebRequest, access: Access, webhook: Webhook, *, status: int = 200, **context: Any
) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in DeliveryState.values else ""
    number = request.GET.get("page", "")
    page = min(int(number), 10_000) if number.isdecimal() and len(number) < 6 else 0
    rows = list(deliveries_of(webhook, state=state)[page * PAGE : (page + 1) * PAGE + 1])
    values = {
        "webhook": webhook,
        "webhook_word": f"webhook:{webhook.pk}",
        "app_names": app_names(access.team),
        "deliveries": rows[:PAGE],
        "states": [Link(_("All"), "?", active=not state), *_filters(state)],
        "older": _address(state, page + 1) if len(rows) > PAGE else "",
        "newer": _address(state, page - 1) if page else "",
        "rotation_form": RotationForm(),
        **context,
    }
    values.setdefault("form", _form(access, webhook=webhook))
    trail = [Link(webhook.name)]
    return render_settings(
        request, access, "webhooks", values, template="web/webhook.html", below=trail, status=status
    )


def _filters(chosen: str) -> list[Link]:
    return [
        Link(str(each.label), f"?state={each.value}", each.icon, active=each.value == chosen)
        for each in DeliveryState
    ]


def _address(state: str, page: int) -> str:
    return f"?{urlencode({'state': state, 'page': page} if state else {'page': page})}"
