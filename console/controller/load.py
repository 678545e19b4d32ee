"""Rows → what the scheduler sees of the cluster. `read_cluster` is for whoever only looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings

from console.cluster.enums import NodeState
from console.cluster.models import Node
from console.common.prepared import Prepared
from console.controller import requests
from console.controller.requests import Releases
from console.workloads.models import Container, Volume
from nodeagent import protocol
from scheduler import model
from scheduler.lifecycle import State
from scheduler.placement import Cluster
from scheduler.scores import POLICIES

_STATES = {
    NodeState.READY: model.NodeState.READY,
    NodeState.SUSPECT: model.NodeState.SUSPECT,
    NodeState.DOWN: model.NodeState.DOWN,
    NodeState.JOINING: model.NodeState.DOWN,
}
PORT_MEMORY = timedelta(minutes=2)
"""How long a port that a start found taken by others is not given out on its node."""
UNTIL_GONE = datetime.max.replace(tzinfo=UTC)
"""Of what was given up with its node: it has its ports until it is removed there."""
_NOBODY = model.Request(app="", service="", cpu=0, memory=0, priority=2**31)
"""Holds nothing but ports, and is never made to leave."""


class _Row(NamedTuple):
    """A live container: the columns of `_HELD`, in their order."""

    id: str
    slot: str
    service: str
    release: str
    app: str
    team: str
    node: str
    state: str
    cpu: int
    memory: int
    pids: int
    priority: int
    ports: list[tuple[int, int, str]]
    volumes: list[str]
    grants: list[tuple[str, list[int], int]]


_HELD = (
    *("id", "slot_id", "slot__service__name", "release_id", "app_id", "app__team_id", "node_id", "state"),
    *("cpu", "memory", "pids", "priority", "ports", "volumes", "grants"),
)
_LIVE: Prepared[tuple[Any, ...]] = Prepared(
    lambda: (
        Container.objects.exclude(state__in=[State.EXITED, State.FAILED, State.LOST])
        .order_by("id")
        .values_list(*_HELD)
    )
)
_BOUND: Prepared[tuple[str, str, str]] = Prepared(
    lambda: Volume.objects.exclude(node=None).exclude(app=None).values_list("app_ref", "name", "node_id")
)
_LOST = Prepared(lambda: Container.objects.filter(state=State.LOST, removed_at=None).order_by("id"))
_LATELY_FAILED = Prepared(
    lambda since: Container.objects.filter(state=State.FAILED, ended_at__gt=since, started_at=None).order_by(
        "id"
    )
)


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of the nodes. `volumes`: node of each that is bound, by `app id/name`. `ports`: of
    containers that ended and whose ports are not given out yet, until when, and their app."""

    allocations: list[model.Allocation]
    volumes: dict[str, str]
    ports: dict[str, tuple[datetime, str]]


def read_cluster(now: datetime, releases: Releases) -> Cluster:
    """All nodes with what live containers hold of them, and where volumes are, as the database has it now.
    Reads everything; needs neither a step nor the controller's lease. `releases` has their requests then."""
    nodes = {node.id: node for node in Node.objects.all()}
    releases.see_zones(nodes.values())
    rows = held(now, nodes, releases)
    return cluster_of(nodes.values(), rows)


def cluster_of(nodes: Iterable[Node], rows: Held) -> Cluster:
    """With the policy that the operator chose."""
    there = [scheduler_node(node) for node in nodes]
    return Cluster(there, rows.allocations, rows.volumes, policy=POLICIES[settings.PLACEMENT])


def held(now: datetime, nodes: Mapping[str, Node], releases: Releases) -> Held:
    """Of these nodes. `releases` gives each container its service's one request."""
    rows = [_Row(*row) for row in _LIVE()]
    releases.load(row.release for row in rows)
    cache: dict[tuple[object, ...], model.Request] = {}
    allocations = [_allocation(row, releases, cache) for row in rows if row.node in nodes]
    ports = {}
    for container in _refused_ports(now):
        allocations.append(only_ports(container))
        assert container.ended_at is not None  # noqa: S101  (they are chosen by it)
        ports[container.id] = container.ended_at + PORT_MEMORY, container.app_id
    for container in _LOST():
        if container.ports and container.node_id in nodes:
            allocations.append(only_ports(container))
            ports[container.id] = UNTIL_GONE, container.app_id
    return Held(allocations, {f"{app}/{name}": node for app, name, node in _BOUND()}, ports)


def _allocation(
    row: _Row, releases: Releases, cache: dict[tuple[object, ...], model.Request]
) -> model.Allocation:
    key = (row.release, row.service, row.cpu, row.memory, row.pids, row.priority)
    if key not in cache:
        asked = releases.request(row.release, row.service) or model.Request(
            app=row.app,
            service=row.service,
            team=row.team,
            cpu=row.cpu,
            memory=row.memory,
            volumes=tuple(row.volumes),
        )
        cache[key] = requests.as_held(
            asked, cpu=row.cpu, memory=row.memory, pids=row.pids, priority=row.priority
        )
    return model.Allocation(
        container=row.id,
        slot=row.slot,
        node=row.node,
        request=cache[key],
        ports=as_ports(row.ports),
        grants=tuple(model.Grant(kind, tuple(units), share) for kind, units, share in row.grants),
        leaving=row.state == State.STOPPING,
    )


def as_ports(ports: Iterable[tuple[int, int, str]]) -> tuple[model.Port, ...]:
    """A container's column as the scheduler's ports."""
    return tuple(model.Port(inside, host, kind) for host, inside, kind in ports)


def _refused_ports(now: datetime) -> Iterable[Container]:
    """Containers that lately could not start because somebody else on their node has a port of theirs."""
    return (container for container in _LATELY_FAILED(now - PORT_MEMORY) if found_port_taken(container))


def found_port_taken(container: Container) -> bool:
    """It could not start because somebody whom Berth does not know holds one of its host ports."""
    return bool(container.ports) and container.started_at is None and "already" in container.error


def only_ports(container: Container) -> model.Allocation:
    """The ports of a container that ended, held by nobody that we know."""
    return model.Allocation(container.id, "", container.node_id, _NOBODY, as_ports(container.ports))


def scheduler_state(node: Node) -> model.NodeState:
    state = _STATES[NodeState(node.state)]
    return model.NodeState.DRAINING if node.draining and state is model.NodeState.READY else state


def node_facts(node: Node) -> tuple[object, ...]:
    """All that `scheduler_node` depends on."""
    return (
        *(node.name, node.state, node.draining, node.cordoned, node.zone),
        *(node.cpu, node.memory, node.pids, node.disk, node.port_first, node.port_last),
        *(node.off_overlay, node.protocol, node.disk_low),
        *(node.resources, node.engine, node.labels, node.observed_labels, node.images),
    )


def outdated(node: Node) -> bool:
    """Whether its agent, of the protocol version before, knows no secrets."""
    return 0 < node.protocol < protocol.SECRETS_SINCE


def scheduler_node(node: Node) -> model.Node:
    platform = {"platform.os": node.engine.get("os", ""), "platform.arch": node.engine.get("arch", "")}
    return model.Node(
        id=node.id,
        name=node.name,
        state=scheduler_state(node),
        cpu=node.cpu,
        memory=node.memory,
        pids=node.pids,
        disk=node.disk,
        resources=dict(node.resources),
        cordoned=node.cordoned,
        labels={**platform, **node.all_labels},
        zone=node.zone,
        off_overlay=node.off_overlay,
        low_on_disk=node.disk_low,
        off_secrets="has an agent that is too old for secrets" if outdated(node) else "",
        port_first=node.port_first or 30000,
        port_last=node.port_last or 32767,
        images=frozenset(name for image in node.images for name in (image["id"], *image.get("digests", ()))),
    )
