"""Every address of the API, whatever it does: nobody and strangers stay outside."""

from __future__ import annotations

import inspect

import pytest
from django.urls import URLPattern, reverse

from console.api.urls import urlpatterns
from tests import factories
from tests.api.caller import BASE, People

WITHOUT_A_TEAM = {"schema", "me", "teams", "join", "audit", "audit-export", "users", "user"}
INDICES = {"index": 1, "number": 1}


def _methods(pattern: URLPattern) -> list[str]:
    if inspect.iscoroutinefunction(inspect.unwrap(pattern.callback)):
        return ["GET"]
    view = pattern.callback.view_class  # type: ignore[attr-defined]
    return [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if hasattr(view, method.lower())]


ROUTES = [
    (pattern, method)
    for pattern in urlpatterns
    if pattern.name not in WITHOUT_A_TEAM
    for method in _methods(pattern)
]


def test_all_but_these_begin_with_a_team() -> None:
    outside = {
        pattern.name for pattern in urlpatterns if not str(pattern.pattern).startswith("teams/<slug:team>")
    }
    assert outside == WITHOUT_A_TEAM
    assert {"logs", "wait", "scale"} < {pattern.name for pattern, _method in ROUTES}


@pytest.mark.thorough
@pytest.mark.parametrize(("pattern", "method"), ROUTES, ids=[f"{m} {p.name}" for p, m in ROUTES])
def test_outsiders(people: People, pattern: URLPattern, method: str) -> None:
    app = factories.make_app(people.access, "shop")
    node = factories.make_node("n1")
    there = {
        "team": "home",
        "app": "shop",
        "service": "web",
        "node": "n1",
        "container": factories.make_container(app, node).id,
        "operation": factories.operation_of(app).id,
        "volume": factories.make_volume(app, node).id,
        "registry": "x",
        "secret": "x",
        "size": "x",
        "token": "x",
        "webhook": "x",
        "delivery": "x",
        "member": "x",
        "account": "x",
        "invitation": "x",
        "join_token": "x",
        **INDICES,
    }
    names = {name: there[name] for name in pattern.pattern.converters}
    path = reverse(f"api:{pattern.name}", kwargs=names).removeprefix(BASE)
    people.assert_outside(method, path)
