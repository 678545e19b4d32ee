"""Each row asked by each principal, of the own team and of another: cell by cell, and all of it undone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.messages import ERROR, get_messages
from django.core.cache import cache
from django.http.response import HttpResponseBase
from django.urls import reverse

from tests.matrix.rights import Told, told
from tests.matrix.routes import METHODS, Route, http_routes
from tests.matrix.rows import ACCOUNT, API, PAGES, Row
from tests.matrix.world import Side, Who, World, undone

FORM = "application/x-www-form-urlencoded"
_CODES = {
    401: {"not_authenticated", "authentication_failed"},
    403: {"forbidden", "token_scope", "token_unknown"},
}
_REGION = re.compile(r'<\w+ id="([\w-]+)"[^>]*\bdata-live\b')


@dataclass(frozen=True)
class Cell:
    """One principal at one door. `found` is as `expected` unless the cell is wrong."""

    row: str
    right: str
    who: Who
    own: bool
    expected: str
    found: str

    @property
    def wrong(self) -> bool:
        return self.expected != self.found

    def __str__(self) -> str:
        team = "own team" if self.own else "other team"
        return f"{self.row}, {self.who}, {team}: expected {self.expected}, found {self.found}"


def rows_of(route: Route) -> dict[str, Row]:
    """By method. Empty: the route has no row."""
    known = API if route.is_api else {**PAGES, **ACCOUNT}
    name = route.name.removeprefix("api:")
    return {method: known[method, name] for method in METHODS if (method, name) in known}


def without_a_row() -> list[str]:
    """Routes, and of views that say their methods also these, which nobody has put into the matrix."""
    missing = []
    for route in http_routes():
        rows = rows_of(route)
        wanted = route.methods if route.methods != METHODS else ()
        missing += [f"{method} {route.name}" for method in wanted if method not in rows]
        if not rows:
            missing.append(route.name)
    return missing


def rows_of_nothing() -> list[str]:
    """Rows whose route is gone, or does not have their method."""
    there = {(method, route.name.removeprefix("api:")) for route in http_routes() for method in route.methods}
    return [f"{method} {name}" for method, name in {**API, **PAGES, **ACCOUNT} if (method, name) not in there]


def cells_of(world: World, route: Route) -> Iterator[Cell]:
    """All of the route's rows, and the regions of its page that htmx asks for by themselves."""
    for method, row in rows_of(route).items():
        with undone():
            for side in (world.home, world.away):
                if row.before:
                    row.before(side)
            yield from _cells(world, route, method, row, "")
            if method == "GET" and not route.is_api:
                for region in _regions(world, route, row):
                    yield from _cells(world, route, method, row, region)


def other_methods(world: World, route: Route) -> list[str]:
    """Of a plain function, which does not say its methods: those without a row that it answers all the same."""
    silent, rows = [], rows_of(route)
    for method in sorted(set(METHODS) - set(rows)) if route.methods == METHODS else ():
        statuses = set()
        for who in (Who.ADMINISTRATOR, Who.ANONYMOUS):
            with undone():
                answer = _ask(world, who, route, method, next(iter(rows.values())), world.home, "")
            statuses.add(answer.status_code)
        if 405 not in statuses:
            silent.append(f"{method} {route.name}: {statuses}")
    return silent


def _cells(world: World, route: Route, method: str, row: Row, region: str) -> Iterator[Cell]:
    of_team = "team" in route.parameters
    label = f"{method} {route.name}" + (f"#{region}" if region else "")
    for own in (True, False) if of_team else (True,):
        side = world.home if own else world.away
        for who in Who:
            expected = told(
                row.right, who, app_token=row.app_token, of_team=of_team, own=own, page=not route.is_api
            )
            cache.clear()
            with undone():
                answer = _ask(world, who, route, method, row, side, region)
                found = _told(answer, row, api=route.is_api, region=region)
            yield Cell(label, row.right, who, own, expected, found)


def _ask(
    world: World, who: Who, route: Route, method: str, row: Row, side: Side, region: str
) -> HttpResponseBase:
    path = address(route, row, side) + row.search(side)
    headers = {"HX-Request": "true", "HX-Target": region} if region else {}
    if route.is_api:
        return world.principals[who].ask(
            method, path, b"" if method == "GET" else row.content(side, page=False)
        )
    return world.principals[who].ask(method, path, row.content(side, page=True), FORM, headers)


def address(route: Route, row: Row, side: Side) -> str:
    names = {name: side.names[row.names.get(name, name)] for name in route.parameters}
    return reverse(route.name, kwargs=names)


def _regions(world: World, route: Route, row: Row) -> list[str]:
    """Ids of the page's parts that are asked for again alone."""
    who = next(
        (
            who
            for who in (Who.OWNER, Who.ADMINISTRATOR)
            if told(row.right, who, app_token=False, of_team=True, own=True, page=True) == Told.IN
        ),
        None,
    )
    if who is None or "team" not in route.parameters:
        return []
    answer = _ask(world, who, route, "GET", row, world.home, "")
    return sorted(set(_REGION.findall(b"".join(answer).decode())))


def _told(answer: HttpResponseBase, row: Row, *, api: bool, region: str) -> str:
    status = answer.status_code
    if api or (status >= 400 and "json" in answer.headers.get("Content-Type", "")):
        return _api(answer, row)
    return _page(answer, row, region)


def _api(answer: HttpResponseBase, row: Row) -> str:
    if answer.status_code == row.ok:
        return Told.IN
    body = json.loads(b"".join(answer))
    if "error" not in body:
        return f"{answer.status_code} {body}"
    error = body["error"]
    known = {401: Told.WHO, 403: Told.FORBIDDEN, 404: Told.MISSING}
    if error["code"] in _CODES.get(answer.status_code, {"not_found"}):
        return known.get(answer.status_code, f"{answer.status_code} {error['code']}")
    return f"{answer.status_code} {error['code']} {error['message']} {error['fields']}"


def _page(answer: HttpResponseBase, row: Row, region: str) -> str:
    where = answer.headers.get("Location", "")
    if where.startswith("/sign-in/?next=") or answer.headers.get("HX-Refresh") == "true":
        return Told.WHO
    said = [str(one) for one in get_messages(answer.wsgi_request) if one.level >= ERROR]  # type: ignore[attr-defined]
    if said:
        return f"refused: {said}"
    if answer.status_code == row.ok:
        content = b"" if region == "" else b"".join(answer)
        return Told.IN if region == "" or b"<html" not in content else "the whole page"
    return str(answer.status_code)
