"""What drf-spectacular cannot know by itself: our token scheme, the one error, and the plain async views."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from console.api.inputs.history import LONGEST_WAIT
from console.api.inputs.logs import MOST_TAIL
from console.workloads.enums import OperationState
from console.workloads.logevents import MOST_PATTERN

_TEXT = {"type": "string"}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "fields", "data", "request_id", "docs"],
            "properties": {
                "code": _TEXT,
                "message": _TEXT,
                "fields": {"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}},
                "data": {"type": "object", "additionalProperties": {}},
                "request_id": _TEXT,
                "docs": {"type": "string", "format": "uri"},
            },
        }
    },
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "schema": _TEXT,
    "description": "An ETag: 304 and no body where it is the present one.",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": _TEXT,
    "description": "An ETag: 412 where something else is wanted by now.",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
    "description": "The write is made once under it; sent again within a day, its answer comes back.",
}
_DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "Nothing is changed; the answer (200) is what would change.",
}
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"cookieAuth": []}]


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "console.api.authentication.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002
        return {"type": "http", "scheme": "bearer"}


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _wait() -> dict[str, Any]:
    seconds = {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT, "default": 60}
    return {
        "operationId": "wait_for_operation",
        "description": "The operation once it has ended, or as it is when the time is up.",
        "parameters": [
            _parameter("team", "path", _TEXT),
            _parameter("operation", "path", _TEXT),
            _parameter("timeout", "query", seconds),
            _parameter(
                "state", "query", {"type": "string", "enum": [state.value for state in OperationState]}
            ),
        ],
        "responses": {
            "200": {
                "description": "",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OperationOutput"}}},
            }
        },
    }


def _event_stream() -> dict[str, Any]:
    last = {"name": "Last-Event-ID", "in": "header", "schema": _TEXT}
    return {
        "operationId": "stream_events",
        "description": "Server-sent events: the team's history and the nodes', or one app's, as it comes. Each has the "
        "event's id, so that a reader which comes back with Last-Event-ID misses none.",
        "parameters": [
            _parameter("team", "path", _TEXT),
            _parameter("app", "query", _TEXT),
            _parameter("after", "query", {"type": "integer", "minimum": 0}),
            last,
        ],
        "responses": {"200": {"description": "", "content": {"text/event-stream": {}}}},
    }


def _logs() -> dict[str, Any]:
    lines = {"type": "integer", "minimum": 0, "maximum": MOST_TAIL}
    off = {"type": "boolean", "default": False}
    return {
        "operationId": "get_logs",
        "description": "JSON lines by time; with `follow`, server-sent events (line, gap, end, error) that go on. "
        "`since` and `until` are RFC 3339 or ages (10m, 2h, 7d); `ended` adds what is kept of containers that "
        "are gone.",
        "parameters": [
            _parameter("team", "path", _TEXT),
            _parameter("app", "path", _TEXT),
            _parameter("follow", "query", off),
            _parameter("tail", "query", lines),
            _parameter("since", "query", _TEXT),
            _parameter("until", "query", _TEXT),
            _parameter("search", "query", {"type": "string", "maxLength": MOST_PATTERN}),
            _parameter("regex", "query", off),
            _parameter("ended", "query", off),
            _parameter("format", "query", {"type": "string", "enum": ["json", "text"], "default": "json"}),
            _parameter("service", "query", _TEXT),
            _parameter("slot", "query", {"type": "integer", "minimum": 1}),
            _parameter("container", "query", _TEXT),
        ],
        "responses": {
            "200": {
                "description": "",
                "content": {
                    "application/x-ndjson": {"schema": _TEXT},
                    "text/event-stream": {},
                    "text/plain": {"schema": _TEXT},
                },
            }
        },
    }


def _audit_export(name: str, *path: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "description": "Sealed rows of the audit as JSON lines, in the chain's order. "
        + ("For owners." if path else "For administrators."),
        "parameters": [
            *(_parameter(each, "path", _TEXT) for each in path),
            _parameter("after", "query", {"type": "integer", "minimum": 0, "default": 0}),
        ],
        "responses": {"200": {"description": "", "content": {"application/x-ndjson": {"schema": _TEXT}}}},
    }


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001
    """Postprocessing hook: adds the async views' paths, and the error as every operation's default answer."""
    paths = result["paths"]
    for path, operation in (
        ("/api/v1/teams/{team}/operations/{operation}/wait", _wait()),
        ("/api/v1/teams/{team}/apps/{app}/logs", _logs()),
        ("/api/v1/teams/{team}/events/stream", _event_stream()),
        ("/api/v1/teams/{team}/audit/export", _audit_export("export_team_audit", "team")),
        ("/api/v1/audit/export", _audit_export("export_audit")),
    ):
        paths[path] = {"get": {**operation, "tags": ["teams"], "security": _SECURITY}}
    result["paths"] = dict(sorted(paths.items()))
    result["components"]["schemas"]["Error"] = dict(_ERROR)
    reference = {"$ref": "#/components/schemas/Error"}
    answer = {"description": "An error.", "content": {"application/json": {"schema": reference}}}
    names = {operation["operationId"] for methods in paths.values() for operation in methods.values()}
    for methods in paths.values():
        for method, operation in methods.items():
            operation["responses"]["default"] = answer
            _promise(method, operation)
            _link(operation, names)
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and parameter["name"] in _PATH_EXAMPLES:
                    parameter["example"] = _PATH_EXAMPLES[parameter["name"]]
    for name, examples in _EXAMPLES.items():
        for each, value in examples.items():
            result["components"]["schemas"][name]["properties"][each]["examples"] = [value]
    for name in ("DryRunOutput", "Error"):
        result["components"]["schemas"][name]["examples"] = [_recorded()[name]]
    for methods in paths.values():
        for operation in methods.values():
            _show(operation)
    return result


@cache
def _recorded() -> dict[str, Any]:
    """By operation, what was once sent and answered; by schema, what many answer. `make examples` records it anew."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("examples.json").read_bytes())
    return found


def _show(operation: dict[str, Any]) -> None:
    """An example at the body, at each answer in JSON, and at every parameter of the path."""
    recorded = _recorded().get(operation["operationId"], {})
    if "request" in recorded:
        operation["requestBody"]["content"]["application/json"]["example"] = recorded["request"]
    for status, example in recorded.get("responses", {}).items():
        operation["responses"][status]["content"]["application/json"]["example"] = example
    for kind, example in _STREAMED.get(operation["operationId"], {}).items():
        operation["responses"]["200"]["content"][kind]["example"] = example


_TOLD = {"at": "2026-01-31T12:00:00Z", "kind": "app.restart", "message": "Restart of shop asked for"}
_AUDIT_LINE = f"{json.dumps({'seq': 1, **_TOLD})}\n"
_EVENT = f"id: 7\nevent: app.restart\ndata: {json.dumps({'id': 7, **_TOLD})}\n\n"
_LINE = json.dumps({"kind": "line", "name": "shop-web-1", "at": "2026-01-31T12:00:00Z", "text": "Listening"})
_STREAMED = {
    "export_audit": {"application/x-ndjson": _AUDIT_LINE},
    "export_team_audit": {"application/x-ndjson": _AUDIT_LINE},
    "stream_events": {"text/event-stream": _EVENT},
    "get_logs": {
        "application/x-ndjson": f"{_LINE}\n",
        "text/event-stream": f"id: 2026-01-31T12:00:00Z\nevent: line\ndata: {_LINE}\n\n",
        "text/plain": "2026-01-31T12:00:00Z shop-web-1 Listening\n",
    },
}
"""What goes on, by operation and content type."""
_COMPOSE = 'services:\n  web:\n    image: berth/demo\n    ports: ["80"]\n'
_PATH_EXAMPLES = {
    "team": "default",
    "app": "shop",
    "service": "web",
    "node": "host-a",
    "index": 1,
    "number": 1,
    "secret": "database-password",
    "size": "small",
    "account": "ci",
    **dict.fromkeys(
        (
            "container",
            "delivery",
            "invitation",
            "join_token",
            "member",
            "operation",
            "registry",
            "token",
            "user",
            "volume",
            "webhook",
        ),
        "5p6vwjx4xorr7n3w",
    ),
}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "AppInput": {"name": "shop", "compose": _COMPOSE, "variables": {"TAG": "latest"}},
    "ComposeInput": {"compose": _COMPOSE},
    "ScaleInput": {"replicas": 3},
    "RollbackInput": {"release": 1},
    "NodeInput": {"name": "host-b", "zone": "rack-2", "labels": {"disk": "ssd"}},
    "TokenInput": {"name": "ci"},
    "RegistryInput": {"host": "registry.example.com", "username": "ci"},
    "WebhookInput": {"name": "chat", "url": "https://example.com/hooks/berth", "kinds": ["app.deploy"]},
    "ExecInput": {"command": ["ls", "-l"]},
}
"""By schema and property."""
_LINKS = {
    "create_app": {
        "get_app": {"app": "$request.body#/name"},
        "list_releases": {"app": "$request.body#/name"},
        "stop_app": {"app": "$request.body#/name"},
        "delete_app": {"app": "$request.body#/name"},
    },
    "list_apps": {"get_app": {"app": "$response.body#/items/0/name"}},
    "list_containers": {"get_container": {"container": "$response.body#/items/0/id"}},
    "list_operations": {"get_operation": {"operation": "$response.body#/items/0/id"}},
    "create_token": {"revoke_token": {"token": "$response.body#/token/id"}},
    "create_join_token": {"revoke_join_token": {"join_token": "$response.body#/join_token/id"}},
    "add_node": {"get_node": {"node": "$request.body#/name"}, "drain_node": {"node": "$request.body#/name"}},
    "create_webhook": {
        "get_webhook": {"webhook": "$response.body#/webhook/id"},
        "ping_webhook": {"webhook": "$response.body#/webhook/id"},
        "list_deliveries": {"webhook": "$response.body#/webhook/id"},
        "delete_webhook": {"webhook": "$response.body#/webhook/id"},
    },
    "store_registry": {"delete_registry": {"registry": "$response.body#/id"}},
}
"""Where an answer leads: by operation, the operations that its values are parameters of. All in the same team."""
_OF_OPERATIONS = ("get_operation", "cancel_operation", "wait_for_operation")


def _link(operation: dict[str, Any], names: Collection[str]) -> None:
    wanted = dict(_LINKS.get(operation["operationId"], {}))
    accepted = operation["responses"].get("202", {}).get("content", {}).get("application/json", {})
    if accepted.get("schema", {}).get("$ref", "").endswith("Accepted"):
        wanted |= {name: {"operation": "$response.body#/operation/id"} for name in _OF_OPERATIONS}
    for status, response in operation["responses"].items():
        if wanted and status in ("200", "201", "202"):
            response["links"] = {
                target: {"operationId": target, "parameters": {"team": "$request.path.team", **values}}
                for target, values in wanted.items()
                if target in names
            }


def _promise(method: str, operation: dict[str, Any]) -> None:
    """What holds for every route: conditional reads and writes, writes that are made once, pages with a Link."""
    parameters = operation.setdefault("parameters", [])
    if method != "get":
        parameters += [_IF_MATCH, _IDEMPOTENCY_KEY]
        if operation["operationId"] in ("exec_in_container", "join"):
            return
        parameters.append(_DRY_RUN)
        # With dry_run a write answers 200 and what it would do.
        answer = operation["responses"].setdefault("200", {"description": "With `dry_run`.", "content": {}})
        tried = {"$ref": "#/components/schemas/DryRunOutput"}
        content = answer.setdefault("content", {}).setdefault("application/json", {"schema": tried})
        if content["schema"] != tried:
            content["schema"] = {"oneOf": [content["schema"], tried]}
        return
    answer = operation["responses"]["200"]
    if set(answer["content"]) != {"application/json"} or operation["operationId"] == "wait_for_operation":
        return  # it is written while it is read: nothing is known of it beforehand
    answer["headers"] = {"ETag": {"schema": _TEXT}}
    if any(each["name"] == "cursor" for each in parameters):
        answer["headers"]["Link"] = {"schema": _TEXT, "description": "The next page, as rel=next."}
    parameters.append(_IF_NONE_MATCH)
    operation["responses"]["304"] = {"description": "As the reader has it."}
