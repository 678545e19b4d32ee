"""What a container uses at one time, from two looks of its node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from console.cluster.looks import Key, Look
from nodeagent.protocol import Sample

FRESH = 25.0
"""Seconds for which a look stands: one that is late or lost leaves no hole."""


@dataclass(frozen=True, slots=True)
class Use:
    """CPU in thousandths of a core, memory in bytes, the rest in bytes a second."""

    cpu: float = 0.0
    memory: float = 0.0
    net_rx: float = 0.0
    net_tx: float = 0.0
    block_read: float = 0.0
    block_write: float = 0.0

    def __iter__(self) -> Iterator[float]:
        yield from (self.cpu, self.memory, self.net_rx, self.net_tx, self.block_read, self.block_write)


def newest(looks: Sequence[Look], at: float) -> int | None:
    """Position of the look that holds at `at`: the last one by then, if it is fresh."""
    for index in range(len(looks) - 1, -1, -1):
        if looks[index].at <= at:
            return index if looks[index].at > at - FRESH else None
    return None


def uses(looks: Sequence[Look], index: int) -> dict[Key, Use]:
    """Of all containers in one look; their rates come from the look before, if that is not long ago."""
    look = looks[index]
    before = looks[index - 1] if index else None
    elapsed = look.at - before.at if before else 0.0
    known = before.samples if before and 0 < elapsed <= 4 * FRESH else {}
    return {key: _use(sample, known.get(key), elapsed) for key, sample in look.samples.items()}


def _use(sample: Sample, before: Sample | None, elapsed: float) -> Use:
    if before is None:
        return Use(sample.cpu, sample.memory)

    def rate(now: int, then: int) -> float:
        # A container that was restarted counts from 0 again.
        return max(0, now - then) / elapsed

    return Use(
        sample.cpu,
        sample.memory,
        rate(sample.net_rx, before.net_rx),
        rate(sample.net_tx, before.net_tx),
        rate(sample.block_read, before.block_read),
        rate(sample.block_write, before.block_write),
    )
