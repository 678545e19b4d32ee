"""Terminals: whom the socket lets in, how long, and what passes through it. The node's side speaks the protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import ApiToken, Membership, User
from console.cluster.services import NodeCredential, add_node
from console.common import redis as keys
from console.common.errors import Forbidden
from console.common.models import AuditEntry, Event
from console.live import exec as door
from console.workloads import exec as streams
from console.workloads import terminals
from console.workloads.enums import ContainerState
from console.workloads.models import Container
from lab.redis_server import RedisServer
from nodeagent import protocol
from tests import factories
from tests.live.sockets import AgentSocket, Socket

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

HERE = "http://localhost"


class World:
    """A team with a running container, its node's credential, and a browser's or a token's way in."""

    def __init__(self) -> None:
        self.team = factories.make_team("home")
        self.owner = factories.make_member(self.team)
        self.credential: NodeCredential = add_node(name="n1", actor="test")
        self.app = factories.make_app(self.owner, "shop")
        self.container = factories.make_container(self.app, self.credential.node)

    def ticket(self, access: Access, *, token: ApiToken | None = None, **given: Any) -> str:
        return terminals.grant_exec(access, self.container, token=token, **given)

    def token_ticket(self, access: Access, **given: Any) -> str:
        factories.make_token(access)
        return self.ticket(
            access, token=ApiToken.objects.filter(user=access.user).latest("created_at"), **given
        )


@pytest.fixture
def world(with_redis: RedisServer, transactional_db: None) -> World:
    return World()


def _cookie(access: Access) -> bytes:
    client = Client()
    client.force_login(access.user)
    name = django_settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}".encode()


class Terminal(Socket):
    """A client's end."""

    def __init__(self, origin: str | None = None, cookie: bytes = b"") -> None:
        headers = [(b"host", b"localhost")]
        headers += [(b"origin", origin.encode())] if origin else []
        headers += [(b"cookie", cookie)] if cookie else []
        super().__init__("/ws/exec", headers)

    async def begin(self, ticket: str, **more: Any) -> None:
        await self.tell(ticket=ticket, **more)

    async def tell(self, **message: Any) -> None:
        await self.send(text=json.dumps(message))

    async def said(self) -> dict[str, Any]:
        text = await self.message()
        assert isinstance(text, str), text
        return dict(json.loads(text))

    async def refused(self) -> str:
        """The word of the error with which it is closed."""
        said = await self.said()
        assert said["type"] == "error", said
        assert said["message"]
        return str(said["code"])


@asynccontextmanager
async def node(world: World) -> AsyncIterator[AgentSocket]:
    async with AgentSocket(world.credential.token) as link:
        await link.welcome()
        yield link


async def opened(link: AgentSocket) -> protocol.OpenExec:
    message = await link.receive()
    assert isinstance(message, protocol.OpenExec)
    await link.tell(protocol.Credit(stream=message.stream, frames=4))
    return message


async def events() -> list[Event]:
    """Of the terminal, once its end is written."""
    for _try in range(100):
        found = [event async for event in Event.objects.filter(kind__startswith="exec.").order_by("id")]
        if found and found[-1].kind == "exec.closed":
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("no end of a terminal was recorded")


@sync_to_async
def ticket_of(world: World, access: Access, **given: Any) -> str:
    return world.token_ticket(access, **given)


async def test_a_program_is_run_spoken_with_and_audited(world: World) -> None:
    ticket = await ticket_of(world, world.owner, command=["cat", "-n"], tty=False, width=90, height=30)
    async with node(world) as link, Terminal() as client:
        await client.begin(ticket)
        request = await opened(link)
        assert (request.slot, request.generation) == (world.container.slot_id, world.container.generation)
        assert (request.command, request.tty, request.width, request.height) == (("cat", "-n"), False, 90, 30)
        assert await client.said() == {"type": "started", "window": 4}
        await client.send(bytes=b"hello")
        await client.tell(type="end")
        first, second = await link.receive(), await link.receive()
        stream = request.stream
        assert first == protocol.ExecInput(stream=stream, number=1, data=b"hello")
        assert second == protocol.ExecInput(stream=stream, number=2, end=True)
        await client.tell(type="resize", width=100, height=40)
        assert await link.receive() == protocol.ExecResize(stream=stream, width=100, height=40)
        await link.tell(protocol.Credit(stream=stream, frames=2))
        assert await client.said() == {"type": "ack", "frames": 2}
        for number, source in ((1, "stdout"), (2, "stderr")):
            await link.tell(protocol.ExecFrame(stream=stream, number=number, source=source, data=b"hi"))  # type: ignore[arg-type]
        assert [await client.message(), await client.message()] == [b"\x01hi", b"\x02hi"]
        await link.tell(protocol.ExecFrame(stream=stream, number=3, end=True, exit_code=3))
        assert await client.said() == {"type": "exit", "code": 3}
        assert await client.closed() == door.DONE
        assert await link.receive() == protocol.Close(stream=stream)
    begun, ended = await events()
    assert (begun.actor, begun.app_id, begun.node_id) == (
        world.owner.actor,
        world.app.id,
        world.credential.node.id,
    )
    assert (begun.data["container"], "command" in begun.data) == (world.container.id, False)
    rows = [row async for row in AuditEntry.objects.filter(kind__startswith="exec.").order_by("id")]
    assert [row.kind for row in rows] == ["exec.opened", "exec.closed"]
    assert {(row.actor, row.token_name, row.address) for row in rows} == {
        (world.owner.actor, "test", begun.data["address"])
    }
    assert {tuple(row.data["command"]) for row in rows} == {("cat", "-n")}
    assert begun.message.endswith("opened: cat")
    assert (ended.data["exit_code"], ended.data["bytes_in"], ended.data["bytes_out"]) == (3, 5, 4)


@pytest.mark.parametrize("role", [Role.OWNER, Role.DEVELOPER])
async def test_owners_and_developers_come_in_from_their_browser(world: World, role: Role) -> None:
    access = await sync_to_async(factories.make_member)(world.team, role)
    cookie = await sync_to_async(_cookie)(access)
    async with node(world) as link, Terminal(HERE, cookie) as client:
        await client.begin(await sync_to_async(world.ticket)(access))
        assert (await opened(link)).command == terminals.SHELL
        assert (await client.said())["type"] == "started"


async def test_a_viewer_gets_no_ticket_and_a_developer_made_viewer_uses_none(world: World) -> None:
    viewer = await sync_to_async(factories.make_member)(world.team, Role.VIEWER)
    with pytest.raises(Forbidden):
        await ticket_of(world, viewer)
    developer = await sync_to_async(factories.make_member)(world.team, Role.DEVELOPER)
    ticket = await ticket_of(world, developer)
    await Membership.objects.filter(user=developer.user).aupdate(role=Role.VIEWER)
    async with Terminal() as client:
        await client.begin(ticket)
        assert await client.refused() == "forbidden"
        assert await client.closed() == door.FORBIDDEN


@pytest.mark.thorough
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:30080", "file://"])
async def test_a_foreign_page_does_not_even_speak(world: World, origin: str) -> None:
    """Nor one of an app on another port of this very host."""
    cookie = await sync_to_async(_cookie)(world.owner)
    async with Terminal(origin, cookie) as client:
        assert client.accepted is False


async def test_a_browsers_ticket_needs_its_session(world: World) -> None:
    other = await sync_to_async(factories.make_member)(world.team)
    for origin, visitor in ((HERE, None), (HERE, other), (None, world.owner), (None, None)):
        cookie = await sync_to_async(_cookie)(visitor) if visitor else b""
        async with Terminal(origin, cookie) as client:
            await client.begin(await sync_to_async(world.ticket)(world.owner))
            assert await client.refused() == "ticket"
            assert await client.closed() == door.REFUSED


async def test_a_ticket_opens_once(world: World) -> None:
    ticket = await ticket_of(world, world.owner)
    async with node(world) as link, Terminal() as first, Terminal() as second:
        await first.begin(ticket)
        await opened(link)
        await second.begin(ticket)
        assert await second.refused() == "ticket"
        assert (await first.said())["type"] == "started"


@pytest.mark.thorough
async def test_a_ticket_expires(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = await ticket_of(world, world.owner)
    found: Any = keys.client().keys("berth:exec:*")
    [key] = found
    assert ticket not in key.decode()
    assert 25 <= keys.client().ttl(key) <= 30
    monkeypatch.setattr(terminals, "TICKET_LIFETIME", 1)
    late = await ticket_of(world, world.owner)
    await asyncio.sleep(1.1)
    async with Terminal() as client:
        await client.begin(late)
        assert await client.refused() == "ticket"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "first", ["", "{}", '{"ticket": 7}', '{"ticket": "x", "team": "home"}', "x" * 2000, b"x"]
)
async def test_whatever_else_comes_first_closes_it(world: World, first: str | bytes) -> None:
    async with Terminal() as client:
        await client.send(**{"bytes" if isinstance(first, bytes) else "text": first})
        assert await client.refused() == "unreadable"
        assert await client.closed() == door.UNREADABLE


async def test_who_says_nothing_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "TICKET_WAIT", 0.1)
    async with Terminal() as client:
        assert await client.refused() == "late"
        assert await client.closed() == door.LATE


async def test_a_ticket_is_of_its_container_alone(world: World) -> None:
    other = await sync_to_async(factories.make_container)(world.app, world.credential.node, index=2)
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        request = await opened(link)
        assert request.slot == world.container.slot_id != other.slot_id
        assert (await client.said())["type"] == "started"


def _demote(world: World, access: Access) -> None:
    Membership.objects.filter(user=access.user).update(role=Role.VIEWER)


def _remove(world: World, access: Access) -> None:
    Membership.objects.filter(user=access.user).delete()


def _deactivate(world: World, access: Access) -> None:
    User.objects.filter(pk=access.user.pk).update(is_active=False)


def _revoke(world: World, access: Access) -> None:
    ApiToken.objects.filter(user=access.user).delete()


def _expire(world: World, access: Access) -> None:
    ApiToken.objects.filter(user=access.user).update(expires_at=timezone.now() - timedelta(seconds=1))


def _stop(world: World, access: Access) -> None:
    Container.objects.filter(pk=world.container.pk).update(state=ContainerState.STOPPING)


CHANGES = {
    "demoted": (_demote, "forbidden"),
    "removed": (_remove, "not_found"),
    "deactivated": (_deactivate, "not_found"),
    "token revoked": (_revoke, "not_found"),
    "token expired": (_expire, "not_found"),
    "container stops": (_stop, "not_running"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("change", CHANGES)
async def test_what_let_one_in_is_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch, change: str, when: str
) -> None:
    act, word = CHANGES[change]
    developer = await sync_to_async(factories.make_member)(world.team, Role.DEVELOPER)
    ticket = await ticket_of(world, developer)
    monkeypatch.setattr(door, "RECHECK", 0.2)
    async with node(world) as link, Terminal() as client:
        if when == "before":
            await sync_to_async(act)(world, developer)
        await client.begin(ticket)
        if when == "meanwhile":
            stream = (await opened(link)).stream
            assert (await client.said())["type"] == "started"
            assert await client.silent(0.5)
            await sync_to_async(act)(world, developer)
        assert await client.refused() == word
        assert await client.closed() in (door.FORBIDDEN, door.BROKEN)
        if when == "meanwhile":
            assert await link.receive() == protocol.Close(stream=stream)
            assert (await events())[-1].data["reason"] == word


@pytest.mark.thorough
async def test_signing_out_closes_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "RECHECK", 0.2)
    client_ = Client()
    await sync_to_async(client_.force_login)(world.owner.user)
    name = django_settings.SESSION_COOKIE_NAME
    cookie = f"{name}={client_.cookies[name].value}".encode()
    async with node(world) as link, Terminal(HERE, cookie) as client:
        await client.begin(await sync_to_async(world.ticket)(world.owner))
        await opened(link)
        assert (await client.said())["type"] == "started"
        await sync_to_async(client_.logout)()
        assert await client.refused() == "signed_out"


async def test_a_client_that_leaves_ends_the_program(world: World) -> None:
    async with node(world) as link:
        async with Terminal() as client:
            await client.begin(await ticket_of(world, world.owner))
            stream = (await opened(link)).stream
            assert (await client.said())["type"] == "started"
        assert await link.receive() == protocol.Close(stream=stream)
    assert (await events())[-1].data["reason"] == "left"


async def test_the_nodes_error_is_told(world: World) -> None:
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        request = await link.receive()
        assert isinstance(request, protocol.OpenExec)
        await link.tell(
            protocol.ExecFrame(stream=request.stream, number=1, end=True, error="no such program")
        )
        assert await client.said() == {"type": "error", "code": "failed", "message": "no such program"}


@pytest.mark.thorough
async def test_a_node_that_is_away_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SILENCE", 0.1)
    async with Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        assert await client.refused() == "unavailable"


@pytest.mark.thorough
async def test_an_open_stream_is_asked_for_and_lives_by_the_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SILENCE", 1.2)
    monkeypatch.setattr(door, "ASK_EVERY", 0.3)
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        stream = (await opened(link)).stream
        assert (await client.said())["type"] == "started"
        for _time in range(6):
            assert await link.receive() == protocol.Credit(stream=stream, frames=0)
            await link.tell(protocol.Credit(stream=stream, frames=0))
        assert await client.silent(0.0)
        assert await client.refused() == "unavailable"


async def test_a_lost_frame_ends_it(world: World) -> None:
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        stream = (await opened(link)).stream
        assert (await client.said())["type"] == "started"
        await link.tell(protocol.ExecFrame(stream=stream, number=2, data=b"x"))
        assert await client.refused() == "unavailable"


async def _credits(link: AgentSocket, seconds: float = 0.3) -> int:
    """How many frames the console says were taken, within so many seconds."""
    taken = 0
    while not await link.silent(seconds):
        message = await link.receive()
        assert isinstance(message, protocol.Credit)
        taken += message.frames
    return taken


@pytest.mark.thorough
async def test_with_acks_the_client_decides_what_was_taken(world: World) -> None:
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner), acks=True)
        stream = (await opened(link)).stream
        assert (await client.said())["type"] == "started"
        for number in range(1, 11):
            await link.tell(protocol.ExecFrame(stream=stream, number=number, data=b"x"))
            await client.message()
        assert await _credits(link) == 0
        await client.tell(type="ack", frames=1000)
        assert await _credits(link) == 10


@pytest.mark.thorough
async def test_without_acks_what_was_sent_is_taken(world: World) -> None:
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        stream = (await opened(link)).stream
        assert (await client.said())["type"] == "started"
        for number in range(1, 17):
            await link.tell(protocol.ExecFrame(stream=stream, number=number, data=b"x"))
            await client.message()
        assert await _credits(link) == 16


async def test_input_waits_for_the_nodes_credit_and_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "INPUT_WAIT", 0.1)
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        await opened(link)
        assert (await client.said())["type"] == "started"
        for _number in range(4 + 1 + door.INPUT_HELD + 1):
            await client.send(bytes=b"x")
        got = [await link.receive() for _number in range(4)]
        assert [message.number for message in got if isinstance(message, protocol.ExecInput)] == [1, 2, 3, 4]
        assert await client.refused() == "too_much"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "message",
    [
        {"bytes": b"x" * (protocol.MOST_EXEC_BYTES + 1)},
        {"text": '{"type": "resize", "width": 0, "height": 5}'},
        {"text": '{"type": "resize", "width": 5, "height": 100000}'},
        {"text": '{"type": "run", "command": ["sh"]}'},
        {"text": "not JSON"},
    ],
)
async def test_unreadable_messages_end_it(world: World, message: dict[str, Any]) -> None:
    async with node(world) as link, Terminal() as client:
        await client.begin(await ticket_of(world, world.owner))
        await opened(link)
        assert (await client.said())["type"] == "started"
        await client.send(**message)
        assert await client.refused() == "unreadable"
