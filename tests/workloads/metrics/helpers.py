"""Looks of nodes as the agents' door keeps them, at times of one's own."""

from __future__ import annotations

import msgspec

from console.cluster.looks import Look
from console.common import redis as keys
from nodeagent.protocol import Sample, Samples

MIB = 1 << 20


def sample(slot: str, generation: int = 1, **numbers: float) -> Sample:
    values: dict[str, float] = {"cpu": 100.0, "memory": 50 * MIB, "memory_limit": 64 * MIB, **numbers}
    return msgspec.convert({"slot": slot, "generation": generation, **values}, Sample)


def look(at: float, *samples: Sample, cpu: float = 500.0, memory: int = 1000 * MIB) -> Look:
    return Look(at, cpu, memory, {(one.slot, one.generation): one for one in samples})


def keep(node: str, at: float, *samples: Sample, cpu: float = 500.0, memory: int = 1000 * MIB) -> None:
    """As `looks.store` does, but for the time."""
    message = Samples(samples=samples, node_cpu=cpu, node_memory=memory)
    keys.client().rpush(keys.looks_key(node), msgspec.msgpack.encode((at, message)))
