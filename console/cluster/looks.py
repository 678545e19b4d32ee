"""The last minutes of what nodes said of their use: as it came, by node, in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import redis
import redis.asyncio

from console.common import redis as keys
from nodeagent.protocol import Sample, Samples

KEPT = 66
"""Of one node: eleven minutes at one in ten seconds, which a recorder that was away can make up for."""
LIFETIME = 900

Key = tuple[str, int]
"""A slot and the generation that fills it."""


@dataclass(frozen=True, slots=True)
class Look:
    """One node's numbers. `at` is when they came, in seconds of Redis' clock."""

    at: float
    cpu: float
    memory: int
    samples: dict[Key, Sample]


async def store(client: redis.asyncio.Redis, node: str, message: Samples) -> None:
    """Keep the node's numbers under the node of its link: an agent speaks for its own containers alone."""
    seconds, micros = await client.time()
    key = keys.looks_key(node)
    async with client.pipeline(transaction=False) as pipe:
        pipe.rpush(key, msgspec.msgpack.encode((int(seconds) + int(micros) / 1e6, message)))
        pipe.ltrim(key, -KEPT, -1)
        pipe.expire(key, LIFETIME)
        await pipe.execute()


def read(nodes: Sequence[str], newest: int) -> dict[str, list[Look]]:
    """By node, its newest looks, the oldest first. Raises `RedisError`."""
    pipe = keys.client().pipeline(transaction=False)
    for node in nodes:
        pipe.lrange(keys.looks_key(node), -newest, -1)
    return {node: [_look(raw) for raw in rows] for node, rows in zip(nodes, pipe.execute(), strict=True)}


def now() -> float:
    """Redis' clock, by which looks are dated."""
    seconds, micros = keys.client().time()
    return float(seconds) + micros / 1e6


def _look(raw: bytes) -> Look:
    at, message = msgspec.msgpack.decode(raw, type=tuple[float, Samples])
    by_key = {(sample.slot, sample.generation): sample for sample in message.samples}
    return Look(at, message.node_cpu, message.node_memory, by_key)
