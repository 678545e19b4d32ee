"""What nodes have and what containers use now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import redis
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from console.cluster import looks
from console.cluster.enums import NodeState
from console.cluster.models import Node
from console.workloads import metrics
from console.workloads.models import Container
from console.workloads.queries import node_load

_Kind = TypeVar("_Kind", GaugeMetricFamily, CounterMetricFamily)
LABELS = ("team", "app", "service", "slot", "node")

GAUGES: dict[str, tuple[str, Callable[[metrics.Current], float]]] = {
    "cpu_cores": ("CPU in use, in cores.", lambda one: one.use.cpu / 1000),
    "memory_bytes": ("Memory in use, without the page cache that can go.", lambda one: one.use.memory),
    "memory_limit_bytes": ("Memory that it may use.", lambda one: one.sample.memory_limit),
    "processes": ("Processes and threads.", lambda one: one.sample.pids),
}
COUNTERS: dict[str, tuple[str, Callable[[metrics.Current], float]]] = {
    "cpu_seconds": ("CPU used since its start.", lambda one: one.sample.cpu_total / 1e9),
    "network_received_bytes": ("Received since its start.", lambda one: one.sample.net_rx),
    "network_sent_bytes": ("Sent since its start.", lambda one: one.sample.net_tx),
    "disk_read_bytes": ("Read from disks since its start.", lambda one: one.sample.block_read),
    "disk_written_bytes": ("Written to disks since its start.", lambda one: one.sample.block_write),
}


def collect() -> Iterator[Metric]:
    try:
        current = metrics.current()
        seen = looks.read(list(Node.objects.values_list("id", flat=True)), 1)
    except (redis.RedisError, OSError):
        current, seen = {}, {}
    yield from _nodes(seen)
    yield from _containers(current)


def _nodes(seen: dict[str, list[looks.Look]]) -> Iterator[Metric]:
    def gauge(name: str, text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"berth_node_{name}", text, labels=["node"])

    up = gauge("up", "Whether the node is ready.")
    cpu, memory = gauge("cpu_cores", "Cores that are busy."), gauge("memory_bytes", "Memory in use.")
    has_cpu = gauge("cpu_capacity_cores", "Cores that containers may reserve.")
    has_memory = gauge("memory_capacity_bytes", "Memory that containers may reserve.")
    held_cpu = gauge("cpu_reserved_cores", "Cores that containers hold.")
    held_memory = gauge("memory_reserved_bytes", "Memory that containers hold.")
    load = node_load()
    for node in Node.objects.order_by("name"):
        name, (_count, cpus, bytes_) = [node.name], load.get(node.id, (0, 0, 0))
        up.add_metric(name, node.state == NodeState.READY)
        has_cpu.add_metric(name, node.cpu / 1000)
        has_memory.add_metric(name, node.memory)
        held_cpu.add_metric(name, cpus / 1000)
        held_memory.add_metric(name, bytes_)
        if up_to_date := seen.get(node.id):
            cpu.add_metric(name, up_to_date[-1].cpu / 1000)
            memory.add_metric(name, up_to_date[-1].memory)
    yield from (up, cpu, memory, has_cpu, has_memory, held_cpu, held_memory)


def _containers(current: dict[tuple[str, int], metrics.Current]) -> Iterator[Metric]:
    """Of each slot its newest container: two of one slot would be one series."""
    gauges = {name: _family(GaugeMetricFamily, name, text) for name, (text, _of) in GAUGES.items()}
    counters = {name: _family(CounterMetricFamily, name, text) for name, (text, _of) in COUNTERS.items()}
    restarts = _family(CounterMetricFamily, "restarts", "Restarts by the engine since it was made.")
    ooms = _family(CounterMetricFamily, "out_of_memory_kills", "Killed for lack of memory since its start.")
    told: set[str] = set()
    rows = Container.objects.filter(removed_at=None).select_related("app__team", "slot__service", "node")
    for one in rows.order_by("-generation"):
        used = current.get((one.slot_id, one.generation))
        if used is None or used.node != one.node_id or one.slot_id in told:
            continue
        told.add(one.slot_id)
        labels = [one.app.team.slug, one.app.name, one.slot.service.name, str(one.slot.index), one.node_name]
        for name, (_text, of) in GAUGES.items():
            gauges[name].add_metric(labels, of(used))
        for name, (_text, of) in COUNTERS.items():
            counters[name].add_metric(labels, of(used))
        restarts.add_metric(labels, one.restarts)
        ooms.add_metric(labels, one.oom_events)
    yield from (*gauges.values(), *counters.values(), restarts, ooms)


def _family(kind: type[_Kind], name: str, text: str) -> _Kind:
    return kind(f"berth_container_{name}", text, labels=LABELS)
