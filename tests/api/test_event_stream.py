from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from allauth.usersessions.models import UserSession
from asgiref.sync import sync_to_async
from django.http.response import StreamingHttpResponse
from django.test import AsyncClient

from console.accounts.models import Membership
from console.accounts.signins import end_sessions
from console.api import asynchronous
from console.api.views import eventstream
from console.common import events
from tests import factories
from tests.api.caller import BASE, People

STREAM = "/teams/home/events/stream"


def say(people: People, text: str, **more: Any) -> int:
    return int(events.record("test", text, actor="test", team=people.access.team.id, **more).pk)


async def opened(people: People, query: str = "", **headers: str) -> StreamingHttpResponse:
    response: Any = await AsyncClient().get(
        f"{BASE}{STREAM}{query}", headers={**people.viewer.headers, **headers}
    )
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.streaming
    return cast(StreamingHttpResponse, response)


async def messages(response: StreamingHttpResponse, count: int) -> list[tuple[int, str]]:
    """The next events, as (id, message)."""
    found: list[tuple[int, str]] = []

    async def read() -> None:
        async for chunk in response:
            for part in chunk.decode().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in part.split("\n") if ": " in line)
                if "data" in lines:
                    data = json.loads(lines["data"])
                    assert lines["event"] == data["kind"]
                    found.append((int(lines["id"]), data["message"]))
            if len(found) >= count:
                return

    await asyncio.wait_for(read(), 20)
    return found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventstream, "PAUSE", 0.02)
    monkeypatch.setattr(eventstream, "HEARTBEAT", 0.1)
    monkeypatch.setattr(asynchronous, "RECHECK", 0.1)


@pytest.mark.django_db(transaction=True)
async def test_what_comes_is_sent_once_and_in_order(people: People) -> None:
    await sync_to_async(say)(people, "before")
    response = await opened(people)
    reading = asyncio.create_task(messages(response, 2))
    await asyncio.sleep(0.1)
    other = await sync_to_async(factories.make_member)(await sync_to_async(factories.make_team)("third"))
    await sync_to_async(events.record)("test", "theirs", actor="x", team=other.team.id)
    first = await sync_to_async(say)(people, "one")
    second = await sync_to_async(say)(people, "two")
    assert await reading == [(first, "one"), (second, "two")]


@pytest.mark.django_db(transaction=True)
async def test_a_reader_that_comes_back_misses_nothing(people: People) -> None:
    ids = [await sync_to_async(say)(people, text) for text in ("one", "two", "three")]
    response = await opened(people, **{"last-event-id": str(ids[0])})
    assert await messages(response, 2) == [(ids[1], "two"), (ids[2], "three")]
    response = await opened(people, f"?after={ids[1]}")
    assert await messages(response, 1) == [(ids[2], "three")]


@pytest.mark.django_db(transaction=True)
async def test_one_app_alone(people: People) -> None:
    app = await sync_to_async(factories.make_app)(people.access, "shop")
    last = await sync_to_async(say)(people, "of the team")
    await sync_to_async(say)(people, "of the app", app=app.id)
    response = await opened(people, f"?app=shop&after={last}")
    assert [text for _id, text in await messages(response, 1)] == ["of the app"]


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
async def test_whoever_leaves_the_team_hears_no_more(people: People) -> None:
    response = await opened(people)

    async def to_the_end() -> list[bytes]:
        return [chunk async for chunk in response]

    reading = asyncio.create_task(to_the_end())
    await asyncio.sleep(0.3)
    await sync_to_async(Membership.objects.filter(user__email="viewer@example.com").delete)()
    assert (await asyncio.wait_for(reading, 20))[-1] == b": still here\n\n"


async def _ends_while_busy(people: People, response: StreamingHttpResponse) -> bool:
    """Whether the stream ends though an event comes at each of its looks, with no silence between them."""
    ended = asyncio.create_task(_drained(response))
    for number in range(150):
        await sync_to_async(say)(people, f"busy {number}")
        if ended.done():
            return True
    ended.cancel()
    return False


async def _drained(response: StreamingHttpResponse) -> None:
    async for chunk in response:
        del chunk


@pytest.mark.django_db(transaction=True)
async def test_a_busy_stream_asks_for_rights_as_well(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventstream, "HEARTBEAT", 60.0)
    response = await opened(people)
    await sync_to_async(Membership.objects.filter(user__email="viewer@example.com").delete)()
    assert await _ends_while_busy(people, response)


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
async def test_an_ended_session_ends_its_stream(people: People) -> None:
    client = AsyncClient()
    await client.aforce_login(people.access.user)
    response: Any = await client.get(f"{BASE}{STREAM}")
    reading = asyncio.create_task(_drained(response))
    await asyncio.sleep(0.3)
    assert not reading.done()
    sessions = await sync_to_async(lambda: list(UserSession.objects.filter(user=people.access.user)))()
    assert len(sessions) == 1
    await sync_to_async(end_sessions)(people.access.user, sessions)
    await asyncio.wait_for(reading, 20)


def test_outsiders_and_wrong_input(people: People) -> None:
    people.assert_outside("GET", STREAM)
    assert people.viewer.get(f"{STREAM}?app=none").status == 404
    answer = people.viewer.get(f"{STREAM}?since=3")
    assert (answer.status, list(answer.error["fields"])) == (400, ["since"])
