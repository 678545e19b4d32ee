"""A team's members, one's own API tokens, and logins to registries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from console.accounts import services as accounts
from console.accounts import tokens
from console.accounts.access import Access
from console.accounts.queries import members_of, tokens_of
from console.common.errors import BerthError
from console.images import services as images
from console.web.forms import LogRetentionForm, RegistryForm, TokenForm
from console.web.shell import WebRequest, add_errors, render_page, team_page


@require_GET
@team_page
def overview(request: WebRequest, access: Access) -> HttpResponse:
    return _page(request, access)


@never_cache
@require_POST
@team_page
def create_token(request: WebRequest, access: Access) -> HttpResponse:
    """Shows the secret in the answer, this once."""
    form = TokenForm(request.POST)
    if form.is_valid():
        days = form.cleaned_data["days"]
        expires_at = timezone.now() + timedelta(days=days) if days else None
        try:
            token, secret = tokens.create_token(access, name=form.cleaned_data["name"], expires_at=expires_at)
        except BerthError as error:
            add_errors(form, error)
        else:
            return _page(request, access, token=token, secret=secret)
    return _page(request, access, token_form=form, status=422)


@require_POST
@team_page
def revoke_token(request: WebRequest, access: Access, token: str) -> HttpResponse:
    tokens.revoke_token(access, token)
    messages.success(request, _("The token is revoked."))
    return redirect("web:settings", access.team.slug)


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


def _page(request: WebRequest, access: Access, *, status: int = 200, **context: Any) -> HttpResponse:
    values = {
        "token_form": TokenForm(),
        "registry_form": RegistryForm(),
        "retention_form": LogRetentionForm(initial={"log_days": access.team.log_retention_days}),
        "logs_share": settings.TEAM_LOGS_MIB * 1024 * 1024,
        "tokens": tokens_of(access.user, access.team),
        "registries": images.list_credentials(access.team),
        "members": members_of(access.team),
        **context,
    }
    return render_page(request, access, "web/settings.html", values, section="settings", status=status)
