"""Bearer tokens. A token stands for its owner, in its own team alone."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from console.accounts.access import token_user
from console.accounts.models import ApiToken, User
from console.api.attempts import count_failure
from console.common import origin

CHALLENGE = 'Bearer realm="berth"'


def bearer_token(request: HttpRequest | Request) -> ApiToken | None:
    """The request's token, or None where it carries no bearer token; one that is not live is refused."""
    scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token_user(secret.strip(), timezone.now())
    if token is None:
        count_failure(getattr(request, "_request", request))
        raise AuthenticationFailed(_("This token is unknown, has expired or was revoked."))
    origin.identify(token.pk, token.name)
    return token


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer berth_…`; `request.auth` is the token."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        token = bearer_token(request)
        return (token.user, token) if token else None

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  (DRF's signature)
        return CHALLENGE
