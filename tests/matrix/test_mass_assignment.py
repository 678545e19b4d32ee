"""What no field of an input is named changes nothing: every field of every model, posted to every write."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache as once
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.test.utils import override_settings
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from console.accounts.enums import Role
from console.accounts.invitations import invite
from tests.matrix import hostile
from tests.matrix.rights import Told, told
from tests.matrix.routes import Route, http_routes
from tests.matrix.rows import Row
from tests.matrix.snapshot import Snapshot, changes, same_chance, snapshot
from tests.matrix.walk import FORM, address, rows_of
from tests.matrix.world import PASSWORD, Principal, Who, World, undone

pytestmark = [pytest.mark.redis, pytest.mark.django_db, pytest.mark.thorough]

_LOWEST_FIRST = (Who.ANONYMOUS, Who.OUTSIDER, Who.VIEWER, Who.DEVELOPER, Who.OWNER, Who.ADMINISTRATOR)
WRITES = [
    (method, route, row)
    for route in http_routes()
    for method, row in rows_of(route).items()
    if method != "GET"
]
OF_API = [write for write in WRITES if write[1].is_api]
OF_PAGES = [write for write in WRITES if not write[1].is_api]
FIELDS: dict[str, set[str]] = {
    "app-new": {"name", "image", "port", "replicas", "environment"},
    "app-new-compose": {"name", "compose", "variables"},
    "app-compose": {"compose", "variables"},
    "app-secrets": {"name", "value"},
    "app-delete": {"confirm", "volumes"},
    "app-roll-back": {"release"},
    "service-scale": {"replicas"},
    "volume-delete": {"confirm", "forget"},
    "node-add": {"name", "zone", "minutes"},
    "node-change": {"zone", "labels"},
    "node-cordon": {"cordoned"},
    "node-drain": {"draining"},
    "node-dead": {"volumes"},
    "rebalance-moves": {"move"},
    "secrets": {"name", "value"},
    "log-retention": {"log_days"},
    "team-rename": {"team_name"},
    "tokens": {"name", "days", "holder", "verbs", "apps"},
    "member-role": {"role"},
    "invite": {"email", "role"},
    "service-account-create": {"name", "role"},
    "app-role": {"app", "member", "role"},
    "team-create": {"name", "slug"},
    "user-change": {"change"},
    "webhooks": {"name", "url", "description", "kinds", "apps", "warnings_only"},
    "webhook": {"name", "url", "description", "kinds", "apps", "warnings_only"},
    "webhook-active": {"active"},
    "webhook-rotate": {"overlap_hours"},
    "team-second-factor": {"required"},
    "registry-store": {"host", "username", "password"},
    "profile": {"name", "email", "password"},
    "sign-in": {"login", "password", "remember"},
    "invitation": {"name", "password", "other"},
    "set-language": {"language", "next"},
    "account_login": {"login", "password", "remember"},
    "account_reauthenticate": {"password"},
    "account_signup": {"name", "email", "password1"},
    "account_change_password": {"oldpassword", "password1", "password2"},
}
"""What a page's form asks for: to change that is what it is there for."""

THEIR_OWN = ("accounts.ApiToken", "sessions.Session")
"""What refusals leave behind: when a token was used last, and that a visitor came."""


def _ids(writes: list[tuple[str, Route, Row]]) -> list[str]:
    return [f"{method} {route.name}" for method, route, _row in writes]


def _lowest(route: Route, row: Row) -> Who:
    """Whoever has the least rights of those who may."""
    of_team = "team" in route.parameters
    for who in _LOWEST_FIRST:
        if told(row.right, who, app_token=False, of_team=of_team, own=True, page=not route.is_api) is Told.IN:
            return who
    return Who.OUTSIDER


class Call(NamedTuple):
    """A write, and when its test began."""

    method: str
    path: str
    content: bytes
    kind: str
    begun: datetime

    def made_by(self, principal: Principal) -> tuple[int, dict[str, Any], Snapshot]:
        """Its status, the fields that were refused, and all rows as it leaves them. Then it is undone."""
        cache.clear()
        with undone(), same_chance():
            answer: Any = principal.ask(self.method, self.path, self.content, self.kind)
            is_error = answer.status_code >= 400 and "json" in answer.headers.get("Content-Type", "")
            fields = json.loads(answer.content)["error"]["fields"] if is_error else {}
            return answer.status_code, fields, snapshot(self.begun)


def _prepare(world: World, row: Row) -> None:
    for side in (world.home, world.away):
        if row.before:
            row.before(side)


@once
def _schema() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]


def _documented(route: Route, method: str) -> tuple[set[str], set[str]]:
    """Names of the body's fields, and of the query's."""
    path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
    operation = _schema()["paths"][path][method.lower()]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in body:
        body = _schema()["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    query = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
    return set(body.get("properties", {})), query


def _assert_refused_changes_nothing(
    world: World, route: Route, row: Row, call: Call, before: Snapshot
) -> None:
    """Whoever may not make the call does not get further with more fields."""
    with undone():
        for who in Who:
            expected = told(
                row.right,
                who,
                app_token=row.app_token,
                of_team="team" in route.parameters,
                own=True,
                page=not route.is_api,
            )
            if expected is not Told.IN:
                world.principals[who].ask(call.method, call.path, call.content, call.kind)
        found = changes(before, snapshot(call.begun))
        assert [one for one in found if not any(table in one for table in THEIR_OWN)] == []


@pytest.mark.parametrize(("method", "route", "row"), OF_API, ids=_ids(OF_API))
def test_the_api_takes_documented_fields_alone(world: World, method: str, route: Route, row: Row) -> None:
    principal = world.principals[_lowest(route, row)]
    given = json.loads(row.content(world.home, page=False))
    evil = hostile.fields(world)
    fields, parameters = _documented(route, method)
    unknown = set(evil) - fields - set(given)
    content = json.dumps({**given, **{name: evil[name] for name in unknown}}).encode()
    path = address(route, row, world.home)
    with undone():
        _prepare(world, row)
        plain = Call(method, path, json.dumps(given).encode(), "application/json", timezone.now())
        before = snapshot(plain.begun)
        stuffed = plain._replace(content=content)
        status, refused, after = stuffed.made_by(principal)
        if method == "DELETE":
            expected, _fields, as_plain = plain.made_by(principal)
            assert (status, changes(as_plain, after)) == (expected, [])
        else:
            assert (status, set(refused), changes(before, after)) == (400, unknown, [])
        asked = plain._replace(path=f"{path}?{urlencode(evil)}")
        status, refused, after = asked.made_by(principal)
        assert (status, changes(before, after)) == (400, [])
        assert set(refused) >= set(evil) - parameters
        _assert_refused_changes_nothing(world, route, row, stuffed, before)


@pytest.mark.parametrize(("method", "route", "row"), OF_PAGES, ids=_ids(OF_PAGES))
def test_a_page_takes_its_forms_fields_alone(world: World, method: str, route: Route, row: Row) -> None:
    principal = world.principals[_lowest(route, row)]
    own = FIELDS.get(route.name.removeprefix("web:"), set())
    evil = {name: value for name, value in hostile.fields(world).items() if name not in {*row.body, *own}}
    path, content = address(route, row, world.home), row.content(world.home, page=True)
    with undone():
        _prepare(world, row)
        plain = Call(method, path, content, FORM, timezone.now())
        before = snapshot(plain.begun)
        stuffed = plain._replace(
            path=f"{path}?{urlencode(evil)}", content=content + b"&" + urlencode(evil).encode()
        )
        expected, _fields, as_plain = plain.made_by(principal)
        status, _fields, after = stuffed.made_by(principal)
        assert (status, changes(as_plain, after)) == (expected, [])
        _assert_refused_changes_nothing(world, route, row, stuffed, before)


def test_a_new_account_is_its_forms_alone(world: World) -> None:
    """By an invitation, and where everybody may have one."""
    _made, secret = invite(world.owner, email="new@example.com", role=Role.VIEWER)
    own = {"name": "Ada", "password": PASSWORD}
    evil = {
        name: value for name, value in hostile.fields(world).items() if name not in {*own, "email", "other"}
    }
    anonymous = world.principals[Who.ANONYMOUS]
    with override_settings(SIGN_UP="open"):
        for path, given in (
            (f"/invitations/{secret}/", own),
            ("/sign-up/", {"name": "Ada", "email": "new@example.com", "password1": PASSWORD}),
        ):
            plain = Call("POST", path, urlencode(given).encode(), FORM, timezone.now())
            stuffed = plain._replace(content=urlencode({**evil, **given}).encode())
            before = snapshot(plain.begun)
            expected, _fields, as_plain = plain.made_by(anonymous)
            status, _fields, after = stuffed.made_by(anonymous)
            assert (status, expected, changes(as_plain, after)) == (302, 302, [])
            assert any("accounts.User " in one for one in changes(before, after))


def test_moves_of_a_plan_take_documented_fields_alone(world: World) -> None:
    """The one input that has inputs inside."""
    names, evil = world.home.names, hostile.fields(world)
    move = {"container": names["container"], "node": names["node"], "target": names["spare"]}
    content = json.dumps({"moves": [{**evil, **move}]}).encode()
    call = Call("POST", "/api/v1/teams/home/rebalance", content, "application/json", timezone.now())
    before = snapshot(call.begun)
    status, refused, after = call.made_by(world.principals[Who.ADMINISTRATOR])
    assert (status, changes(before, after)) == (400, [])
    assert {f"moves.0.{name}" for name in set(evil) - set(move)} == set(refused)
