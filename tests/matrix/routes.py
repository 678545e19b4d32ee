"""Every address that the console answers to, as its own tables of addresses have it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """`methods` are those that its view has; of a plain function nobody can tell, and all are tried."""

    name: str
    path: str
    parameters: frozenset[str]
    methods: tuple[str, ...]
    is_api: bool


def http_routes() -> list[Route]:
    return list(_below(get_resolver().url_patterns, "", "", frozenset()))


def _below(patterns: Iterable[Any], prefix: str, space: str, parameters: frozenset[str]) -> Iterator[Route]:
    for one in patterns:
        path, names = prefix + str(one.pattern), parameters | set(one.pattern.converters)
        if isinstance(one, URLResolver):
            inner = f"{space}{one.namespace}:" if one.namespace else space
            yield from _below(one.url_patterns, path, inner, names)
        elif isinstance(one, URLPattern):
            yield Route(f"{space}{one.name}", path, names, _methods(one), path.startswith("api/"))


def _methods(pattern: URLPattern) -> tuple[str, ...]:
    view: Any = getattr(pattern.callback, "view_class", None)
    if view is not None:
        return tuple(method for method in METHODS if hasattr(view, method.lower()))
    return ("GET",) if inspect.iscoroutinefunction(inspect.unwrap(pattern.callback)) else METHODS


def socket_routes() -> list[str]:
    """The WebSockets' paths. Whatever stands around a router of the ASGI application is looked through."""
    from console.asgi import application

    return sorted(_sockets(application.application_mapping["websocket"], ""))


def _sockets(application: Any, prefix: str) -> Iterator[str]:
    routes = getattr(application, "routes", None)
    if routes is not None:
        for route in routes:
            yield from _sockets(route.callback, prefix + str(route.pattern))
        return
    inner = next(
        (found for name in ("application", "inner") if (found := getattr(application, name, None))), None
    )
    if inner is None:
        yield prefix
    else:
        yield from _sockets(inner, prefix)
