"""API tokens: one's own, service accounts', and for owners everybody's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts import tokens as services
from console.accounts.access import Access
from console.accounts.enums import Verb
from console.accounts.members import find_service_account
from console.accounts.queries import service_accounts_of, tokens_in, tokens_of
from console.common.errors import BerthError
from console.web.forms import TokenForm
from console.web.settingstabs import render_settings
from console.web.shell import WebRequest, add_errors, team_page
from console.workloads.access import find_app
from console.workloads.queries import app_names


@never_cache
@require_http_methods(["GET", "POST"])
@team_page
def tokens(request: WebRequest, access: Access) -> HttpResponse:
    """The list; a POST makes a token and shows its secret in the answer, this once."""
    if request.method != "POST":
        return _page(request, access)
    form = _form(access, request.POST)
    if form.is_valid():
        try:
            token, secret = _create(access, form.cleaned_data)
        except BerthError as error:
            add_errors(form, error)
        else:
            return _page(request, access, token=token, secret=secret)
    return _page(request, access, token_form=form, status=422)


def _create(access: Access, given: dict[str, Any]) -> tuple[Any, str]:
    account = given["holder"]
    return services.create_token(
        access,
        name=given["name"],
        expires_at=timezone.now() + timedelta(days=given["days"]) if given["days"] else None,
        verbs=[Verb(verb) for verb in given["verbs"]] or None,
        apps=[find_app(access, app).pk for app in given["apps"]] or None,
        service_account=find_service_account(access, account).user if account else None,
    )


@require_POST
@team_page
def revoke(request: WebRequest, access: Access, token: str) -> HttpResponse:
    services.revoke_token(access, token)
    messages.success(request, _("The token is revoked."))
    return redirect("web:tokens", access.team.slug)


def _form(access: Access, data: Any = None) -> TokenForm:
    accounts = service_accounts_of(access.team) if access.role.may_own else []
    return TokenForm(data, apps=app_names(access.team).items(), accounts=[one.user.name for one in accounts])


def _page(request: WebRequest, access: Access, *, status: int = 200, **context: Any) -> HttpResponse:
    own = tokens_of(access.user, access.team)
    others = [one for one in tokens_in(access.team) if one.user_id != access.user.pk]
    values = {
        "token_form": _form(access),
        "tokens": own,
        "others": others if access.role.may_own else [],
        "app_names": app_names(access.team),
        "every_verb": len(Verb),
        **context,
    }
    return render_settings(request, access, "tokens", values, status=status)
