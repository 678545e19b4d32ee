"""People of a team, invitations, service accounts, and roles in single apps."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from console.accounts import invitations
from console.accounts import members as services
from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.queries import (
    app_roles_of,
    invitations_of,
    members_of,
    service_accounts_of,
    without_factor,
)
from console.common.errors import BerthError
from console.web.forms import AppRoleForm, InvitationForm, ServiceAccountForm
from console.web.settingstabs import render_settings
from console.web.shell import WebRequest, add_errors, team_page
from console.workloads.access import find_app
from console.workloads.queries import app_names


@require_GET
@team_page
def members(request: WebRequest, access: Access) -> HttpResponse:
    return _page(request, access)


@require_POST
@team_page
def set_role(request: WebRequest, access: Access, principal: str) -> HttpResponse:
    """Of a member or a service account."""
    role = _role(request)
    services.set_role(access, services.find_principal(access, principal), role=role)
    messages.success(request, _("The role is changed."))
    return redirect("web:members", access.team.slug)


@require_POST
@team_page
def remove(request: WebRequest, access: Access, principal: str) -> HttpResponse:
    """A member goes from the team, a service account altogether."""
    found = services.find_principal(access, principal)
    if found.user.service_of_id:
        services.delete_service_account(access, found)
        messages.success(request, _("The service account is deleted, with its tokens."))
    else:
        services.remove_member(access, found)
        messages.success(request, _("%(who)s is no member any more.") % {"who": found.user})
    if found.user_id == access.user.pk:
        return redirect("web:home")
    return redirect("web:members", access.team.slug)


@require_POST
@team_page
def leave(request: WebRequest, access: Access) -> HttpResponse:
    services.leave_team(access)
    messages.success(request, _("You left the team %(team)s.") % {"team": access.team})
    return redirect("web:home")


@never_cache
@require_POST
@team_page
def invite(request: WebRequest, access: Access) -> HttpResponse:
    """Shows the link in the answer, this once."""
    access.require_owner()
    form = InvitationForm(request.POST)
    if form.is_valid():
        try:
            made, secret = invitations.invite(
                access, email=form.cleaned_data["email"], role=Role(form.cleaned_data["role"])
            )
        except BerthError as error:
            add_errors(form, error)
        else:
            return _page(request, access, invited=made, url=invitations.address_of(secret))
    return _page(request, access, invitation_form=form, status=422)


@require_POST
@team_page
def revoke_invitation(request: WebRequest, access: Access, invitation: str) -> HttpResponse:
    invitations.revoke_invitation(access, invitation)
    messages.success(request, _("The invitation is revoked."))
    return redirect("web:members", access.team.slug)


@require_POST
@team_page
def create_service_account(request: WebRequest, access: Access) -> HttpResponse:
    access.require_owner()
    form = ServiceAccountForm(request.POST)
    if form.is_valid():
        try:
            services.create_service_account(
                access, name=form.cleaned_data["name"], role=Role(form.cleaned_data["role"])
            )
        except BerthError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("The service account is there. Make a token for it next."))
            return redirect("web:members", access.team.slug)
    return _page(request, access, account_form=form, status=422)


@require_POST
@team_page
def set_app_role(request: WebRequest, access: Access) -> HttpResponse:
    """An empty role ends the difference."""
    access.require_owner()
    app = find_app(access, request.POST.get("app", ""))
    member = services.find_principal(access, request.POST.get("member", ""))
    role = _role(request) if request.POST.get("role") else None
    services.set_app_role(access, member, app, role=role)
    messages.success(request, _("The role in %(app)s is changed.") % {"app": app})
    return redirect("web:members", access.team.slug)


def _role(request: WebRequest) -> Role:
    try:
        return Role(request.POST.get("role", ""))
    except ValueError as error:
        raise BerthError(_("There is no such role.")) from error


def _page(request: WebRequest, access: Access, *, status: int = 200, **context: Any) -> HttpResponse:
    people, accounts = members_of(access.team), service_accounts_of(access.team)
    names = app_names(access.team)
    values = {
        "members": people,
        "without_factor": without_factor(one.user_id for one in people) if access.role.may_own else set(),
        "accounts": accounts,
        "roles": Role.choices,
        "invitations": invitations_of(access.team) if access.role.may_own else [],
        "app_roles": [one for one in app_roles_of(access.team) if one.app_id in names],
        "app_names": names,
        "invitation_form": InvitationForm(),
        "account_form": ServiceAccountForm(),
        "app_role_form": AppRoleForm(members=[*people, *accounts], apps=names.items()),
        **context,
    }
    return render_settings(request, access, "members", values, status=status)
