"""The agent's step: what is wanted and what the engine says → at most one engine call → what is now.

`decide` is pure. `Stepper` looks, decides and acts until nothing is left to do; it may be cut off and
repeated at every point. A look and its act hold the slot's lock; a pull holds none, so a stop gets through.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nodeagent import hardening, names, naming
from nodeagent.errors import Refused, Unsettled
from nodeagent.facts import identity_of
from nodeagent.fence import Fence
from nodeagent.memory import Blank, Memory
from nodeagent.protocol import LABEL_APP, Attachment, Ensure, Identity, Remove, Spec, Stop, engine_name
from nodeagent.runtime.base import Conflict, ContainerFacts, ImageMissing, Runtime
from nodeagent.session import Session
from nodeagent.vault import Vault

MAX_STEPS = 12
_LIVE = {"running", "paused", "restarting"}


class Wanted(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"


class Act(StrEnum):
    """The next engine call; DONE is none."""

    NETWORK = "network"
    CREATE = "create"
    JOIN = "join"
    FILES = "files"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the engine says now. All but the container matter only on the way to one."""

    container: ContainerFacts | None
    network: bool = True
    """Its networks are there."""
    joined: bool = True
    """It is on all of its networks."""
    files: bool = True
    """The container's files were written since this job began."""


def decide(wanted: Wanted, seen: Seen) -> Act:
    """The one act that brings the engine nearer to what is wanted. What has ended is never started again."""
    container = seen.container
    if wanted is Wanted.RUNNING:
        return _towards_running(seen)
    if container is None:
        return Act.DONE
    if container.state == "created":
        # It never ran: there is nothing to stop, and nothing of it that anyone could still read.
        return Act.REMOVE
    if not container.ended:
        return Act.STOP
    return Act.REMOVE if wanted is Wanted.GONE else Act.DONE


def _towards_running(seen: Seen) -> Act:
    container = seen.container
    if container is None:
        return Act.CREATE if seen.network else Act.NETWORK
    if container.state != "created" or container.ended:
        return Act.DONE
    if not seen.joined:
        return Act.JOIN
    return Act.START if seen.files else Act.FILES


class NeedsPull(Exception):
    """The image is not here; the caller pulls it without holding anything and comes back."""

    def __init__(self, missing: ImageMissing) -> None:
        super().__init__(missing.message)
        self.missing = missing


@dataclass(slots=True)
class _SlotLock:
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class Stepper:
    """Carries out jobs on one engine. Raises `AgentError`s; a return is success.

    An engine that starts hundreds of containers has no time for questions: what the fence, its last answer or `memory`
    says is not asked again.
    """

    def __init__(
        self, runtime: Runtime, fence: Fence, session: Session, vault: Vault, memory: Memory | None = None
    ) -> None:
        self._vault = vault
        self._memory = memory or Blank()
        self._runtime = runtime
        self._fence = fence
        self._session = session
        self._locks: dict[str, _SlotLock] = {}
        self._locks_guard = threading.Lock()

    def ensure(self, job: Ensure, ticket: int | None = None) -> None:
        """Raises `NeedsPull` when the image must be fetched first, `Waiting` once the ticket's session is over."""
        identity, spec = job.identity, job.spec
        _check_slot(identity.slot, identity.generation)
        if identity.cluster != self._session.cluster:
            raise Refused(f"{identity.name} belongs to another cluster than this node.")
        hardening.check_spec(spec)
        hardening.check_networks(identity, spec)
        # Into a read-only root they come by the vault.
        files_written = not spec.files or spec.read_only
        absent, container = False, None
        for _ in range(MAX_STEPS):
            with self._lock(identity.slot):
                absent |= self._fence.admit(identity.slot, identity.generation)
                self._session.note_started((identity.slot, identity.generation), ticket)
                if container is None and not absent:
                    container = self._own(identity.engine_name)
                seen = replace(self._look(job, container), files=files_written)
                act = decide(Wanted.RUNNING, seen)
                if act is Act.DONE:
                    self._vault.restore(job)
                    return
                container = self._towards(act, job, container)
                if act is Act.START:
                    return
                absent = absent and act is Act.NETWORK
                files_written = files_written or act is Act.FILES
        raise Unsettled(f"{identity.name} did not come up within {MAX_STEPS} steps.")

    def stop(self, job: Stop) -> ContainerFacts | None:
        """Stopped or absent afterwards, and never started again. What the engine says of it then."""
        _check_slot(job.slot, job.generation)
        self._fence.close((job.slot, job.generation))
        return self._bring(Wanted.STOPPED, job.slot, job.generation, job.grace)

    def remove(self, job: Remove) -> None:
        """Gone afterwards, with its volumes and, when unused, its network. Refuses a running one."""
        _check_slot(job.slot, job.generation)
        for volume in job.volumes:
            names.check_name(names.VOLUME, volume, "The volume")
        if job.network:
            names.check_network(job.network)
        self._fence.close((job.slot, job.generation))
        with self._lock(job.slot):
            name = engine_name(job.slot, job.generation)
            container = self._memory.find(job.slot, job.generation) or self._own(name)
            if container is not None:
                self._runtime.remove(name)
                self._memory.removed(container)
            self._vault.drop(name)
        for volume in job.volumes:
            self._runtime.remove_volume(volume, self._session.cluster)
        for network in dict.fromkeys((job.network, *_own_networks(container))):
            # Whoever goes last, and is forgotten first, finds it unused.
            if network and not self._memory.on_network(network):
                self._runtime.remove_network_if_unused(network, self._session.cluster)

    def name(self, identity: Identity) -> None:
        """Give a running container the names that it should have now, or take them from it."""
        with self._lock(identity.slot):
            container = self._own(identity.engine_name)
            for one in naming.due(container) if container else ():
                if one.joined:
                    self._runtime.leave(identity.engine_name, one.network)
                    self._runtime.await_parted(one.network)
                self._runtime.join(identity.engine_name, one.network, one.names, one.address)

    def halt(self, slot: str, generation: int, grace: float) -> None:
        """Stopped: a container that is not this node's any more, and is about to be cleared away."""
        self._bring(Wanted.STOPPED, slot, generation, grace)

    def clear(self, slot: str, generation: int, grace: float) -> None:
        """Stopped and removed: a container that is not this node's any more."""
        self._bring(Wanted.GONE, slot, generation, grace)

    def _bring(self, wanted: Wanted, slot: str, generation: int, grace: float) -> ContainerFacts | None:
        name = engine_name(slot, generation)
        # In this order a NaN becomes 0.
        grace = max(0.0, min(grace, hardening.MAX_GRACE))
        known = self._memory.find(slot, generation)
        container = known if known is not None and known.state in _LIVE else None
        for _ in range(MAX_STEPS):
            with self._lock(slot):
                container = container or self._own(name)
                act = decide(wanted, Seen(container))
                if act is Act.DONE or container is None:
                    return container
                if act is Act.REMOVE:
                    self._runtime.remove(name)
                    self._vault.drop(name)
                    self._memory.removed(container)
                    container = None
                else:
                    self._runtime.stop(name, grace)
                    container = self._memory.await_end(slot, generation)
        raise Unsettled(f"The container {name} does not become {wanted}.")

    def _look(self, job: Ensure, container: ContainerFacts | None) -> Seen:
        identity, spec = job.identity, job.spec
        if container is not None:
            found = identity_of(container.labels)
            if found is None or found.digest != identity.digest:
                raise Conflict(
                    f"The container {identity.engine_name} exists with another content than {identity.name} "
                    "is to have. Remove it by hand if it is not needed."
                )
            return Seen(container, joined=not _missing(container, spec))
        for mount in spec.mounts:
            if mount.kind == "volume":
                self._runtime.check_volume(mount.source, identity.cluster)
        there = [
            one.overlay or self._runtime.network_exists(one.network, identity.cluster, identity.app)
            for one in spec.attachments
        ]
        return Seen(None, network=all(there))

    def _towards(self, act: Act, job: Ensure, container: ContainerFacts | None) -> ContainerFacts | None:
        """What the container is now, where the act itself tells."""
        identity, spec = job.identity, job.spec
        match act:
            case Act.NETWORK:
                for one in (each for each in spec.attachments if not each.overlay):
                    self._runtime.ensure_network(
                        *(one.network, identity.cluster, identity.app),
                        internal=one.internal,
                        steady=one.steady,
                    )
            case Act.CREATE:
                try:
                    return self._runtime.create(identity, spec, self._vault.prepare(job))
                except ImageMissing as missing:
                    raise NeedsPull(missing) from missing
            case Act.JOIN:
                for one in _missing(container, spec) if container else ():
                    names_now = naming.at_first(spec, one.aliases)
                    self._runtime.join(identity.engine_name, one.network, names_now)
            case Act.FILES:
                self._runtime.write_files(identity.engine_name, spec.files)
                return container
            case _:
                # Once more: between the two the host may have been started anew.
                self._vault.prepare(job)
                self._runtime.start(identity.engine_name)
        return None

    def _own(self, name: str) -> ContainerFacts | None:
        """The container of this name. Raises `Conflict` when it is not this cluster's: never touched."""
        container = self._runtime.inspect(name)
        if container is None:
            return None
        found = identity_of(container.labels)
        if found is None or found.cluster != self._session.cluster or found.engine_name != name:
            raise Conflict(f"The container {name} was not made by this cluster, so it is not touched.")
        return container

    @contextmanager
    def _lock(self, slot: str) -> Iterator[None]:
        """One at a time for each slot; a lock is there for as long as somebody has or wants it."""
        with self._locks_guard:
            lock = self._locks.setdefault(slot, _SlotLock())
            lock.users += 1
        try:
            with lock.lock:
                yield
        finally:
            with self._locks_guard:
                lock.users -= 1
                if not lock.users:
                    del self._locks[slot]


def _missing(container: ContainerFacts, spec: Spec) -> tuple[Attachment, ...]:
    """Networks that a made container has not joined yet."""
    return tuple(one for one in spec.attachments if one.network not in container.networks)


def _own_networks(container: ContainerFacts | None) -> list[str]:
    """The bridges of its app: the engine has others that nobody asked for, and those across hosts are a manager's."""
    if container is None:
        return []
    app = container.labels.get(LABEL_APP, "")
    return [
        name
        for name in container.networks
        if name.startswith(f"berth-{app}") and not name.startswith(f"berth-{app}_")
    ]


def _check_slot(slot: str, generation: int) -> None:
    names.check_name(names.SLOT, slot, "The slot")
    if not 1 <= generation <= names.MAX_GENERATION:
        raise Refused(f"Generation {generation} of slot {slot} is not within 1 and {names.MAX_GENERATION}.")
