"""Coming in, one's own account, going out."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.reauthentication import (
    get_reauthentication_flows,
    is_reauthentication_required,
)
from allauth.account.views import LoginView
from allauth.core.exceptions import ReauthenticationRequired
from allauth.mfa.adapter import get_adapter as second_factors
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts import addresses
from console.accounts.access import factor_demanded, teams_of
from console.accounts.factors import has_one
from console.accounts.models import User
from console.accounts.services import find_sign_in_link, is_new, set_name, set_up, use_sign_in_link
from console.accounts.signins import end_sessions as end_user_sessions
from console.common.errors import BerthError, NotFound
from console.web.forms import ProfileForm, SignInForm
from console.web.shell import add_errors

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The first of one's teams."""
    teams = teams_of(_user(request))
    if not teams:
        return render(request, "web/no_team.html")
    return redirect("web:overview", teams[0].slug)


class SignIn(LoginView):  # type: ignore[misc]
    """By password; a second factor, where one is set up, is asked for next."""

    form_class = SignInForm
    template_name = "web/sign_in.html"

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form), status=422)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = {"oidc": bool(settings.OIDC_URL), "sign_up_open": settings.SIGN_UP == "open"}
        return {**super().get_context_data(**kwargs), **more}


sign_in = SignIn.as_view()


@require_http_methods(["GET", "POST"])
def sign_in_by_link(request: HttpRequest, secret: str) -> HttpResponse:
    """A one-time link asks before it is used, so that a preview of the address does not use it up."""
    try:
        if request.method == "GET":
            return render(request, "web/sign_in_link.html", {"link": find_sign_in_link(secret)})
        user = use_sign_in_link(secret)
    except NotFound as error:
        return render(request, "web/sign_in_link.html", {"error": str(error.message)}, status=404)
    login(request, user, backend=BACKEND)
    return redirect("web:home" if user.has_usable_password() else "web:profile")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("web:sign-in")


@require_http_methods(["GET", "POST"])
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """One's own name and address; the first owner's first page, with a password as well."""
    user = _user(request)
    first = is_new(user)
    # Who could not be asked for a password or a factor again has the address that the provider says.
    address = user.is_staff if first else addresses.may_change(user) and bool(_ways_to_confirm(user))
    form = ProfileForm(
        request.POST or None,
        initial={"name": user.name, "email": user.email},
        first=first,
        address=address,
        mailed=bool(settings.EMAIL_HOST) and not first,
    )
    if request.method == "POST" and form.is_valid():
        try:
            if first:
                user = set_up(user, **form.cleaned_data)
                update_session_auth_hash(request, user)
                messages.success(request, _("Your account is saved."))
            else:
                _change(request, user, **form.cleaned_data)
        except BerthError as error:
            add_errors(form, error)
        else:
            return redirect("web:home")
    return render(
        request, "web/profile.html", {"form": form, "first": first}, status=422 if form.errors else 200
    )


def _change(request: HttpRequest, user: User, *, name: str, email: str) -> None:
    """Raises ReauthenticationRequired, which leads to the password or a factor, and then back to this request."""
    moves = email != user.email
    if moves and is_reauthentication_required(request, app="account"):
        raise ReauthenticationRequired
    set_name(user, name)
    if moves and not addresses.change_own(user, email):
        messages.success(
            request, _("A link was mailed to %(email)s. Follow it to take that address.") % {"email": email}
        )
    else:
        messages.success(request, _("Your account is saved."))


def _ways_to_confirm(user: User) -> list[dict[str, Any]]:
    ways: list[dict[str, Any]] = get_reauthentication_flows(user)
    return ways


@never_cache
@require_http_methods(["GET", "POST"])
@login_required
def address(request: HttpRequest, secret: str) -> HttpResponse:
    """The link that was mailed to a new address; it asks before it counts, as a preview of it must not."""
    user = _user(request)
    try:
        if request.method == "GET":
            return render(request, "web/address.html", {"email": addresses.asked_address(user, secret)})
        user = addresses.confirm(user, secret)
    except BerthError as error:
        return render(request, "web/address.html", {"error": str(error.message)}, status=error.status)
    messages.success(request, _("Your address is now %(email)s.") % {"email": user.email})
    return redirect("web:profile")


@require_GET
@login_required
def security(request: HttpRequest) -> HttpResponse:
    """Password, second factor, connections and sessions of one's own account, each with its way on."""
    user = _user(request)
    context = {
        "two_factor": second_factors().is_mfa_enabled(user),
        "oidc": bool(settings.OIDC_URL),
        "sessions": UserSession.objects.purge_and_list(user),
    }
    return render(request, "web/security.html", context)


@require_GET
@login_required
def second_factor(request: HttpRequest) -> HttpResponse:
    """Who must set one up before the team (or anything) opens is led here, and on to setting it up."""
    user = _user(request)
    teams = teams_of(user)
    wanted = next((team for team in teams if team.slug == request.GET.get("team")), None)
    if has_one(user.pk) or not factor_demanded(user, wanted):
        return redirect("web:overview", wanted.slug) if wanted else redirect("web:home")
    context = {
        "asking": wanted if wanted and wanted.two_factor_required else None,
        "security_keys": "webauthn" in settings.MFA_SUPPORTED_TYPES,
        "others": [team for team in teams if not factor_demanded(user, team)],
    }
    return render(request, "web/second_factor.html", context)


@require_POST
@login_required
def end_session(request: HttpRequest, session: int) -> HttpResponse:
    """End one of one's own sessions; 0 ends all but this one."""
    user = _user(request)
    others = [
        one
        for one in UserSession.objects.filter(user=user)
        if (session in (0, one.pk)) and not one.is_current()
    ]
    end_user_sessions(user, others)
    messages.success(request, _("Signed out there."))
    return redirect("web:security")


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user
