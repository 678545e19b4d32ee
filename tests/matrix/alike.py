"""What is another's looks as what is not there: the same status, the same words, the same shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.core.cache import cache
from django.urls import reverse

from tests.matrix.routes import Route
from tests.matrix.rows import Row
from tests.matrix.walk import FORM, rows_of
from tests.matrix.world import Side, Who, World, undone

NOTHING = "abcdefghijklmnop"
"""An id that nothing has."""
OF_A_TEAM = (
    "app",
    "container",
    "operation",
    "volume",
    "registry",
    "token",
    "member",
    "account",
    "invitation",
    "webhook",
    "delivery",
)
"""Names in paths that stand for what one team has; ids, since another team may give the same name."""
_ASKING = (Who.OUTSIDER, Who.VIEWER, Who.OWNER, Who.ADMINISTRATOR, Who.APP_TOKEN)
"""Whom the answer could tell something; nobody else comes so far."""
REFERENCES: list[tuple[str, str, str, Any]] = [
    ("POST", "tokens", "app", {"name": "x", "apps": ["{}"]}),
    ("POST", "tokens", "account", {"name": "x", "service_account": "{}"}),
    ("POST", "app-members", "member", {"member": "{}", "role": "viewer"}),
    ("GET", "operations", "app", "?app={}"),
    ("GET", "events", "app", "?app={}"),
    ("GET", "event-stream", "app", "?app={}"),
    ("GET", "logs", "container", "?container={}"),
]
"""Ids that come elsewhere than in a path: method, route, what it is, and where it stands in the body or the query."""


def differences(world: World, route: Route) -> Iterator[str]:
    """Every difference between what is another team's and what is not there, for all who may ask."""
    of_team = [name for name in route.parameters if name in OF_A_TEAM or name in ("name", "principal")]
    for method, row in rows_of(route).items():
        if "team" not in route.parameters:
            continue
        for who in _ASKING:
            nowhere = _with(world.away, "team", "nowhere")
            yield from _compare(world, who, route, method, row, world.away, nowhere, "team")
            for name in of_team:
                kind = row.names.get(name, name)
                if kind not in OF_A_TEAM:
                    continue
                foreign, missing = (_with(world.home, kind, one) for one in _ids(world, kind))
                yield from _compare(world, who, route, method, row, foreign, missing, kind)


def of_another_app(world: World, route: Route) -> Iterator[str]:
    """For a token of `shop` alone the team's other app is not there either, nor what it has."""
    for method, row in rows_of(route).items():
        for kind in route.parameters & set(world.blog) if route.is_api else ():
            blog, nothing = (_with(world.home, kind, one) for one in (world.blog[kind], NOTHING))
            yield from _compare(world, Who.APP_TOKEN, route, method, row, blog, nothing, kind)


def references(world: World) -> Iterator[str]:
    for method, name, kind, where in REFERENCES:
        path = reverse(f"api:{name}", kwargs=_kwargs(world.home, name))
        for who in _ASKING:
            answers = []
            for one in _ids(world, kind):
                query = where.format(one) if isinstance(where, str) else ""
                body = json.dumps(where).replace("{}", one).encode() if not isinstance(where, str) else b""
                with undone():
                    answers.append(_seen(world.principals[who].ask(method, path + query, body), one))
            if answers[0] != answers[1]:
                yield f"{method} {name} with a foreign {kind}, {who}: {answers}"


def _with(side: Side, kind: str, name: str) -> Side:
    return replace(side, names={**side.names, kind: name})


def _kwargs(side: Side, name: str) -> dict[str, str]:
    return {"team": side.names["team"], **({"app": "shop"} if name in ("app-members", "logs") else {})}


def _ids(world: World, kind: str) -> tuple[str, str]:
    return (world.away.app.pk if kind == "app" else world.away.names[kind]), NOTHING


def _compare(
    world: World, who: Who, route: Route, method: str, row: Row, foreign: Side, missing: Side, kind: str
) -> Iterator[str]:
    seen = [_answer(world, who, route, method, row, side, kind) for side in (foreign, missing)]
    if seen[0] != seen[1]:
        yield f"{method} {route.name}, {who}, {kind} of another: {seen[0]}; of nobody: {seen[1]}"


def _answer(world: World, who: Who, route: Route, method: str, row: Row, side: Side, kind: str) -> Any:
    names = {name: side.names[row.names.get(name, name)] for name in route.parameters}
    path = reverse(route.name, kwargs=names) + row.search(world.home)
    content = b"" if method == "GET" else row.content(world.home, page=not route.is_api)
    cache.clear()
    with undone():
        answer = world.principals[who].ask(
            method, path, content, "application/json" if route.is_api else FORM
        )
        return _seen(answer, side.names[kind])


def _seen(answer: Any, name: str) -> tuple[int, str, str]:
    """The answer without what is each request's own: its id, and the name that was asked for."""
    content = "" if answer.streaming else answer.content.decode()
    own = str(answer.headers.get("X-Request-Id"))
    text = content.replace(own, "…").replace(name, "…")
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)
    return answer.status_code, text, str(answer.headers.get("Location", "")).replace(name, "…")
