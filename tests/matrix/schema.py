"""The API's own schema, with a call of each operation, and a strict look at what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from asgiref.sync import async_to_sync
from drf_spectacular.generators import SchemaGenerator
from jsonschema_rs import Draft202012Validator

from tests.matrix.rights import Right, Told, told
from tests.matrix.routes import Route, http_routes
from tests.matrix.rows import Row
from tests.matrix.walk import address, rows_of
from tests.matrix.world import Principal, Who, World

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@cache
def document() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]


@cache
def _strict() -> dict[str, Any]:
    """The components, where no object has a property that is not documented."""
    components: dict[str, Any] = json.loads(json.dumps(document()["components"]))
    _close(components)
    return components


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
        for each in schema.values():
            _close(each)
    elif isinstance(schema, list):
        for each in schema:
            _close(each)


def violations(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is not as the schema says. Also what it does not name."""
    closed = json.loads(json.dumps(schema))
    _close(closed)
    checker = Draft202012Validator({**closed, "components": _strict()}, validate_formats=True)
    return [f"{error.instance_path}: {error.message[:300]}" for error in checker.iter_errors(value)]


@dataclass(frozen=True)
class Operation:
    """One of the schema's, and the matrix's row for it."""

    id: str
    method: str
    route: Route
    row: Row
    said: Mapping[str, Any]

    @property
    def responses(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.said["responses"]
        return found

    @property
    def is_rehearsed(self) -> bool:
        """Whether it is a write that can be tried."""
        return any(one["name"] == "dry_run" for one in self.said["parameters"])

    def prepare(self, world: World) -> None:
        if self.row.before:
            self.row.before(world.home)

    def caller(self, world: World) -> Principal:
        """Somebody whom it lets in."""
        if self.row.right is Right.JOIN_TOKEN:
            return Principal(bearer=world.home.names["join_secret"])
        of_team = "team" in self.route.parameters
        for who in (Who.OWNER, Who.ADMINISTRATOR, Who.OUTSIDER):
            if told(self.row.right, who, app_token=False, of_team=of_team, own=True, page=False) is Told.IN:
                return world.principals[who]
        raise LookupError(self.id)

    def ask(
        self,
        world: World,
        principal: Principal,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        row = replace(self.row, query={**self.row.query, **(query or {})})
        content = b"" if self.method == "GET" else row.content(world.home, page=False)
        path = address(self.route, row, world.home) + row.search(world.home)
        return principal.ask(self.method, path, content, headers=headers)

    def read(self, answer: Any) -> tuple[str, bytes]:
        """Content type and content; of server-sent events, which go on, the beginning."""
        return answer.headers.get("Content-Type", "").partition(";")[0], _content(answer)

    def check(self, status: str, answer: Any) -> tuple[str, str]:
        """The status, and the answer's content type. Raises AssertionError unless the answer is as documented."""
        documented = self.responses[status]
        kind, content = self.read(answer)
        if not documented.get("content"):
            assert (kind, content) == ("", b"")
            return status, ""
        schema = documented["content"][kind].get("schema", {})
        if kind == "application/json":
            found = violations(schema, json.loads(content))
            assert not found, "\n".join(found)
        elif kind == "application/x-ndjson":
            assert all(isinstance(json.loads(line), dict) for line in content.splitlines())
        elif kind == "text/event-stream":
            assert content.startswith(b"retry: ")
        else:
            content.decode()
        for name in documented.get("headers", {}):
            assert name in answer.headers or (name == "Link" and json.loads(content)["next"] is None), name
        return status, kind


def _content(answer: Any) -> bytes:
    if not answer.streaming:
        return bytes(answer.content)
    follows = answer.headers["Content-Type"].startswith("text/event-stream")

    async def read() -> bytes:
        parts: AsyncIterator[bytes] = aiter(answer.streaming_content)
        return await anext(parts) if follows else b"".join([part async for part in parts])

    return async_to_sync(read)()


@cache
def operations() -> list[Operation]:
    """All of the schema. Raises KeyError for one that has no row."""
    routes = {"/" + _PARAMETER.sub(r"{\1}", route.path): route for route in http_routes() if route.is_api}
    return [
        Operation(
            said["operationId"], method.upper(), routes[path], rows_of(routes[path])[method.upper()], said
        )
        for path, methods in document()["paths"].items()
        for method, said in methods.items()
    ]
