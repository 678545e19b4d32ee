from __future__ import annotations

import asyncio
import json
import time

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.utils import timezone

from console.workloads import operations
from console.workloads.enums import OperationState
from console.workloads.models import Operation
from tests import factories
from tests.api.caller import BASE, People

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")


def _operation(people: People) -> Operation:
    return factories.operation_of(factories.make_app(people.access, "shop"))


@pytest.mark.thorough
def test_the_time_is_up(people: People) -> None:
    operation = _operation(people)
    began = time.monotonic()
    answer = people.viewer.get(f"/teams/home/operations/{operation.id}/wait?timeout=0.3")
    assert (answer.status, answer.body["state"]) == (200, "running")
    assert 0.3 <= time.monotonic() - began < 2
    assert answer.body == people.viewer.get(f"/teams/home/operations/{operation.id}").body


def test_an_ended_operation_answers_at_once(people: People) -> None:
    operation = _operation(people)
    operations.end(operation, OperationState.FAILED, timezone.now(), "no node fits")
    began = time.monotonic()
    body = people.viewer.get(f"/teams/home/operations/{operation.id}/wait").body
    assert (body["state"], body["error"]) == ("failed", "no node fits")
    assert time.monotonic() - began < 2


@pytest.mark.django_db(transaction=True)
async def test_it_answers_when_the_operation_ends(people: People) -> None:
    operation = await sync_to_async(_operation)(people)
    path = f"{BASE}/teams/home/operations/{operation.id}/wait?timeout=20"
    began = time.monotonic()
    response = await AsyncClient().get(path, headers=people.viewer.headers)

    async def body() -> dict[str, object]:
        return json.loads(b"".join([part async for part in response]))  # type: ignore[attr-defined, no-any-return]

    waiting = asyncio.create_task(body())
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await sync_to_async(operations.end)(operation, OperationState.SUCCEEDED, timezone.now())
    assert (await waiting)["state"] == "succeeded"
    assert time.monotonic() - began < 5


def test_outsiders_and_wrong_input(people: People) -> None:
    path = f"/teams/home/operations/{_operation(people).id}/wait"
    people.assert_outside("GET", path)
    assert people.viewer.get("/teams/home/operations/nothing/wait").error["code"] == "not_found"
    for query in ("timeout=-1", "timeout=301", "timeout=soon", "time=1"):
        answer = people.viewer.get(f"{path}?{query}")
        assert (answer.status, list(answer.error["fields"])) == (400, [query.partition("=")[0]])


def test_only_get(people: People) -> None:
    answer = people.owner.post(f"/teams/home/operations/{_operation(people).id}/wait")
    assert (answer.status, answer.error["code"], answer.headers["Allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )


def test_a_session_comes_in_as_well(people: People) -> None:
    path = f"/teams/home/operations/{_operation(people).id}/wait?timeout=0"
    people.anonymous.client.force_login(people.access.user)
    assert people.anonymous.get(path).body["state"] == "running"
