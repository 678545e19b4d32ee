"""What containers use now."""

from __future__ import annotations

from dataclasses import dataclass

from console.cluster import looks
from console.cluster.models import Node
from console.workloads.metrics.use import Use, newest, uses
from nodeagent.protocol import Sample


@dataclass(frozen=True, slots=True)
class Current:
    """A container's newest use, and the counters it came with."""

    node: str
    use: Use
    sample: Sample


def current() -> dict[tuple[str, int], Current]:
    """By slot and generation, as nodes said within the last moments; of all teams. Raises `RedisError`."""
    now = looks.now()
    found: dict[tuple[str, int], Current] = {}
    for node, of_node in looks.read(list(Node.objects.values_list("id", flat=True)), 2).items():
        index = newest(of_node, now)
        if index is not None:
            samples = of_node[index].samples
            found |= {key: Current(node, use, samples[key]) for key, use in uses(of_node, index).items()}
    return found
