"""The controller's wire over a real Redis."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import msgspec
import pytest
from channels.layers import get_channel_layer
from pytest_django.fixtures import Settings

from console.common import events
from console.common import redis as keys
from console.controller.sealer import Told
from console.controller.send import Due, Message, ring
from console.controller.wire import Beat, Entry, RedisWire
from lab.redis_server import RedisServer
from nodeagent import protocol
from tests import factories

pytestmark = pytest.mark.redis
JOB = protocol.Stop(id="job1", slot="slot1", generation=3)


@pytest.fixture
def wire(settings: Settings, redis_server: RedisServer) -> Iterator[RedisWire]:
    settings.REDIS_URL = redis_server.url
    layer: dict[str, Any] = {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [redis_server.url]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    keys.client.cache_clear()
    yield RedisWire()
    keys.client.cache_clear()


def _report(node: str, session: int, message: protocol.Up) -> str:
    fields: dict[Any, Any] = {"n": node, "s": str(session), "m": protocol.encode(message)}
    return bytes(keys.client().xadd(keys.REPORTS, fields)).decode()  # type: ignore[arg-type]


def _beat(node: str, age: float = 0.0) -> None:
    seconds, micros = keys.client().time()
    keys.client().zadd(keys.CONTACT, {node: seconds + micros / 1e6 - age})
    stored = {"session": 5, "digest": "d", "engine_ok": True, "engine_error": "", "waiting": False}
    keys.client().hset(keys.BEATS, node, msgspec.msgpack.encode(stored))


def test_the_epoch_stays_until_redis_is_wiped(wire: RedisWire) -> None:
    first = wire.epoch()
    assert (first != "", wire.epoch(), RedisWire().epoch()) == (True, first, first)
    keys.client().flushall()
    assert wire.epoch() != first


def test_reports_are_read_in_their_order_from_a_position_on(wire: RedisWire) -> None:
    message = protocol.Receipt(jobs=("a",))
    first, second = _report("n1", 5, message), _report("n2", 6, message)
    assert wire.read("0-0", 10) == [Entry(first, "n1", 5, message), Entry(second, "n2", 6, message)]
    assert wire.read("0-0", 1) == [Entry(first, "n1", 5, message)]
    assert wire.read(first, 10) == [Entry(second, "n2", 6, message)]
    assert wire.read(second, 10) == []


def test_pokes_and_unreadable_reports_are_entries_without_a_message(wire: RedisWire) -> None:
    events.poke()
    keys.client().xadd(keys.REPORTS, {"n": "n1", "s": "5", "m": b"\xc1"})
    assert [entry.message for entry in wire.read("0-0", 10)] == [None, None]


def test_waiting_ends_with_a_poke(wire: RedisWire) -> None:
    position = _report("n1", 5, protocol.Receipt(jobs=()))
    threading.Timer(0.2, events.poke).start()
    began = monotonic()
    wire.wait(position, 5.0)
    assert 0.1 < monotonic() - began < 2.0


def test_waiting_ends_with_its_time(wire: RedisWire) -> None:
    position = _report("n1", 5, protocol.Receipt(jobs=()))
    began = monotonic()
    wire.wait(position, 0.2)
    assert 0.15 < monotonic() - began < 2.0


def test_contacts_have_their_age_by_the_clock_of_redis(wire: RedisWire) -> None:
    _beat("n1")
    _beat("n2", age=60)
    found = wire.contacts()
    assert found is not None
    assert {node: round(beat.age, -1) for node, beat in found.items()} == {"n1": 0, "n2": 60}
    assert msgspec.structs.replace(found["n1"], age=0) == Beat(
        session=5, digest="d", engine_ok=True, engine_error="", waiting=False
    )


def test_no_contact_at_all_is_blindness_and_not_the_death_of_all(wire: RedisWire) -> None:
    assert wire.contacts() is None


def test_contacts_are_unknown_while_redis_is_away(wire: RedisWire, redis_server: RedisServer) -> None:
    _beat("n1")
    redis_server.stop()
    assert wire.contacts() is None
    redis_server.start()


def test_jobs_arrive_in_the_list_of_their_node_alone(wire: RedisWire) -> None:
    wire.send("n1", [JOB])
    assert keys.client().keys("node:*:jobs") == [b"node:n1:jobs"]
    waiting: Any = keys.client().lrange("node:n1:jobs", 0, -1)
    [message] = [json.loads(raw) for raw in waiting]
    assert message["headers"]["task"] == protocol.TASK
    [batch], _kwargs, _embed = json.loads(base64.b64decode(message["body"]))
    assert protocol.batch_from_builtins(batch) == protocol.Batch(node="n1", jobs=(JOB,))


def test_a_ring_that_fails_is_made_up_for_by_the_next(
    db: None, wire: RedisWire, redis_server: RedisServer
) -> None:
    node = factories.make_node("n1")
    due = [Due(node, (Message(JOB.id, JOB, registry=""),))]
    wire.send(node.id, [JOB])
    redis_server.stop()
    ring(wire, due, Told())
    redis_server.start()
    keys.client().flushall()
    for _ring in range(2):
        ring(wire, due, Told())
    assert keys.client().llen(f"node:{node.id}:jobs")


async def test_asking_reaches_the_link_of_the_node(wire: RedisWire) -> None:
    layer = get_channel_layer()
    assert layer is not None
    channel = await layer.new_channel()
    await layer.group_add("node.n1", channel)
    wire.ask("n2")
    wire.ask("n1")
    heard = await layer.receive(channel)
    assert protocol.decode_down(heard["message"]) == protocol.Resend()
    await layer.group_discard("node.n1", channel)


def test_jobs_arrive_also_after_a_wipe(wire: RedisWire) -> None:
    """The queue's binding is gone with the rest; the connection is not."""
    wire.send("n1", [JOB])
    keys.client().flushall()
    wire.send("n1", [JOB])
    assert keys.client().llen("node:n1:jobs") == 1
