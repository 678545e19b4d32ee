"""Where allauth asks us: who may make an account, whose address a request has, how secrets are kept."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.accounts import factors
from console.accounts.models import Invitation, User
from console.common import origin

NO_ADDRESS = "0.0.0.0"  # noqa: S104  # nosec B104  (a word for "unknown", nothing listens there)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("This e-mail and password do not belong together."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """By oneself. Invitations are their own way in."""
        return bool(settings.SIGN_UP == "open")

    def get_client_ip(self, request: HttpRequest) -> str:
        try:
            return str(ip_address(origin.address_of(request)))
        except ValueError:
            return NO_ADDRESS

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:  # noqa: ARG002
        """By address alone: a request names its host as it likes."""
        return str(credentials.get("email", "")).lower()

    def reauthenticate(self, user: User, password: str) -> bool:
        """The address is the user's own; allauth would look for it among its confirmed ones."""
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def get_reset_password_from_key_url(self, key: str) -> str:
        """The link's host is the installation's own, never one that a request named."""
        uid, _dash, rest = key.partition("-")
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": rest})
        return f"{settings.BERTH_URL}{path}"

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002
        return reverse("web:security")

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Pages say what happened by what they show."""

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        user.name = str(form.cleaned_data.get("name", "")).strip()[:100]
        saved: User = super().save_user(request, user, form, commit)
        return saved


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """OpenID Connect. Somebody who is there is found by the provider's word for a confirmed address."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        """Everybody whom the provider knows, where the operator says so; else whoever was invited."""
        if settings.SIGN_UP == "closed":
            return False
        if settings.SIGN_UP == "open" or settings.OIDC_SIGN_UP:
            return True
        confirmed = [address.email for address in sociallogin.email_addresses if address.verified]
        open_ones = Invitation.objects.filter(expires_at__gt=timezone.now())
        return any(open_ones.filter(email__iexact=email).exists() for email in confirmed)

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        user.name = str(data.get("name") or "").strip()[:100]
        return user


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seeds of one-time codes are sealed in the database."""

    def encrypt(self, text: str) -> str:
        return factors.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return factors.open_sealed(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Berth"
