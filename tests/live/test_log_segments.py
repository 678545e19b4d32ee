"""Segments over the agents' door: stored beside the link and answered, whatever happens."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from console.accounts.access import Access
from console.cluster.models import Node
from console.cluster.services import NodeCredential, add_node
from console.live import agent as door
from console.workloads import archive
from console.workloads.models import Container
from lab.redis_server import RedisServer
from nodeagent import protocol
from tests import factories
from tests.live.sockets import AgentSocket
from tests.stored_logs import lines, log_of, read, texts

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def credential(transactional_db: None) -> NodeCredential:
    return add_node(name="n1", actor="test")


def _container(node: Node, name: str = "shop") -> Container:
    access: Access = factories.make_member(factories.make_team())
    return factories.make_container(factories.make_app(access, name), node, state="exited")


async def test_a_segment_is_stored_and_answered(
    with_redis: RedisServer, credential: NodeCredential, log_folder: Path
) -> None:
    container = await sync_to_async(_container)(credential.node)
    [segment] = log_of(container, lines("one"))
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        for _twice in range(2):
            await link.tell(segment)
            assert await link.receive() == archive.answer(segment, "stored")
    assert texts(await sync_to_async(read)(container)) == ["one"]


async def test_another_nodes_container_is_not_stored(
    with_redis: RedisServer, credential: NodeCredential, log_folder: Path
) -> None:
    other = await sync_to_async(factories.make_node)("n2")
    [segment] = log_of(await sync_to_async(_container)(other), lines("one"))
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.tell(segment)
        assert await link.receive() == archive.answer(segment, "unwanted")
    assert not log_folder.exists()


async def test_a_disk_that_hangs_holds_up_no_heartbeat_and_not_too_much_waits_for_it(
    with_redis: RedisServer, credential: NodeCredential, log_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()

    def hang(node: str, segment: protocol.LogSegment) -> protocol.LogStored:
        free.wait(10)
        return archive.answer(segment, "stored")

    monkeypatch.setattr(archive, "store", hang)
    monkeypatch.setattr(door, "MOST_STORING", 1)
    [segment] = log_of(await sync_to_async(_container)(credential.node), lines("one"))
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.tell(segment)
        await link.tell(segment)
        answer = await link.receive()
        assert isinstance(answer, protocol.LogStored)
        assert (answer.outcome, answer.error) == ("failed", "the console has too much to store at once")
        await link.tell(protocol.Heartbeat(sent=7.5, digest="d" * 64))
        assert await link.receive() == protocol.Ack(sent=7.5)
        free.set()
        assert await link.receive() == archive.answer(segment, "stored")


async def test_what_nobody_thought_of_is_answered_too(
    with_redis: RedisServer, credential: NodeCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> protocol.LogStored:
        raise ZeroDivisionError

    monkeypatch.setattr(archive, "store", broken)
    segment = protocol.LogSegment(
        slot="s",
        generation=1,
        number=1,
        first="2026-01-02T03:04:05.000000000Z",
        last="2026-01-02T03:04:05.000000000Z",
        lines=1,
        data=b"",
    )
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.tell(segment)
        answer = await link.receive()
        assert isinstance(answer, protocol.LogStored)
        assert answer.outcome == "failed"


@pytest.mark.parametrize(
    "change",
    [{"number": 0}, {"first": "../../etc"}, {"data": b"x" * (protocol.MAX_SEGMENT_BYTES + 1)}, {"lines": -1}],
    ids=["number", "time", "size", "lines"],
)
async def test_a_malformed_segment_ends_the_link(
    with_redis: RedisServer, credential: NodeCredential, change: dict[str, object]
) -> None:
    at = "2026-01-02T03:04:05.000000000Z"
    values: dict[str, object] = {
        "slot": "s",
        "generation": 1,
        "number": 1,
        "first": at,
        "last": at,
        "lines": 1,
        "data": b"",
    }
    async with AgentSocket(credential.token) as link:
        await link.welcome()
        await link.tell(protocol.LogSegment(**{**values, **change}))  # type: ignore[arg-type]
        assert await link.closed() == door.UNREADABLE
