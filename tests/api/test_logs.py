"""Logs over HTTP. Where lines come, the far side of the wire speaks the agent's protocol over a real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from asgiref.sync import sync_to_async
from channels.layers import BaseChannelLayer, get_channel_layer
from django.contrib.sessions.models import Session
from django.test import AsyncClient
from django.utils import timezone
from pytest_django.fixtures import Settings

from console.accounts.models import ApiToken
from console.api import asynchronous
from console.api.views import logs
from console.cluster.models import Node
from console.common import redis as keys
from console.workloads.logevents import LogEvent, stamp
from console.workloads.models import App, Container
from console.workloads.services import delete_app
from lab.redis_server import RedisServer
from nodeagent import protocol
from tests import factories
from tests.api.caller import BASE, People
from tests.stored_logs import at, keep, lines, texts

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
LOGS = "/teams/home/apps/shop/logs"
LINES = tuple(
    protocol.LogLine(at=f"2026-01-02T03:04:0{second}.123456789Z", source="stdout", text=text)
    for second, text in ((1, "hello"), (2, 'two\nlines and "quotes"'))
)


def _shop(people: People) -> Container:
    return factories.make_container(factories.make_app(people.access, "shop"), factories.make_node("n1"))


@pytest.fixture
def with_redis(settings: Settings, redis_server: RedisServer) -> None:
    settings.REDIS_URL = redis_server.url
    layer: dict[str, Any] = {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [redis_server.url]}}
    settings.CHANNEL_LAYERS = {"default": layer}


class AgentSide:
    """Answers one opened log stream of a node."""

    def __init__(self, node_id: str, last: int = 3) -> None:
        self.group = f"node.{node_id}"
        self.last = last
        self.opened: protocol.OpenLogs | None = None

    async def listen(self) -> None:
        self.layer = cast(BaseChannelLayer, get_channel_layer())
        self.channel = await self.layer.new_channel()
        await self.layer.group_add(self.group, self.channel)

    async def answer(self, *, silence: float = 0.0) -> None:
        message = protocol.decode_down((await self.layer.receive(self.channel))["message"])
        assert isinstance(message, protocol.OpenLogs)
        self.opened = message
        await asyncio.sleep(silence)
        client = keys.async_client()
        for frame in (
            protocol.LogFrame(stream=message.stream, number=1),
            protocol.LogFrame(stream=message.stream, number=2, lines=LINES, dropped=3),
            protocol.LogFrame(stream=message.stream, number=self.last, end=True),
        ):
            await client.publish(keys.stream_channel(message.stream), protocol.encode(frame))
        await client.aclose()


async def _until(response: Any, last: str) -> str:
    """The text of a stream up to the part with `last` in it, or all of one that ends; then the reader leaves."""
    text, parts = "", aiter(response)
    async for part in parts:
        text += part.decode()
        if last in text:
            break
    await parts.aclose()
    return text


async def _read(
    people: People,
    query: str,
    *,
    silence: float = 0.0,
    last: int = 3,
    headers: Mapping[str, str] | None = None,
) -> tuple[Any, str, protocol.OpenLogs]:
    """The response, its text, and what the agent was asked for first."""
    container = await sync_to_async(_shop)(people)
    agent = AgentSide(container.node_id, last)
    await agent.listen()
    answering = asyncio.create_task(agent.answer(silence=silence))
    response = await AsyncClient().get(
        f"{BASE}{LOGS}?{query}", headers={**people.viewer.headers, **(headers or {})}
    )
    text = await _until(response, "event: end\n")
    await answering
    assert agent.opened is not None
    return response, text, agent.opened


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_server_sent_events(people: People, with_redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "HEARTBEAT", 0.1)
    response, text, opened = await _read(people, "follow=1&tail=7", silence=0.35)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert (opened.follow, opened.tail, opened.since) == (True, 7, 0.0)
    first, *parts = text.removesuffix("\n\n").split("\n\n")
    assert first == "retry: 2000"
    assert parts.count(": still here") >= 2
    events = [part.split("\n") for part in parts if part != ": still here"]
    assert events[0][0] == "event: gap"
    assert json.loads(events[0][1].removeprefix("data: "))["dropped"] == 3
    for (position, kind, data), line in zip(events[1:3], LINES, strict=True):
        assert (position, kind) == (f"id: {line.at}", "event: line")
        assert json.loads(data.removeprefix("data: "))["text"] == line.text
    assert events[3][0] == "event: end"


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_json_lines(people: People, with_redis: None) -> None:
    response, text, opened = await _read(people, "service=web")
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert (opened.follow, opened.tail) == (False, 100)
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["kind"] for event in events] == ["gap", "line", "line", "end"]
    assert [event["text"] for event in events[1:3]] == ["hello", 'two\nlines and "quotes"']
    assert events[1]["name"] == "shop-web-1"


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_a_reader_who_comes_back_goes_on_where_it_was(people: People, with_redis: None) -> None:
    seen = timezone.now() - timedelta(seconds=30)
    _response, _text, opened = await _read(people, "follow=1", headers={"last-event-id": seen.isoformat()})
    assert 30 <= opened.since < 40
    assert opened.after == stamp(seen)
    assert opened.tail == 5000


def test_without_redis_each_container_says_that_its_stream_broke(people: People) -> None:
    container = _shop(people)
    for query in ("", f"?container={container.id}", "?service=web"):
        answer = people.viewer.get(f"{LOGS}{query}")
        (event,) = [json.loads(line) for line in answer.body.splitlines()]
        assert (answer.status, event["kind"], event["container"]) == (200, "error", container.id)


@pytest.mark.django_db(transaction=True)
async def test_a_followed_stream_says_so_too(people: People) -> None:
    await sync_to_async(_shop)(people)
    response = await AsyncClient().get(f"{BASE}{LOGS}?follow=1", headers=people.viewer.headers)
    text = await _until(response, "event: gap\n")
    assert text.startswith("retry: 2000\n\nevent: gap\ndata: ")


@pytest.mark.django_db(transaction=True)
async def test_a_followed_stream_ends_with_its_app(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.workloads.logs.LOOK_AGAIN", 0.05)
    app = await sync_to_async(factories.make_app)(people.access, "shop")
    response = await AsyncClient().get(f"{BASE}{LOGS}?follow=1", headers=people.viewer.headers)
    parts = aiter(cast(Any, response))
    assert await anext(parts) == b"retry: 2000\n\n"
    await sync_to_async(delete_app)(people.access, app, delete_volumes=False)
    assert json.loads((await anext(parts)).split(b"data: ")[1])["text"] == "There is no such app."
    with pytest.raises(StopAsyncIteration):
        await anext(parts)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["token", "session"])
async def test_a_followed_stream_ends_with_the_right_to_it(
    people: People, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Also of containers that speak without a pause; their readers are closed with it."""
    closed: list[str] = []

    async def busy(*_: object) -> AsyncGenerator[list[LogEvent], None]:
        try:
            while True:
                yield [LogEvent(kind="line", container="c", name="web", text="busy")]
                await asyncio.sleep(0.01)
        finally:
            closed.append("reader")

    monkeypatch.setattr(asynchronous, "RECHECK", 0.1)
    monkeypatch.setattr("console.workloads.livelogs.follow", busy)
    await sync_to_async(_shop)(people)
    client, headers = AsyncClient(), people.owner.headers if how == "token" else {}
    if how == "session":
        await client.aforce_login(people.access.user)
    response: Any = await client.get(f"{BASE}{LOGS}?follow=1", headers=headers)
    parts = aiter(response)
    assert b"busy" in b"".join([await anext(parts), await anext(parts)])
    ended = ApiToken.objects.filter(user=people.access.user) if how == "token" else Session.objects.all()
    await sync_to_async(ended.delete)()

    async def rest() -> bytes:
        return b"".join([part async for part in parts])

    assert b"event: error" in (await asyncio.wait_for(rest(), 20))[-200:]
    assert closed == ["reader"]


def test_an_app_without_containers_has_no_logs(people: People) -> None:
    factories.make_app(people.access, "shop")
    assert people.viewer.get(LOGS).body == b""


def test_what_is_not_there(people: People) -> None:
    _shop(people)
    theirs = factories.make_container(factories.make_app(people.access, "other"), factories.make_node())
    for query in ("service=db", f"container={theirs.id}", "container=nothing"):
        answer = people.viewer.get(f"{LOGS}?{query}")
        assert (answer.status, answer.error["code"]) == (404, "not_found")
    assert people.viewer.get("/teams/home/apps/nothing/logs").status == 404


def test_outsiders_and_wrong_input(people: People) -> None:
    _shop(people)
    people.assert_outside("GET", LOGS)
    for query in ("tail=-1", "tail=5001", "follow=perhaps", "lines=3", "since=soon", "until=1x", "slot=1"):
        answer = people.viewer.get(f"{LOGS}?{query}")
        assert (answer.status, list(answer.error["fields"])) == (400, [query.partition("=")[0]])
    assert people.viewer.post(LOGS).status == 405


@pytest.mark.parametrize("word", ["", "yesterday", "0001-01-01T00:00:00", "\u0660", "10m"])
def test_a_strange_last_event_id_is_a_new_reader(word: str) -> None:
    assert logs._seen(word, several=True) == ""


def test_nanoseconds_are_understood_and_several_containers_may_be_out_of_order() -> None:
    at = "2026-01-02T03:04:01.123456789Z"
    assert logs._seen(at, several=False) == at
    assert logs._seen(at, several=True) == "2026-01-02T03:03:59.123456000Z"


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_a_frame_that_got_lost_is_marked(people: People, with_redis: None) -> None:
    _response, text, _opened = await _read(people, "", last=5)
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["kind"] for event in events] == ["gap", "line", "line", "gap", "end"]
    assert events[3]["text"] == "Lines may be missing here: the connection was interrupted."


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_a_search_looks_at_all_lines_and_gives_the_last_that_fit(
    people: People, with_redis: None
) -> None:
    _response, text, opened = await _read(people, "search=L&tail=1")
    assert (opened.tail, opened.follow) == (-1, False)
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["text"] for event in events if event["kind"] == "line"] == ['two\nlines and "quotes"']
    assert {event["kind"] for event in events} == {"gap", "line", "end"}


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_a_pattern_and_times_are_applied_here(people: People, with_redis: None) -> None:
    query = "search=^h.l&regex=1&since=2026-01-02T03:04:00Z&until=2026-01-02T03:04:01.2Z"
    _response, text, opened = await _read(people, query)
    assert (opened.tail, opened.after) == (-1, "2026-01-02T03:04:00.000000000Z")
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["text"] for event in events if event["kind"] == "line"] == ["hello"]


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
async def test_plain_text(people: People, with_redis: None) -> None:
    response, text, _opened = await _read(people, "format=text")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="shop-')
    assert text.splitlines() == [
        "--- shop-web-1 3 lines are missing here.",
        "2026-01-02T03:04:01.123456789Z shop-web-1 hello",
        "2026-01-02T03:04:02.123456789Z shop-web-1 two",
        'lines and "quotes"',
    ]


def _gone(people: People, index: int = 1) -> Container:
    app = App.objects.filter(name="shop").first() or factories.make_app(people.access, "shop")
    node = Node.objects.first() or factories.make_node("n1")
    now = timezone.now()
    return factories.make_container(
        app, node, index=index, state="exited", ended_at=now, removed_at=now, engine_id=""
    )


def _read_lines(people: People, query: str) -> list[str]:
    answer = people.viewer.get(f"{LOGS}?{query}")
    assert answer.status == 200
    return texts(msgspec.json.decode(line, type=LogEvent) for line in answer.body.splitlines())


def test_ended_containers_are_read_from_what_is_stored(people: People, log_folder: Path) -> None:
    first, second = _gone(people, 1), _gone(people, 2)
    keep(first, lines("a1", "a3", step=2))
    keep(second, lines("b2", first=2))
    assert _read_lines(people, "") == []
    assert _read_lines(people, "ended=1") == ["a1", "b2", "a3"]
    assert _read_lines(people, f"container={second.id}") == ["b2"]
    assert _read_lines(people, "ended=1&service=web&slot=1") == ["a1", "a3"]
    assert _read_lines(people, "ended=1&search=A&tail=1") == ["a3"]
    assert _read_lines(people, f"ended=1&since={at(1)}&until={at(2)}") == ["b2"]
    text = people.viewer.get(f"{LOGS}?ended=1&format=text&search=b").body
    assert text.decode() == f"{at(2)} shop-web-2 b2\n"


def test_bad_patterns_and_what_goes_not_together(people: People) -> None:
    _shop(people)
    for query, field in (
        ("search=(&regex=1", "search"),
        ("follow=1&until=5m", "until"),
        ("follow=1&format=text", "format"),
        ("search=" + "x" * 301, "search"),
    ):
        answer = people.viewer.get(f"{LOGS}?{query}")
        assert (answer.status, list(answer.error["fields"])) == (400, [field])


@pytest.mark.django_db(transaction=True)
async def test_a_followed_stream_begins_with_what_is_stored(people: People, log_folder: Path) -> None:
    container = await sync_to_async(_gone)(people)
    await sync_to_async(keep)(container, lines("before"))
    response = await AsyncClient().get(f"{BASE}{LOGS}?follow=1&ended=1", headers=people.viewer.headers)
    text = await _until(response, "event: line\n")
    assert '"text":"before"' in text


async def _slow(closed: list[str]) -> AsyncIterator[int]:
    try:
        yield 1
        await asyncio.sleep(0.2)
        yield 2
    finally:
        closed.append("closed")


async def test_silences_are_told_and_nothing_is_lost() -> None:
    closed: list[str] = []
    items = [item async for item in logs.with_silences(_slow(closed), 0.05)]
    assert [item for item in items if item] == [1, 2]
    assert items[1] is None
    assert closed == ["closed"]


@pytest.mark.parametrize("reads", [1, 2], ids=["after an item", "in a silence"])
async def test_a_reader_who_leaves_closes_the_source(reads: int) -> None:
    closed: list[str] = []
    stream = logs.with_silences(_slow(closed), 0.05)
    for _ in range(reads):
        await anext(stream)
    await stream.aclose()
    assert closed == ["closed"]
