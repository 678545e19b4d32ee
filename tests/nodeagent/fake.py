"""A container engine in memory: the smallest one that passes the contract tests.

A container's command decides what it does: a shell script of `echo TEXT` and `exit N` ends at once, anything
else runs until it is stopped. `before` is called with each call's name and may raise, as an engine would.
"""

from __future__ import annotations

import itertools
import queue
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from nodeagent import grants, naming, protocol, vault
from nodeagent.hardening import assert_safe
from nodeagent.protocol import Engine, File, Identity, ImageFact, LogLine, Spec
from nodeagent.runtime import payload
from nodeagent.runtime.base import (
    Conflict,
    ContainerFacts,
    Endpoint,
    EngineEvent,
    EngineUnavailable,
    ExecRequest,
    HostInfo,
    ImageMissing,
    InUse,
    Invalid,
    Listing,
    Login,
    NotFound,
    NotRunning,
    PortTaken,
    Progress,
    RegistryUnreachable,
    StillRunning,
    Usage,
)
from nodeagent.vault import NOTHING, Private, Redact, Shown
from tests.nodeagent.fake_exec import FakeProcess

T = TypeVar("T")
LIVE = {"running", "restarting", "paused"}


class Feed(Generic[T]):
    """A closable iterator that other threads fill. After `fail` its end is an error."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()

    def put(self, item: T) -> None:
        self._queue.put((item,))

    def close(self) -> None:
        self._queue.put(None)

    def fail(self, error: Exception) -> None:
        self._queue.put(error)

    def __iter__(self) -> Iterator[T]:
        while (entry := self._queue.get()) is not None:
            if isinstance(entry, Exception):
                raise entry
            yield entry[0]


@dataclass
class Container:
    facts: ContainerFacts
    spec: Spec
    private: Private = NOTHING
    files: dict[str, bytes] = field(default_factory=dict)
    lines: list[LogLine] = field(default_factory=list)
    followers: list[Feed[LogLine]] = field(default_factory=list)


class FakeRuntime:
    """One engine. Public attributes are its state, for tests to look at and to change."""

    def __init__(self, *images: str) -> None:
        self.containers: dict[str, Container] = {}
        self.local_images = {name: ImageFact(id=_image_id(name), tags=(name,)) for name in images}
        self.registry: dict[str, ImageFact] = {}
        self.networks: dict[str, str] = {}
        """Cluster by name."""
        self.apps: dict[str, str] = {}
        """App by name of the network."""
        self.volumes: dict[str, str] = {}
        self.runtimes = frozenset({"runc"})
        self.data_root = ""
        self.redactor: Callable[[str, Shown], Redact | None] = lambda _name, _shown: None
        self.calls: list[str] = []
        self.processes: list[FakeProcess] = []
        self.before: Callable[[str], None] = lambda call: None
        self.pull_started = threading.Event()
        self.pull_may_end = threading.Event()
        self.pull_may_end.set()
        self._feeds: list[Feed[EngineEvent]] = []
        self._ids = itertools.count(1)
        self._addresses = itertools.count(2)
        self._lock = threading.RLock()

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)

    def info(self) -> HostInfo:
        self._call("info")
        engine = Engine(version="fake", api="1.41", os="linux", arch="amd64")
        return HostInfo(engine, 4000, 8 << 30, self.data_root, self.runtimes, "runc")

    def list_managed(self, cluster: str, known: Mapping[str, ContainerFacts] | None = None) -> Listing:
        del known
        self._call("list")
        with self._lock:
            facts = [item.facts for item in self.containers.values()]
        marked = [item for item in facts if protocol.LABEL_CLUSTER in item.labels]
        own = tuple(item for item in marked if item.labels[protocol.LABEL_CLUSTER] == cluster)
        return Listing(own, len(marked) - len(own))

    def inspect(self, name: str) -> ContainerFacts | None:
        self._call("inspect")
        found = self._find(name)
        return found.facts if found else None

    def create(self, identity: Identity, spec: Spec, private: Private = NOTHING) -> ContainerFacts:
        self._call("create")
        assert_safe(spec, payload.host_config(identity, spec, 20000, private), private)
        grants.check_engine(spec, self.runtimes)
        name, labels = identity.engine_name, payload.labels(identity)
        existing = self._find(name)
        if existing:
            if any(existing.facts.labels.get(key) != labels[key] for key in (protocol.LABEL_DIGEST,)):
                raise Conflict(f"{name} is another container")
            return existing.facts
        if self._image(spec.image) is None:
            raise ImageMissing(f"{spec.image} is not here")
        facts = ContainerFacts(
            engine_id=f"{next(self._ids):064x}",
            name=name,
            labels=payload.all_labels(identity, spec),
            state="created",
            ports=spec.ports,
            stop_grace=spec.stop_grace,
            memory_limit=spec.memory,
            tty=spec.tty,
            networks={
                one.network: self._endpoint(naming.at_first(spec, one.aliases))
                for one in spec.attachments[:1]
            },
        )
        self.containers[name] = Container(facts, spec, private)
        for mount in spec.mounts:
            if mount.kind == "volume":
                self.volumes.setdefault(mount.source, identity.cluster)
        self._tell("create", facts)
        return facts

    def write_files(self, name: str, files: tuple[File, ...]) -> None:
        self._call("files")
        self._must(name).files.update({file.target: file.content for file in files})

    def start(self, name: str) -> None:
        self._call("start")
        container = self._must(name)
        if container.facts.state in LIVE:
            return
        command = container.spec.command or ("demo",)
        if command[0].startswith("/missing"):
            self.change(name, state="created", error="executable file not found", exit_code=127)
            raise Invalid("executable file not found. Check the command.")
        self._check_ports(container)
        self.change(name, state="running", started_at=time.time(), pid=1000, exit_code=None, tell="start")
        for text, source in re.findall(r"echo (\w+)( >&2)?", " ".join(command)):
            self.say(name, text, "stderr" if source else "stdout")
        ended = re.search(r"exit (\d+)", " ".join(command))
        if ended:
            self.end(name, int(ended[1]))

    def _check_ports(self, container: Container) -> None:
        others = [item for item in self.containers.values() if item.facts.state in LIVE]
        taken = {port.host for item in others for port in item.spec.ports}
        if taken & {port.host for port in container.spec.ports}:
            raise PortTaken("port is already allocated")

    def stop(self, name: str, grace: float) -> None:
        self._call("stop")
        found = self._find(name)
        if found and found.facts.state in LIVE:
            self.end(name, 143)

    def remove(self, name: str) -> None:
        self._call("remove")
        found = self._find(name)
        if found is None:
            return
        if found.facts.state in LIVE:
            raise StillRunning(f"{name} runs")
        del self.containers[found.facts.name]
        self._tell("destroy", found.facts)

    def image(self, reference: str) -> ImageFact | None:
        self._call("image")
        return self._image(reference)

    def images(self) -> tuple[ImageFact, ...]:
        self._call("images")
        return tuple(self.local_images.values())

    def used_images(self) -> frozenset[str]:
        self._call("used_images")
        names = {item.spec.image for item in self.containers.values()}
        return frozenset(names | {fact.id for name in names if (fact := self._image(name))})

    def remove_image(self, name: str) -> None:
        self._call("remove_image")
        fact = self._image(name)
        if fact is None:
            return
        tags = tuple(one for one in fact.tags if one != name)
        digests = tuple(one for one in fact.digests if one != name)
        if not tags and not digests and fact.id in self.used_images():
            raise InUse(f"{name}: a container is using its referenced image")
        key = next(key for key, one in self.local_images.items() if one is fact)
        del self.local_images[key]
        if tags or digests:
            self.local_images[key] = msgspec.structs.replace(fact, tags=tags, digests=digests)

    def pull(self, image: str, login: Login | None, progress: Progress, timeout: float) -> ImageFact:
        self._call("pull")
        self.pull_started.set()
        if image not in self.registry:
            raise ImageMissing(
                f"{image}: manifest unknown. Check the name, or store registry credentials for it."
            )
        progress("Downloading", 1, 2)
        self.pull_may_end.wait(timeout)
        self.local_images[image] = self.registry[image]
        return self.registry[image]

    def resolve(self, image: str, login: Login | None, timeout: float) -> ImageFact:
        self._call("resolve")
        if image not in self.registry:
            raise RegistryUnreachable(f"{image}: no such host.")
        return self.registry[image]

    def ensure_network(
        self, name: str, cluster: str, app: str, *, internal: bool = False, steady: bool = False
    ) -> None:
        self._call("network")
        if self.networks.setdefault(name, cluster) != cluster or self.apps.setdefault(name, app) != app:
            raise Conflict(f"network {name} is not ours")

    def network_exists(self, name: str, cluster: str, app: str = "") -> bool:
        self._call("network_exists")
        if self.networks.get(name, cluster) != cluster or (app and self.apps.get(name, app) != app):
            raise Conflict(f"network {name} is not ours")
        return name in self.networks

    def join(self, name: str, network: str, aliases: tuple[str, ...], address: str = "") -> None:
        self._call("join")
        facts = self._must(name).facts
        if network not in self.networks:
            raise NotFound(f"network {network} is not here")
        if not facts.networks.get(network, Endpoint()).address:
            self.change(name, networks={**facts.networks, network: self._endpoint(aliases, address)})

    def leave(self, name: str, network: str) -> None:
        self._call("leave")
        found = self._find(name)
        if found:
            self.change(name, networks={k: v for k, v in found.facts.networks.items() if k != network})

    def await_parted(self, network: str) -> None:
        self._call("await_parted")

    def _endpoint(self, names: tuple[str, ...], address: str = "") -> Endpoint:
        return Endpoint(address or f"10.0.0.{next(self._addresses)}", frozenset(names))

    def check_volume(self, name: str, cluster: str) -> None:
        self._call("check_volume")
        if self.volumes.get(name, cluster) != cluster:
            raise Conflict(f"volume {name} is not ours")

    def volume_places(self, cluster: str) -> dict[str, Path]:
        self._call("volumes")
        return {name: Path("/nowhere") / name for name, owner in self.volumes.items() if owner == cluster}

    def volume_sizes(self, names: Collection[str]) -> dict[str, int]:
        self._call("df")
        return dict.fromkeys(names, 4096)

    def remove_network_if_unused(self, name: str, cluster: str) -> bool:
        self._call("remove_network")
        if self.networks.get(name, cluster) != cluster:
            raise Conflict(f"network {name} is not ours")
        users = [item for item in self.containers.values() if name in item.facts.networks]
        if any(item.facts.state in LIVE for item in users):
            return False
        self.networks.pop(name, None)
        self.apps.pop(name, None)
        return True

    def remove_volume(self, name: str, cluster: str) -> None:
        self._call("remove_volume")
        if self.volumes.get(name, cluster) != cluster:
            raise Conflict(f"volume {name} is not ours")
        if any(mount.source == name for item in self.containers.values() for mount in item.spec.mounts):
            raise InUse(f"volume {name} is in use")
        self.volumes.pop(name, None)

    def events(self) -> Feed[EngineEvent]:
        self._call("events")
        feed: Feed[EngineEvent] = Feed()
        self._feeds.append(feed)
        return feed

    def logs(
        self, container: str | ContainerFacts, *, follow: bool, tail: int, since: float
    ) -> Feed[LogLine]:
        self._call("logs")
        name = container if isinstance(container, str) else container.engine_id
        return self._lines(name, follow, tail, since)

    def _lines(self, name: str, follow: bool, tail: int, since: float) -> Feed[LogLine]:
        container = self._must(name)
        private, variables = container.private, container.private.variables or {}
        redact = self.redactor(
            container.facts.name, vault.shown(container.facts.labels, variables, bound=bool(private.binds))
        )
        feed: Feed[LogLine] = Feed()
        past = [line for line in container.lines if datetime.fromisoformat(line.at).timestamp() >= since]
        for line in past if tail < 0 else past[len(past) - min(tail, len(past)) :]:
            feed.put(msgspec.structs.replace(line, text=redact(line.text)) if redact else line)
        if follow and container.facts.state in LIVE:
            container.followers.append(feed)
        else:
            feed.close()
        return feed

    def stats(self, name: str) -> Usage:
        self._call("stats")
        self._must(name)
        return Usage(at=time.monotonic(), cpu_ns=1_000_000, memory=1 << 20, pids=1)

    def execute(self, name: str, request: ExecRequest) -> FakeProcess:
        self._call("execute")
        if self._must(name).facts.state != "running":
            raise NotRunning(f"{name} does not run")
        process = FakeProcess(request)
        self.processes.append(process)
        return process

    # What happens inside the engine, for tests to bring about.

    def say(self, name: str, text: str, source: Any = "stdout") -> None:
        """The container writes a line."""
        container = self._must(name)
        line = LogLine(at=datetime.now(UTC).isoformat().replace("+00:00", "Z"), source=source, text=text)
        container.lines.append(line)
        for feed in container.followers:
            feed.put(line)

    def end(self, name: str, exit_code: int) -> None:
        """The container's program ends."""
        self.change(name, state="exited", exit_code=exit_code, finished_at=time.time(), pid=0, tell="die")
        container = self._must(name)
        followers, container.followers = container.followers, []
        for feed in followers:
            feed.close()

    def change(self, name: str, *, tell: str = "", **facts: Any) -> None:
        with self._lock:
            container = self._must(name)
            container.facts = replace(container.facts, **facts)
        if tell:
            self._tell(tell, container.facts)

    def tell_images(self) -> None:
        for feed in self._feeds:
            feed.put(EngineEvent("image", "pull", "x"))

    def die(self) -> None:
        """The engine goes away: every open stream of events breaks."""
        feeds, self._feeds = self._feeds, []
        for feed in feeds:
            feed.fail(EngineUnavailable("the engine is gone"))

    def _tell(self, action: str, facts: ContainerFacts) -> None:
        for feed in list(self._feeds):
            feed.put(EngineEvent("container", action, facts.engine_id, facts.labels))

    def _find(self, name: str) -> Container | None:
        with self._lock:
            by_id = (item for item in self.containers.values() if item.facts.engine_id == name)
            return self.containers.get(name) or next(by_id, None)

    def _must(self, name: str) -> Container:
        found = self._find(name)
        if found is None:
            raise NotFound(f"{name} is not here")
        return found

    def _image(self, reference: str) -> ImageFact | None:
        known = self.local_images.values()
        same = (fact for fact in known if reference == fact.id or reference in fact.digests)
        return self.local_images.get(reference) or next(same, None)


def _image_id(name: str) -> str:
    return f"sha256:{name.encode().hex():0>64}"[:71]
