"""The rows that a batch of reports is about: read together, changed in memory, written together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from django.db.models import Model

from console.cluster.models import Job, Node
from console.common.prepared import Prepared
from console.controller import jobs, rows
from console.controller.context import Step
from console.controller.wire import Entry
from console.workloads.models import App, Container, Service, Slot
from nodeagent import protocol

OBSERVED = (
    *("state", "health", "engine_id", "exit_code", "oom", "error", "fatal", "restarts", "recent_restarts"),
    *("last_lines", "progress", "started_at", "healthy_at", "unhealthy_at", "ended_at", "removed_at"),
    "observed_at",
    "oom_events",
    "log_lost",
)
_RECEIVED = ("received_at", "rings", "ring_at", "progress")
_TRIED = ("attempts", "message", "ring_at", "received_at")
_ENDED = ("done_at", "ring_at", "ok", "message", "result")
MOST_RECEIPTS = 1000
"""No batch has more jobs."""
_Model = TypeVar("_Model", bound=Model)
_Key = tuple[str, str, int]
"""Node, slot, generation."""
_CONTAINERS = Container.objects.order_by()
_BY_ID = Prepared(lambda ids: _CONTAINERS.filter(pk__in=ids))
_BY_SLOT = Prepared(lambda slots: _CONTAINERS.filter(slot__in=slots, removed_at=None))
_BY_NODE = Prepared(lambda nodes: _CONTAINERS.filter(node__in=nodes, removed_at=None))
_SLOTS = Prepared(lambda ids: Slot.objects.filter(pk__in=ids))
_SERVICES = Prepared(lambda ids: Service.objects.filter(pk__in=ids))
_APPS = Prepared(lambda ids: App.objects.filter(pk__in=ids))
_OPEN_JOBS = Prepared(lambda ids: Job.objects.filter(pk__in=ids, done_at=None).defer("payload"))


class Ledger:
    """One object for each row, whoever asks for it. What is marked is written by `write`."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self._containers: dict[str, Container] = {}
        self._by_key: dict[_Key, Container] = {}
        self._slots: dict[str, Slot] = {}
        self._services: dict[str, Service] = {}
        self._apps: dict[str, App] = {}
        self._jobs: dict[str, Job] = {}
        self._changed: dict[str, Container] = {}
        self._failed: dict[str, Slot] = {}
        self._nodes: dict[str, Node] = {}
        self._job_fields: defaultdict[tuple[str, ...], dict[str, Job]] = defaultdict(dict)
        self._remains: dict[str, Container] = {}

    # -- reading

    def read(self, entries: Sequence[Entry]) -> None:
        """The rows that these reports name."""
        messages = [(entry.node, entry.message) for entry in entries if entry.message is not None]
        self._read_jobs({id_ for _node, message in messages for id_ in _job_ids(message)})
        ids = {id_ for _node, message in messages for id_ in _container_ids(message)}
        ids |= {job.container_id for job in self._jobs.values()}
        slots = {
            slot
            for _node, message in messages
            if isinstance(message, protocol.Delta)
            for slot, _generation in message.removed
        }
        lost = [(node, one) for node, one in messages if isinstance(one, protocol.LogNotKept)]
        hellos = {node for node, message in messages if isinstance(message, protocol.Hello)}
        for query, wanted in ((_BY_ID, ids - {""}), (_BY_SLOT, slots), (_BY_NODE, hellos)):
            for some in rows.chunks(wanted):
                self._take(query(some))
        for node, one in lost:
            self._take(list(_CONTAINERS.filter(node=node, slot=one.slot, generation=one.generation)))

    def _read_jobs(self, ids: set[str]) -> None:
        for some in rows.chunks(ids):
            for job in _OPEN_JOBS(some):
                self._jobs[job.id] = job

    def _take(self, found: Sequence[Container]) -> None:
        """With what they belong to, which is read by itself: a join would make a row's objects for each container,
        and a database that knows little of its tables yet may begin it at the wrong end."""
        found = [each for each in found if each.id not in self._containers]
        _read(_SLOTS, {each.slot_id for each in found}, self._slots)
        _read(_SERVICES, {self._slots[each.slot_id].service_id for each in found}, self._services)
        _read(_APPS, {each.app_id for each in found}, self._apps)
        for container in found:
            slot = self._slots[container.slot_id]
            slot.service = self._services[slot.service_id]
            container.slot, container.app = slot, self._apps[container.app_id]
            self._containers[container.id] = container
            self._by_key[container.node_id, container.slot_id, container.generation] = container

    def take_up(self, ids: Sequence[str]) -> list[Container]:
        """Containers that no report named."""
        for some in rows.chunks(ids):
            self._take(_BY_ID(some))
        return [self._containers[id_] for id_ in ids if id_ in self._containers]

    def job(self, node: Node, id_: str) -> Job | None:
        """An open job of the node."""
        job = self._jobs.get(id_)
        return job if job is not None and job.node_id == node.id and job.done_at is None else None

    def container(self, id_: str) -> Container | None:
        return self._containers.get(id_)

    def on(self, node: Node) -> list[Container]:
        """Of a node whose hello is among the reports: all that the engine may still have."""
        found = (each for each in self._containers.values() if each.node_id == node.id)
        return sorted((each for each in found if each.removed_at is None), key=lambda each: each.id)

    def at(self, node: Node, slot: str, generation: int) -> Container | None:
        """Of the node's, that one, removed or not."""
        return self._by_key.get((node.id, slot, generation))

    def there(self, node: Node, slot: str, generation: int) -> Container | None:
        container = self._by_key.get((node.id, slot, generation))
        return container if container is not None and container.removed_at is None else None

    def newest(self, container: Container) -> bool:
        """No newer generation of its slot was made: what becomes of it counts for the slot."""
        if container.generation >= container.slot.generation:
            return True
        # The slot's number may be above all its containers', by a fence that was above it.
        newer = Container.objects.filter(slot=container.slot_id, generation__gt=container.generation)
        return not newer.exists()

    # -- marking

    def changed(self, container: Container) -> None:
        self._changed[container.id] = container

    def failed(self, slot: Slot) -> None:
        self._failed[slot.id] = slot

    def digest(self, node: Node, digest: str) -> None:
        if node.digest != digest:
            node.digest = digest
            self._nodes[node.id] = node

    def received(self, job: Job) -> None:
        self._mark(job, _RECEIVED)

    def tried(self, job: Job) -> None:
        self._mark(job, _TRIED)

    def ended(self, job: Job) -> None:
        self._mark(job, _ENDED)

    def _mark(self, job: Job, fields: tuple[str, ...]) -> None:
        self._job_fields[fields][job.id] = job

    def remains(self, container: Container) -> None:
        """It had ended and is stopped now: it is to be removed."""
        self._remains[container.id] = container

    # -- writing

    def write(self) -> None:
        """Bring the database up to what is in memory. Before anything that reads it, and at the end."""
        rows.save(self._changed.values(), OBSERVED)
        rows.save(self._failed.values(), ("failures", "not_before"))
        rows.save_texts(Node, "digest", {node.id: node.digest for node in self._nodes.values()})
        self._write_jobs()
        jobs.remove_remains(self.step, list(self._remains.values()))
        self._changed, self._failed, self._nodes, self._remains = {}, {}, {}, {}

    def _write_jobs(self) -> None:
        for fields, found in self._job_fields.items():
            rows.save_alike(found.values(), fields)
        self._job_fields.clear()

    def reread(self, node: Node) -> None:
        """Jobs of the node were ended in the database."""
        ours = {job.id for job in self._jobs.values() if job.node_id == node.id}
        for some in rows.chunks(ours):
            for id_ in Job.objects.filter(pk__in=some, done_at__isnull=False).values_list("id", flat=True):
                del self._jobs[id_]


def _read(query: Prepared[_Model], ids: set[str], known: dict[str, _Model]) -> None:
    for some in rows.chunks(ids - known.keys()):
        known.update((each.pk, each) for each in query(some))


def _job_ids(message: protocol.Up) -> Iterable[str]:
    match message:
        case protocol.Receipt():
            return message.jobs[:MOST_RECEIPTS]
        case protocol.Progress() | protocol.Result():
            return (message.job,)
    return ()


def _container_ids(message: protocol.Up) -> Iterable[str]:
    match message:
        case protocol.Hello():
            return (one.identity.container for one in message.containers)
        case protocol.Delta():
            return (one.identity.container for one in message.changed)
    return ()
