"""Plain async views for what waits: the same way in, the same errors, no database connection meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import wraps
from time import monotonic
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, Throttled

from console.accounts.access import Access, renewed_access, require_administrator
from console.accounts.models import User
from console.accounts.signins import session_holds
from console.api import ratelimit
from console.api.authentication import bearer_token
from console.api.errors import failure_of
from console.api.permissions import enter
from console.common.errors import NotFound

RECHECK = 15.0
"""Seconds after which an open stream asks again whether its reader may see it."""
P = ParamSpec("P")
T = TypeVar("T")


async def read(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run database work in the request's thread and give its connection back at once."""

    def call() -> T:
        try:
            return function(*args, **kwargs)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    return await sync_to_async(call)()


def authorize(request: HttpRequest, team: str, names: Iterable[str] = ()) -> tuple[Access, Mapping[str, str]]:
    """As BearerAuthentication, SessionAuthentication and TeamPermission do; without CSRF: for GET alone. With the
    headers that tell how many requests are left."""
    token = bearer_token(request)
    user = token.user if token else request.user
    if not user.is_authenticated:
        raise NotAuthenticated
    access = enter(user, token, team, names=names)
    verdict = ratelimit.take(f"token:{token.pk}" if token else f"user:{user.pk}")
    if verdict and verdict.over:
        raise Throttled(wait=verdict.reset)
    return access, verdict.headers if verdict else {}


class Reader:
    """Whoever reads a stream for long: by a token, or by a browser's session."""

    def __init__(self, request: HttpRequest, access: Access) -> None:
        self._access = access
        self._session = "" if access.token else request.session.session_key or ""
        self._asked = monotonic()

    async def ask_again(self) -> Access | None:
        """The access as it is now, once `RECHECK` seconds are over; None before. Raises NotFound once the token, the
        session, the membership or the account is gone."""
        if monotonic() - self._asked < RECHECK:
            return None
        self._access = await read(self._renewed)
        self._asked = monotonic()
        return self._access

    def _renewed(self) -> Access:
        user, token = self._access.user.pk, self._access.token
        if token is None and not session_holds(self._session, user):
            raise NotFound(_("The session has ended."))
        return renewed_access(user, token.pk if token else "", self._access.team.pk, timezone.now())


def authorize_administrator(request: HttpRequest) -> User:
    """The platform administrator who asks. Raises as `authorize` does, or Forbidden."""
    token = bearer_token(request)
    user = token.user if token else request.user
    if not isinstance(user, User):
        raise NotAuthenticated
    require_administrator(user, token)
    return user


def team_stream(
    view: Callable[Concatenate[HttpRequest, Access, P], Coroutine[Any, Any, HttpResponseBase]],
) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """A GET view of a team that gets its Access; what it raises before it answers has the one shape."""

    @csrf_exempt  # nothing but GET comes through
    @wraps(view)
    async def wrapper(request: HttpRequest, team: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        async def answer() -> HttpResponseBase:
            access, counted = await read(authorize, request, team, list(kwargs))
            _only_get(request)
            found = await view(request, access, *args, **kwargs)
            for name, value in counted.items():
                found.headers[name] = value
            return found

        return await _told(request, answer)

    return wrapper


def platform_stream(
    view: Callable[[HttpRequest, User], Coroutine[Any, Any, HttpResponseBase]],
) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]]:
    """The same for platform administrators, of what is no team's."""

    @csrf_exempt  # nothing but GET comes through
    @wraps(view)
    async def wrapper(request: HttpRequest) -> HttpResponseBase:
        async def answer() -> HttpResponseBase:
            user = await read(authorize_administrator, request)
            _only_get(request)
            return await view(request, user)

        return await _told(request, answer)

    return wrapper


def _only_get(request: HttpRequest) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(request.method or "", _("Only GET is possible here."))


async def _told(
    request: HttpRequest, answer: Callable[[], Coroutine[Any, Any, HttpResponseBase]]
) -> HttpResponseBase:
    """The answer, or its error in the one shape."""
    try:
        return await answer()
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        response = failure.response(request)
        if failure.status == MethodNotAllowed.status_code:
            response.headers["Allow"] = "GET, HEAD"
        return response
