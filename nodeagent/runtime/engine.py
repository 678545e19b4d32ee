"""Docker Engine behind the `Runtime` port: API 1.41 and later, cgroup v1 and v2."""

from __future__ import annotations

import io
import json
import resource
import tarfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import requests

from nodeagent import grants, protocol, vault
from nodeagent.hardening import assert_safe
from nodeagent.protocol import File, Identity, ImageFact, LogLine, Spec
from nodeagent.runtime import demux, faults, parse, payload
from nodeagent.runtime.base import (
    Conflict,
    ContainerFacts,
    EngineError,
    EngineEvent,
    EngineTimeout,
    EngineUnavailable,
    ExecRequest,
    HostInfo,
    Invalid,
    Listing,
    Login,
    NotFound,
    NotRunning,
    Process,
    Progress,
    Stream,
    Usage,
)
from nodeagent.runtime.docker import (
    CALL_TIMEOUT,
    Closable,
    Connection,
    Whole,
    auth_header,
    path_part,
    split_reference,
)
from nodeagent.runtime.processes import start_process
from nodeagent.runtime.pull import read_pull
from nodeagent.runtime.swarm import DockerSwarm
from nodeagent.vault import Private, Redact, Shown

STREAM_GAP = 60.0
"""Longest silence of a pull. Docker writes progress several times a second."""
DF_TIMEOUT = 300.0
REMOVE_TIMEOUT = 120.0
"""For an image: thousands of files may go with it."""
PARTED, HEARD = 5.0, 1.0
"""Seconds in which an engine gives up a network across hosts, by way of a manager; and after which the others know:
they gossip five times a second (docs/adr/0008-private-networks.md)."""
FEW_LINES = 100
"""So many lines of a log are read at once, without what the SDK does for a stream."""
CONTAINER_ACTIONS = ["create", "start", "die", "oom", "pause", "unpause", "destroy", "health_status"]
NOTHING: Mapping[str, ContainerFacts] = {}
IMAGE_ACTIONS = ["pull", "tag", "untag", "delete", "load", "import"]


class DockerRuntime:
    """Every call is bounded by a timeout. Safe to use from many threads."""

    def __init__(
        self,
        host: str,
        *,
        tls_dir: str = "",
        timeout: float = CALL_TIMEOUT,
        redactor: Callable[[str, Shown], Redact | None] = lambda _name, _shown: None,
    ) -> None:
        """`redactor` gives what takes a container's secrets out of its log, by its name and what the engine shows of
        them. What it raises is raised for the log."""
        self._redactor = redactor
        self._engine = Connection(host, tls_dir=tls_dir, timeout=timeout)
        self.swarm = DockerSwarm(self._engine)
        self._nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self._network_lock = threading.Lock()
        self._networks: set[tuple[str, str, str]] = set()
        """Name, cluster and app of those that are there, as long as the engine's events say when they go."""
        self._host: HostInfo | None = None
        self._listening = 0

    def info(self) -> HostInfo:
        self._engine.reset()
        version = self._engine.json("GET", "/version", "The engine cannot be asked")
        info = self._engine.json("GET", "/info", "The engine cannot be asked")
        self._host = parse.host(version, info, self._engine.api_version)
        return self._host

    def list_managed(self, cluster: str, known: Mapping[str, ContainerFacts] = NOTHING) -> Listing:
        filters = json.dumps({"label": [protocol.LABEL_CLUSTER]})
        found = self._engine.json(
            "GET", "/containers/json", "Containers cannot be listed", params={"all": "1", "filters": filters}
        )
        ours = [item for item in found if item["Labels"].get(protocol.LABEL_CLUSTER) == cluster]
        own, silent = [], set[str]()
        for item in ours:
            facts = parse.unchanged(item, known.get(item["Id"]))
            if facts is None and not silent:
                try:
                    facts = self.inspect(item["Id"])
                except EngineTimeout:
                    silent.add(item["Id"])
                    continue
            if facts is not None:
                own.append(facts)
            elif silent:
                # One that was waited for is enough.
                silent.add(item["Id"])
        return Listing(tuple(own), len(found) - len(ours), frozenset(silent))

    def inspect(self, name: str) -> ContainerFacts | None:
        data = self._inspected(name)
        return parse.container(data) if data else None

    def _inspected(self, name: str) -> dict[str, Any] | None:
        return self._engine.found(
            f"/containers/{path_part(name)}/json", f"The container {name} cannot be looked at"
        )

    def create(self, identity: Identity, spec: Spec, private: Private = vault.NOTHING) -> ContainerFacts:
        # Asked whenever the engine is reached anew, and runtimes change with its restart only.
        host = self._host or self.info()
        body = payload.create_body(identity, spec, self._nofile, host.default_runtime, private)
        assert_safe(spec, body["HostConfig"], private)
        grants.check_engine(spec, host.runtimes)
        name = identity.engine_name
        try:
            made = self._engine.json(
                "POST",
                "/containers/create",
                params={"name": name},
                body=body,
                fault=lambda status, words: faults.create_fault(name, status, words),
            )
        except Conflict as conflict:
            return self._same_or(conflict, identity)
        return payload.made(made["Id"], identity, spec, body)

    def _same_or(self, conflict: Conflict, identity: Identity) -> ContainerFacts:
        facts = self.inspect(identity.engine_name)
        wanted = payload.labels(identity)
        keys = (protocol.LABEL_CLUSTER, protocol.LABEL_SLOT, protocol.LABEL_GENERATION, protocol.LABEL_DIGEST)
        if facts is None or any(facts.labels.get(key) != wanted[key] for key in keys):
            raise conflict
        return facts

    def write_files(self, name: str, files: tuple[File, ...]) -> None:
        what = f"Files cannot be written into {name}"
        self._engine.call(
            "PUT", f"/containers/{path_part(name)}/archive", what, params={"path": "/"}, data=archive(files)
        )

    def start(self, name: str) -> None:
        self._engine.call(
            "POST",
            f"/containers/{path_part(name)}/start",
            fault=lambda status, words: faults.start_fault(name, status, words),
        )

    def stop(self, name: str, grace: float) -> None:
        seconds = max(0, round(grace))
        with suppress(NotFound):
            self._engine.call(
                "POST",
                f"/containers/{path_part(name)}/stop",
                f"The container {name} cannot be stopped",
                params={"t": str(seconds)},
                timeout=self._engine.timeout + seconds,
            )

    def remove(self, name: str) -> None:
        with suppress(NotFound):
            path = f"/containers/{path_part(name)}"
            self._engine.call("DELETE", path, f"The container {name} cannot be removed", params={"v": "1"})

    def image(self, reference: str) -> ImageFact | None:
        data = self._engine.found(
            f"/images/{path_part(reference)}/json", f"The image {reference} cannot be looked at"
        )
        return parse.image(data) if data else None

    def images(self) -> tuple[ImageFact, ...]:
        return tuple(
            parse.image(item) for item in self._engine.json("GET", "/images/json", "Images cannot be listed")
        )

    def used_images(self) -> frozenset[str]:
        every = {"all": "1"}
        containers = self._engine.json("GET", "/containers/json", "Containers cannot be listed", params=every)
        images = self._engine.json("GET", "/images/json", "Images cannot be listed", params=every)
        # The name as well: what an image's id is differs between the engine's two ways of storing them.
        used = {str(item.get(key) or "") for item in containers for key in ("ImageID", "Image")}
        return frozenset(used | {str(item.get("ParentId") or "") for item in images}) - {""}

    def remove_image(self, name: str) -> None:
        with suppress(NotFound):
            self._engine.call(
                "DELETE",
                f"/images/{path_part(name)}",
                # Without its parents: on an engine that others share those may be the steps of somebody's build.
                params={"force": "0", "noprune": "1"},
                timeout=REMOVE_TIMEOUT,
                fault=lambda status, words: faults.image_fault(name, status, words),
            )

    def pull(self, image: str, login: Login | None, progress: Progress, timeout: float) -> ImageFact:
        deadline = time.monotonic() + timeout
        repository, tag = split_reference(image)
        with (
            self._engine.stream(
                "POST",
                "/images/create",
                params={"fromImage": repository, "tag": tag},
                headers=auth_header(login),
                timeout=min(STREAM_GAP, timeout),
                fault=lambda _, words: faults.pull_fault(image, words),
            ) as response,
            self._engine.bounded(),
        ):
            read_pull(image, response.iter_lines(), progress, deadline)
        fact = self.image(image)
        if fact is None:
            raise EngineError(f"The image {image} was pulled but is not on the node.")
        return fact

    def resolve(self, image: str, login: Login | None, timeout: float) -> ImageFact:
        repository, _ = split_reference(image)
        answer = self._engine.json(
            "GET",
            f"/distribution/{path_part(image)}/json",
            headers=auth_header(login),
            timeout=timeout,
            fault=lambda _, words: faults.pull_fault(image, words),
        )
        return ImageFact(id="", tags=(image,), digests=(f"{repository}@{answer['Descriptor']['digest']}",))

    def ensure_network(
        self, name: str, cluster: str, app: str, *, internal: bool = False, steady: bool = False
    ) -> None:
        # The engine lets two networks have one name, so makers take turns.
        with self._network_lock:
            if self._owned(f"/networks/{path_part(name)}", "network", name, cluster, app):
                return
            body = payload.network_body(name, cluster, app, internal=internal)
            self._make_network(name, body)
            if steady:
                self._make_steady(name, body)

    def _make_network(self, name: str, body: dict[str, Any]) -> None:
        self._engine.call("POST", "/networks/create", f"The network {name} cannot be made", body=body)

    def _make_steady(self, name: str, body: dict[str, Any]) -> None:
        """Made again with the subnet that the engine chose: it lets nobody ask for an address in one of its choice."""
        path, what = f"/networks/{path_part(name)}", f"The network {name} cannot be made"
        chosen = self._engine.json("GET", path, what)["IPAM"]["Config"]
        self._engine.call("DELETE", path, what)
        try:
            self._make_network(
                name, {**body, "IPAM": {"Config": [{"Subnet": one["Subnet"]} for one in chosen]}}
            )
        except EngineUnavailable:
            raise
        except EngineError:
            # Somebody else was given that subnet in between: any other will do, at the price of the addresses.
            self._make_network(name, body)

    def network_exists(self, name: str, cluster: str, app: str = "") -> bool:
        if (name, cluster, app) in self._networks:
            return True
        known = self._networks
        there = self._owned(f"/networks/{path_part(name)}", "network", name, cluster, app) is not None
        if there and self._listening:
            # If it went meanwhile, this set is none that counts any more.
            known.add((name, cluster, app))
        return there

    def _forget_networks(self, name: str = "") -> None:
        """That one, or all."""
        self._networks = {each for each in self._networks if name and each[0] != name}

    def join(self, name: str, network: str, aliases: tuple[str, ...], address: str = "") -> None:
        try:
            self._connect(name, network, aliases, address)
        except Invalid as error:
            # A network whose subnet the engine chose gives no address that is asked for.
            if not address or "user configured subnets" not in error.message:
                raise
            self._connect(name, network, aliases, "")

    def _connect(self, name: str, network: str, aliases: tuple[str, ...], address: str) -> None:
        endpoint: dict[str, Any] = {"Aliases": list(aliases)}
        if address:
            endpoint["IPAMConfig"] = {"IPv4Address": address}
        with suppress(faults.AlreadyJoined):
            self._engine.call(
                "POST",
                f"/networks/{path_part(network)}/connect",
                body={"Container": name, "EndpointConfig": endpoint},
                fault=lambda status, words: faults.join_fault(name, network, status, words),
            )

    def leave(self, name: str, network: str) -> None:
        with suppress(NotFound, faults.NotJoined):
            self._engine.call(
                "POST",
                f"/networks/{path_part(network)}/disconnect",
                body={"Container": name},
                fault=lambda status, words: faults.join_fault(name, network, status, words),
            )

    def await_parted(self, network: str) -> None:
        until = time.monotonic() + PARTED
        while not (parted := self._parted(network)):
            if parted is None or time.monotonic() > until:
                return
            time.sleep(0.1)
        time.sleep(HEARD)

    def _parted(self, network: str) -> bool | None:
        """As `parse.parting`. What went wrong is no reason to stay away: it is told when the container is to join."""
        try:
            found = self._engine.found(
                f"/networks/{path_part(network)}", f"The network {network} cannot be looked at"
            )
        except EngineError:
            # So it answers in the middle of giving it up, too.
            return False
        return parse.parting(found)

    def check_volume(self, name: str, cluster: str) -> None:
        self._owned(f"/volumes/{path_part(name)}", "volume", name, cluster)

    def volume_places(self, cluster: str) -> dict[str, Path]:
        filters = json.dumps({"label": [f"{protocol.LABEL_CLUSTER}={cluster}"]})
        answer = self._engine.json("GET", "/volumes", "Volumes cannot be listed", params={"filters": filters})
        return {item["Name"]: Path(item["Mountpoint"]) for item in answer["Volumes"] or ()}

    def volume_sizes(self, names: Collection[str]) -> dict[str, int]:
        # Engines before API 1.42 ignore the type, and measure everything.
        answer = self._engine.json(
            "GET",
            "/system/df",
            "Volumes cannot be measured",
            params={"type": "volume"},
            timeout=DF_TIMEOUT,
        )
        sizes = {
            item["Name"]: (item.get("UsageData") or {}).get("Size", -1) for item in answer["Volumes"] or ()
        }
        return {name: size for name, size in sizes.items() if name in names and size >= 0}

    def remove_network_if_unused(self, name: str, cluster: str) -> bool:
        path = f"/networks/{path_part(name)}"
        with self._network_lock:
            self._forget_networks(name)
            found = self._owned(path, "network", name, cluster)
            if found and found.get("Containers"):
                return False
            if found:
                try:
                    self._engine.call("DELETE", path, f"The network {name} cannot be removed")
                except NotFound:
                    return True
                except EngineUnavailable:
                    raise
                except EngineError:
                    # Somebody joined between the look and the removal.
                    return False
        return True

    def remove_volume(self, name: str, cluster: str) -> None:
        path = f"/volumes/{path_part(name)}"
        if self._owned(path, "volume", name, cluster):
            with suppress(NotFound):
                self._engine.call("DELETE", path, f"The volume {name} cannot be removed")

    def events(self) -> Stream[EngineEvent]:
        filters = json.dumps(
            {"type": ["container", "image", "network"], "event": CONTAINER_ACTIONS + IMAGE_ACTIONS}
        )
        response = self._engine.stream(
            "GET", "/events", "Events cannot be read", params={"filters": filters}, timeout=None
        )
        return Closable(self._events(response), response)

    def _events(self, response: requests.Response) -> Iterator[EngineEvent]:
        self._forget_networks()
        self._listening += 1
        try:
            with self._engine.bounded():
                for line in filter(None, response.iter_lines(chunk_size=None)):
                    event = parse.event(json.loads(line))
                    if event.kind == "network":
                        self._forget_networks(event.labels.get("name", ""))
                    else:
                        yield event
        finally:
            self._listening -= 1
            self._forget_networks()
        raise self._engine.gone("its stream of events ended")

    def logs(
        self, container: str | ContainerFacts, *, follow: bool, tail: int, since: float
    ) -> Stream[LogLine]:
        facts, shown = self._of_log(container)
        redact = self._redactor(facts.name, shown)
        params = {
            "stdout": "1",
            "stderr": "1",
            "timestamps": "1",
            "follow": "1" if follow else "0",
            "tail": "all" if tail < 0 else str(tail),
            "since": f"{since:.9f}" if since > 0 else "0",
        }
        path, what = (
            f"/containers/{path_part(facts.engine_id)}/logs",
            f"The log of {facts.name} cannot be read",
        )
        if not follow and 0 <= tail <= FEW_LINES:
            data = self._engine.call("GET", path, what, params=params, timeout=self._engine.timeout)
            return Whole(self._lines([data], facts, redact))
        response = self._engine.stream(
            "GET", path, what, params=params, timeout=None if follow else self._engine.timeout
        )
        return Closable(self._lines(response.raw.stream(65536), facts, redact), response)

    def _of_log(self, container: str | ContainerFacts) -> tuple[ContainerFacts, Shown]:
        """Whose it is. What was seen of a container says no more of its secrets than that it has some."""
        if isinstance(container, ContainerFacts) and not container.private:
            return container, Shown()
        name = container if isinstance(container, str) else container.engine_id
        data = self._inspected(name)
        if data is None:
            raise NotFound(f"The container {name} is not on this node any more, so it has no log here.")
        return parse.container(data), parse.shown(data)

    def _lines(
        self, chunks: Iterable[bytes], facts: ContainerFacts, redact: Redact | None
    ) -> Iterator[LogLine]:
        with self._engine.bounded():
            for line in demux.lines(chunks, tty=facts.tty):
                yield msgspec.structs.replace(line, text=redact(line.text)) if redact else line

    def stats(self, name: str) -> Usage:
        what = f"The numbers of {name} cannot be read"
        path = f"/containers/{path_part(name)}/stats"
        return parse.usage(self._engine.json("GET", path, what, params={"stream": "0", "one-shot": "1"}))

    def execute(self, name: str, request: ExecRequest) -> Process:
        facts = self.inspect(name)
        if facts is None:
            raise NotFound(f"The container {name} is not on this node any more.")
        if facts.state != "running":
            raise NotRunning(f"The container {name} is {facts.state}; a command runs in a running one alone.")
        return start_process(self._engine, facts, request)

    def _owned(self, path: str, kind: str, name: str, cluster: str, app: str = "") -> dict[str, Any] | None:
        found = self._engine.found(path, f"The {kind} {name} cannot be looked at")
        labels = (found or {}).get("Labels") or {}
        if found and app and labels.get(protocol.LABEL_APP, app) != app:
            raise Conflict(f"The {kind} {name} on this node is another app's, so it is not touched.")
        if found and labels.get(protocol.LABEL_CLUSTER) != cluster:
            raise Conflict(
                f"The {kind} {name} on this node was not made by this cluster, so it is not touched. "
                "Rename or remove it by hand."
            )
        return found


def archive(files: tuple[File, ...]) -> bytes:
    """A tar archive of them, by their full paths."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.target.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(file.content), file.mode, file.uid, file.gid
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()
