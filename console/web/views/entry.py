"""Coming in, one's own account, going out."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts.access import teams_of
from console.accounts.models import User
from console.accounts.services import find_sign_in_link, set_profile, use_sign_in_link
from console.common.errors import BerthError, NotFound
from console.web.forms import ProfileForm, SignInForm
from console.web.shell import add_errors

BACKEND = "django.contrib.auth.backends.ModelBackend"


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The first of one's teams."""
    teams = teams_of(_user(request))
    if not teams:
        return render(request, "web/no_team.html")
    return redirect("web:overview", teams[0].slug)


@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    onwards = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(onwards, {request.get_host()}, require_https=request.is_secure()):
        onwards = "/"
    if request.user.is_authenticated:
        return redirect(onwards)
    form = SignInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = authenticate(
            request, username=form.cleaned_data["email"].lower(), password=form.cleaned_data["password"]
        )
        if user is not None:
            login(request, user)
            return redirect(onwards)
        form.add_error("password", _("This e-mail and password do not belong together."))
    return render(
        request, "web/sign_in.html", {"form": form, "next": onwards}, status=422 if form.errors else 200
    )


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
    """One's own name, address and password; the first owner's first page."""
    user = _user(request)
    first = not user.has_usable_password()
    form = ProfileForm(request.POST or None, initial={"name": user.name, "email": user.email})
    if request.method == "POST" and form.is_valid():
        try:
            set_profile(user, **form.cleaned_data)
        except BerthError as error:
            add_errors(form, error)
        else:
            update_session_auth_hash(request, user)
            messages.success(request, _("Your account is saved."))
            return redirect("web:home")
    return render(
        request, "web/profile.html", {"form": form, "first": first}, status=422 if form.errors else 200
    )


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user
