"""The page that an invitation's link opens, for who has an account and for who has none."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from console.accounts import invitations
from console.accounts.models import Invitation, Team, User
from console.common.errors import BerthError, NotFound
from console.web.forms import JoinForm
from console.web.shell import add_errors
from console.web.views.entry import BACKEND


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Looking uses nothing up; a POST joins. The link proves the address to nobody but the team that invites."""
    try:
        found = invitations.find_invitation(secret)
        if request.method == "POST" and request.POST.get("other"):
            logout(request)
            return redirect("web:invitation", secret)
        return _answer(request, secret, found)
    except NotFound as error:
        return render(request, "web/invitation.html", {"error": str(error.message)}, status=404)


def _answer(request: HttpRequest, secret: str, found: Invitation) -> HttpResponse:
    user, known = request.user, invitations.is_known(found)
    form = JoinForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        try:
            valid = form.is_valid()
            if isinstance(user, User):
                return _welcome(request, invitations.accept(secret, user))
            if valid and not known:
                made, team = invitations.accept_as_new(secret, **form.cleaned_data)
                login(request, made, backend=BACKEND)
                return _welcome(request, team)
        except NotFound:
            raise
        except BerthError as error:
            add_errors(form, error)
    own = isinstance(user, User) and user.email.lower() == found.email.lower()
    context = {"invitation": found, "known": known, "own": own, "form": form}
    return render(request, "web/invitation.html", context, status=422 if form.errors else 200)


def _welcome(request: HttpRequest, team: Team) -> HttpResponse:
    messages.success(request, _("Welcome to the team %(team)s.") % {"team": team})
    return redirect("web:overview", team.slug)
