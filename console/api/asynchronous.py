"""Plain async views for what waits: the same way in, the same errors, no database connection meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated

from console.accounts.access import Access
from console.api.authentication import bearer_token
from console.api.errors import failure_of
from console.api.permissions import enter

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


def authorize(request: HttpRequest, team: str, names: Iterable[str] = ()) -> Access:
    """As BearerAuthentication, SessionAuthentication and TeamPermission do; without CSRF: for GET alone."""
    token = bearer_token(request)
    user = token.user if token else request.user
    if not user.is_authenticated:
        raise NotAuthenticated
    return enter(user, token, team, names=names)


def team_stream(
    view: Callable[Concatenate[HttpRequest, Access, P], Coroutine[Any, Any, HttpResponseBase]],
) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """A GET view of a team that gets its Access; what it raises before it answers has the one shape."""

    @csrf_exempt  # nothing but GET comes through
    @wraps(view)
    async def wrapper(request: HttpRequest, team: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            access = await read(authorize, request, team, list(kwargs))
            if request.method not in {"GET", "HEAD"}:
                raise MethodNotAllowed(request.method or "", _("Only GET is possible here."))
            return await view(request, access, *args, **kwargs)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            response = failure.response(request)
            if failure.status == MethodNotAllowed.status_code:
                response.headers["Allow"] = "GET, HEAD"
            return response

    return wrapper
