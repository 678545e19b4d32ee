"""Recent numbers of an app's containers, from Redis: at most an hour, and gone with it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import redis

from console.common import redis as keys
from console.common.errors import Unavailable
from console.workloads.models import App, Container
from console.workloads.queries import containers_of
from nodeagent.protocol import Sample


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One container's samples, oldest first: `at` in Unix seconds, `cpu` in thousandths of a core, the rest bytes."""

    container: str
    name: str
    service: str
    at: list[int]
    cpu: list[float]
    memory: list[int]
    memory_limit: int


def series(app: App) -> dict[str, Series]:
    """By container id, of the containers that are on nodes now. Raises `Unavailable` while Redis is away."""
    containers = containers_of(app)
    return {
        container.id: _series(container, raw)
        for container, raw in zip(containers, _read(containers), strict=True)
    }


def _read(containers: Sequence[Container]) -> list[list[bytes]]:
    pipe = keys.client().pipeline(transaction=False)
    for container in containers:
        pipe.lrange(keys.samples_key(container.node_id, container.slot_id, container.generation), 0, -1)
    try:
        rows: list[list[bytes]] = pipe.execute()
    except redis.RedisError as error:
        raise Unavailable("Metrics cannot be read now: Redis is away.", code="redis_away") from error
    return rows


def _series(container: Container, raw: list[bytes]) -> Series:
    rows = [msgspec.msgpack.decode(row, type=tuple[int, Sample]) for row in raw]
    return Series(
        container=container.id,
        name=container.name,
        service=container.slot.service.name,
        at=[at for at, _sample in rows],
        cpu=[sample.cpu for _at, sample in rows],
        memory=[sample.memory for _at, sample in rows],
        memory_limit=container.memory_limit,
    )
