"""The agents' door: who comes in, what is stored, what an agent is told."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
import redis.asyncio
from asgiref.sync import sync_to_async

from console.cluster import looks
from console.cluster.models import Node
from console.cluster.services import NodeCredential, add_node, remove_node, renew_credential
from console.common import redis as keys
from console.controller.wire import RedisWire
from console.live import agent as door
from lab.redis_server import RedisServer
from nodeagent import protocol
from tests import factories
from tests.live.sockets import AgentSocket

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

BEAT = protocol.Heartbeat(sent=7.5, digest="d" * 64)


@pytest.fixture
def credential(transactional_db: None) -> NodeCredential:
    return add_node(name="n1", actor="test")


async def _eventually(length: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The stream of reports (without pokes) once it has this many entries."""
    for _try in range(100):
        found: Any = keys.client().xrange(keys.REPORTS)
        entries = [one for one in found if b"m" in one[1]]
        if len(entries) >= length:
            return entries
        await asyncio.sleep(0.02)
    raise AssertionError(f"no {length} entries in the stream")


@pytest.mark.parametrize("token", [None, "", "node_wrong"])
async def test_without_its_token_nobody_comes_in(
    with_redis: RedisServer, credential: NodeCredential, token: str | None
) -> None:
    async with AgentSocket(token) as link:
        assert (link.accepted, link.code) == (False, door.UNAUTHORIZED)
    assert keys.client().keys("berth:*") == [keys.REPORTS.encode()]


async def test_a_broker_password_is_no_token(with_redis: RedisServer, credential: NodeCredential) -> None:
    async with AgentSocket(credential.broker_password) as link:
        assert link.accepted is False


async def test_it_is_welcomed_by_name_and_gets_a_session_above_the_last(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    """Also by a Redis whose clock is behind."""
    ahead = 10**15
    await Node.objects.filter(pk=credential.node.pk).aupdate(session=ahead)
    async with AgentSocket(credential.token) as link:
        welcome = await link.welcome()
    assert (welcome.node, welcome.session) == (credential.node.id, ahead + 1)


async def test_a_newer_session_closes_the_older_link(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    async with AgentSocket(credential.token) as old:
        first = await old.welcome()
        await asyncio.sleep(0.01)
        async with AgentSocket(credential.token) as new:
            second = await new.welcome()
            assert await old.closed() == door.REPLACED
            await new.tell(BEAT)
            assert await new.receive() == protocol.Ack(sent=7.5)
    assert second.session > first.session


async def test_what_a_heartbeat_says_reaches_the_controller(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    disk = protocol.Disk(total=100, free=40)
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.tell(msgspec.structs.replace(BEAT, disk=disk, waiting=True))
        assert await link.receive() == protocol.Ack(sent=7.5)
    found = RedisWire().contacts()
    assert found is not None
    beat = found[credential.node.id]
    assert (beat.digest, beat.engine_ok, beat.waiting, beat.disk) == (BEAT.digest, True, True, disk)


async def test_an_older_link_that_comes_in_late_is_closed_by_the_newer(
    with_redis: RedisServer, credential: NodeCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AgentSocket(credential.token) as new:
        await new.welcome()
        claim = door.AgentConsumer._claim

        async def late(self: door.AgentConsumer) -> None:
            if self.session != 1:
                self.session = 1
            await claim(self)

        monkeypatch.setattr(door.AgentConsumer, "_claim", late)
        async with AgentSocket(credential.token) as old:
            monkeypatch.setattr(door.AgentConsumer, "_claim", claim)
            assert (await old.welcome()).session == 1
            assert await old.closed() == door.REPLACED


async def test_an_engines_death_wakes_the_controller_once(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    def pokes() -> int:
        found: Any = keys.client().xrange(keys.REPORTS)
        return sum(b"poke" in fields for _at, fields in found)

    dead = protocol.Heartbeat(sent=7.5, digest="d" * 64, engine_ok=False, engine_error="no socket")
    async with AgentSocket(credential.token) as link:
        assert (await link.welcome()).heartbeat == 2.0
        told = []
        before = pokes()
        for beat in (BEAT, dead, dead, BEAT):
            await link.tell(beat)
            await link.receive()
            told.append(pokes() - before)
    assert told == [0, 1, 1, 2]


async def test_a_heartbeat_is_acknowledged_once_it_is_stored(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.tell(BEAT)
        assert await link.receive() == protocol.Ack(sent=7.5)
        node = credential.node.id.encode()
        assert keys.client().zrange(keys.CONTACT, 0, -1) == [node]
        assert keys.client().hkeys(keys.BEATS) == [node]


async def test_a_heartbeat_that_cannot_be_stored_is_not_acknowledged(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        keys.client().set(keys.BEATS, "of another kind")
        await link.tell(BEAT)
        assert await link.closed() == door.BROKEN


async def test_while_redis_is_away_the_link_ends_without_a_word_against_the_token(
    with_redis: RedisServer, credential: NodeCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal would tell the agent that its token is wrong, and it would wait for half a minute."""
    nowhere = redis.asyncio.Redis.from_url("unix:///nonexistent/berth-tests/redis.sock")
    monkeypatch.setattr(keys, "async_client", lambda: nowhere)
    async with AgentSocket(credential.token) as link:
        assert link.accepted is True
        assert await link.closed() == door.BROKEN


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\xa4type\xa4nope"])
async def test_an_unreadable_message_closes_the_link(
    with_redis: RedisServer, credential: NodeCredential, data: bytes
) -> None:
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.send(bytes=data)
        assert await link.closed() == door.UNREADABLE


async def test_text_closes_the_link(with_redis: RedisServer, credential: NodeCredential) -> None:
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.send(text="hello")
        assert await link.closed() == door.UNREADABLE


async def test_reports_carry_the_node_and_the_session_of_their_link(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    other = await sync_to_async(add_node)(name="n2", actor="test")
    identity = protocol.Identity(
        cluster=other.node.id,
        team="t",
        app="a",
        service="s",
        slot=other.node.id,
        generation=1,
        container=other.node.id,
        digest="d",
        name=other.node.id,
    )
    seen = protocol.Observed(identity=identity, engine_id="e", state="running")
    delta = protocol.Delta(changed=(seen,), digest="d")
    async with AgentSocket(credential.token) as link:
        session = (await link.welcome()).session
        await link.tell(delta)
        [(_position, fields)] = await _eventually(1)
    assert fields[b"n"].decode() == credential.node.id
    assert int(fields[b"s"]) == session
    assert protocol.decode_up(fields[b"m"]) == delta


async def test_samples_are_kept_under_the_node_of_their_link(
    with_redis: RedisServer, credential: NodeCredential
) -> None:
    sample = protocol.Sample(slot="node:n2", generation=1, cpu=1, memory=2, memory_limit=3)
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.tell(protocol.Samples(samples=(sample,), node_cpu=250, node_memory=9))
        await link.tell(BEAT)
        assert await link.receive() == protocol.Ack(sent=7.5)
    assert keys.client().keys("berth:looks:*") == [keys.looks_key(credential.node.id).encode()]
    found = looks.read([credential.node.id], 5)
    (look,) = found[credential.node.id]
    assert (look.cpu, look.memory, look.samples) == (250, 9, {("node:n2", 1): sample})


@pytest.mark.parametrize("how", ["renewed", "removed"])
async def test_new_credentials_and_removal_end_the_link_at_once(
    with_redis: RedisServer, credential: NodeCredential, how: str
) -> None:
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        if how == "renewed":
            await sync_to_async(renew_credential)(credential.node, actor="test")
        else:
            access = await sync_to_async(factories.make_member)(
                await sync_to_async(factories.make_team)(), administrator=True
            )
            await sync_to_async(remove_node)(access, credential.node)
        ended = {"renewed": protocol.CLOSE_REVOKED, "removed": protocol.CLOSE_REMOVED}[how]
        assert await link.closed() == ended
    async with AgentSocket(credential.token) as link:
        assert await link.closed() == ended
