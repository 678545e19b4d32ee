"""Every documented answer of every documented operation, held against a real one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from console.workloads import livelogs
from tests.matrix.routes import http_routes
from tests.matrix.schema import Operation, document, operations, violations
from tests.matrix.world import Principal, Who, World, undone

pytestmark = [pytest.mark.redis, pytest.mark.django_db, pytest.mark.thorough]

OPERATIONS = operations()
SHOWN_ONCE = [{"$ref": f"#/components/schemas/{name}"} for name in ("Error", "DryRunOutput")]
ALSO: dict[str, list[Mapping[str, Any]]] = {
    "get_logs": [{"query": {"follow": "true"}}, {"query": {"format": "text"}}],
    # A node that holds nothing is gone at once.
    "leave": [{"names": {"node": "spare"}}],
}
"""What more is needed of some operations to see all that they may answer."""


def test_every_documented_operation_has_a_call() -> None:
    """And every call is documented, but the schema's own."""
    rows = {(method, route.name) for route in http_routes() if route.is_api for method in route.methods}
    assert rows - {(one.method, one.route.name) for one in OPERATIONS} == {("GET", "api:schema")}


@pytest.mark.parametrize("operation", OPERATIONS, ids=[one.id for one in OPERATIONS])
def test_what_is_documented_is_what_is_answered(
    world: World, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livelogs, "PROBE", 0.1)
    monkeypatch.setattr(livelogs, "GIVE_UP", 0.2)
    with undone():
        operation.prepare(world)
        answered = set(_answers(world, operation))
    documented = {
        (status, kind)
        for status, said in operation.responses.items()
        for kind in said.get("content", {"": None})
    }
    assert answered == documented


@pytest.mark.parametrize("operation", OPERATIONS, ids=[one.id for one in OPERATIONS])
def test_every_operation_has_examples_as_documented(operation: Operation) -> None:
    """At its body, its answers and the names in its path. After a change of what is shown: `make examples`."""
    contents = [operation.said["requestBody"]["content"]] if "requestBody" in operation.said else []
    contents += [said["content"] for status, said in operation.responses.items() if said.get("content")]
    shown = [
        one for content in contents for one in content.values() if one.get("schema", {}) not in SHOWN_ONCE
    ]
    assert all("example" in one for one in shown)
    for one in shown:
        assert violations(one.get("schema", {}), one["example"]) == []
    assert all("example" in one for one in operation.said["parameters"] if one["in"] == "path")


def test_what_many_operations_answer_has_one_example() -> None:
    for reference in SHOWN_ONCE:
        schema = document()["components"]["schemas"][reference["$ref"].rpartition("/")[2]]
        assert [violations(schema, example) for example in schema["examples"]] == [[]]


def _answers(world: World, operation: Operation) -> Iterator[tuple[str, str]]:
    """Status and content type of each answer, once it was checked. All errors are the `default` one."""
    caller = operation.caller(world)
    for more in ({}, *ALSO.get(operation.id, ())):
        also = replace(operation, row=replace(operation.row, **more))
        with undone():
            answer = also.ask(world, caller)
            yield also.check(str(answer.status_code), answer)
    if "304" in operation.responses:
        with undone():
            tag = operation.ask(world, caller).headers["ETag"]
            again = operation.ask(world, caller, headers={"If-None-Match": tag})
            assert again.status_code == 304
            yield operation.check("304", again)
    if operation.is_rehearsed:
        with undone():
            tried = operation.ask(world, caller, query={"dry_run": "true"})
            assert (tried.status_code, tried.json().get("dry_run")) == (200, True)
            yield operation.check("200", tried)
    for asker, query, headers, status in _mistakes(world, operation, caller):
        with undone():
            answer = operation.ask(world, asker, query=query, headers=headers)
            assert answer.status_code == status
            yield operation.check("default", answer)


def _mistakes(
    world: World, operation: Operation, caller: Principal
) -> Iterator[tuple[Principal, dict[str, str], dict[str, str], int]]:
    """What can be got wrong at this address: who asks, with which parameters and headers; and the status."""
    yield caller, {"nonsense": "1"}, {}, 400
    if {"token": []} in operation.said.get("security", []):
        yield world.principals[Who.ANONYMOUS], {}, {}, 401
        yield world.principals[Who.REVOKED], {}, {}, 401
    if "team" in operation.route.parameters:
        yield world.principals[Who.OUTSIDER], {}, {}, 404
    if any(one["name"] == "If-Match" for one in operation.said["parameters"]):
        yield caller, {}, {"If-Match": '"another"'}, 412
