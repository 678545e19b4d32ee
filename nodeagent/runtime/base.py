"""The port to containers: what the agent asks of an engine, and how an engine says no.

Every call returns within a bound or raises an `EngineError`. Times are seconds since the epoch by the host's
clock, memory is bytes. Docker's implementation and the tests' fake pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from nodeagent.errors import AgentError
from nodeagent.protocol import (
    Engine,
    EngineState,
    File,
    Health,
    Identity,
    ImageFact,
    LogLine,
    Overlay,
    PortBinding,
    Spec,
)
from nodeagent.vault import NOTHING, Private

T_co = TypeVar("T_co", covariant=True)


class EngineError(AgentError):
    """The engine could not do it; unless said otherwise, a later try may succeed."""

    code = "engine"


class EngineUnavailable(EngineError):
    code = "engine-unavailable"


class EngineTimeout(EngineUnavailable):
    """The engine gave no answer in time. The call may still take effect."""

    code = "engine-timeout"


class NotFound(EngineError):
    code = "not-found"


class ImageMissing(EngineError):
    code = "image-missing"
    fatal = True


class RegistryUnreachable(EngineError):
    code = "registry-unreachable"


class RegistryDenied(EngineError):
    code = "registry-denied"
    fatal = True


class DiskFull(EngineError):
    """Not mended by trying again there; another node may have room."""

    code = "disk-full"
    fatal = True


class Conflict(EngineError):
    """Something else has this name. It is not ours to touch."""

    code = "conflict"
    fatal = True


class InUse(EngineError):
    code = "in-use"


class StillRunning(InUse):
    code = "running"


class NotRunning(EngineError):
    code = "not-running"


class Invalid(EngineError):
    """The engine refuses these values; the same ones never start."""

    code = "invalid"
    fatal = True


class PortTaken(EngineError):
    code = "port-taken"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container on one network. The engine adds names of its own."""

    address: str = ""
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """One container as the engine shows it."""

    engine_id: str
    name: str
    labels: Mapping[str, str]
    state: EngineState
    health: Health = "none"
    exit_code: int | None = None
    oom: bool = False
    error: str = ""
    restarts: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    ports: tuple[PortBinding, ...] = ()
    pid: int = 0
    tty: bool = False
    stop_grace: float = 10.0
    memory_limit: int = 0
    private: bool = False
    """It may have something of the vault."""
    networks: Mapping[str, Endpoint] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """It ran, or its start failed; nothing but a removal follows."""
        return self.state in {"exited", "dead", "removing"} or (self.state == "created" and bool(self.error))


@dataclass(frozen=True, slots=True)
class Listing:
    """Containers of one cluster, and how many of other clusters there are."""

    own: tuple[ContainerFacts, ...]
    foreign: int
    silent: frozenset[str] = frozenset()
    """Engine ids of those that are there, and of which the engine said no more in time: it may be at work on them."""


@dataclass(frozen=True, slots=True)
class Login:
    """Registry credentials for one pull."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """A change the engine tells of. `kind` is container or image; `action` is Docker's word."""

    kind: str
    action: str
    id: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters of one container. `cpu_ns`, network and block numbers only grow."""

    at: float
    cpu_ns: int
    memory: int
    net_rx: int = 0
    net_tx: int = 0
    block_read: int = 0
    block_write: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class HostInfo:
    engine: Engine
    cpu: int
    """Thousandths of a core."""
    memory: int
    data_root: str = ""
    """The folder in which the engine keeps images, containers and volumes."""
    runtimes: frozenset[str] = frozenset()
    """Names of the OCI runtimes it can use."""
    default_runtime: str = ""


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A program to run inside a container. Empty `user` and `working_dir` are the container's own."""

    command: tuple[str, ...]
    tty: bool = False
    user: str = ""
    working_dir: str = ""
    width: int = 80
    height: int = 24


class Stream(Protocol[T_co]):
    """An iterator that another thread can end with `close`."""

    def __iter__(self) -> Iterator[T_co]: ...

    def close(self) -> None: ...


Chunk = tuple[Literal["stdout", "stderr"], bytes]


class Process(Protocol):
    """A program run inside a container beside its own. One thread reads, one writes, any may do the rest.

    Output that nobody reads holds the program back, and a program that reads nothing holds back the writer.
    """

    def __iter__(self) -> Iterator[Chunk]:
        """What it writes (a terminal: stdout alone), until its end. Raises `Invalid`: it cannot be started."""

    def write(self, data: bytes) -> None:
        """Raises `EngineUnavailable` once it has ended."""

    def end_input(self) -> None:
        """No more input comes; a terminal is sent its end-of-file character."""

    def resize(self, width: int, height: int) -> None: ...

    def exit_code(self) -> int:
        """After its output has ended."""

    def hang_up(self) -> None:
        """End it if it still runs, as a terminal that goes away does, and by force 2 s later.

        Raises `EngineError` where it cannot be ended: it then runs as long as its container.
        """

    def close(self) -> None:
        """Ends reading and writing at once, not the program."""


Progress = Callable[[str, int, int], None]
"""Called with a sentence, bytes done and bytes in all (0 unknown)."""


class SwarmRuntime(Protocol):
    """The engine's swarm. What is so already is success; most of it is for managers alone."""

    def facts(self, address: str) -> Overlay: ...

    def init(self, address: str, pool: str, subnet: int, cluster: str) -> None:
        """Raises `Conflict` in another's swarm, `Invalid` where the engine refuses swarm mode (live-restore)."""

    def token(self) -> str: ...

    def join(self, token: str, managers: list[str], address: str) -> None: ...

    def set_manager(self, node: str, *, manager: bool) -> None: ...

    def forget(self, node: str) -> None: ...

    def ensure_network(self, name: str, cluster: str, app: str, *, internal: bool = False) -> None:
        """Raises `Conflict` when the name is somebody else's."""

    def remove_network(self, name: str, cluster: str) -> None:
        """Success if gone. Raises `InUse`, `Conflict`."""


class Runtime(Protocol):
    """Containers are named by `Identity.engine_name` or by the engine's id."""

    def info(self) -> HostInfo: ...

    def list_managed(self, cluster: str, known: Mapping[str, ContainerFacts] = ...) -> Listing:
        """Everything that carries a cluster label; in full only what belongs to `cluster`. Of `known`, by engine id,
        what is listed in the same state and health is taken as it is."""

    def inspect(self, name: str) -> ContainerFacts | None: ...

    def create(self, identity: Identity, spec: Spec, private: Private = NOTHING) -> ContainerFacts:
        """Make, not start; `private` are its secrets. An existing one with the same slot, generation and digest is
        success, and is told as it is now.

        Raises `Refused`, `ImageMissing`, `Conflict`, `Invalid`.
        """

    def write_files(self, name: str, files: tuple[File, ...]) -> None:
        """Put files into a created container, before its start. Repeating overwrites."""

    def start(self, name: str) -> None:
        """Success if it runs already. Raises `PortTaken`, `Invalid`, `NotFound`."""

    def stop(self, name: str, grace: float) -> None:
        """Ask, wait `grace` seconds, kill. Success if it does not run, or is not there."""

    def remove(self, name: str) -> None:
        """Remove an ended container with its anonymous volumes; success if gone. Raises `StillRunning`."""

    def image(self, reference: str) -> ImageFact | None: ...

    def images(self) -> tuple[ImageFact, ...]: ...

    def used_images(self) -> frozenset[str]:
        """Ids and names of images that a container is made from, whoever made it and whether it runs or not; and ids
        of those that another image is built on."""

    def remove_image(self, name: str) -> None:
        """Take this name (a tag, or `repo@sha256:…`) from an image, and with its last name the image; never by force.
        Success if gone. Raises `InUse`."""

    def pull(self, image: str, login: Login | None, progress: Progress, timeout: float) -> ImageFact:
        """Fetch from its registry. Raises `ImageMissing`, `RegistryDenied`, `RegistryUnreachable`."""

    def resolve(self, image: str, login: Login | None, timeout: float) -> ImageFact:
        """What the registry says the name stands for (`digests` filled, `id` empty), without a pull."""

    def ensure_network(
        self, name: str, cluster: str, app: str, *, internal: bool = False, steady: bool = False
    ) -> None:
        """The app's own bridge, `internal` without a way out, `steady` with addresses that can be asked for.
        Raises `Conflict` when the name is somebody else's."""

    def network_exists(self, name: str, cluster: str, app: str = "") -> bool:
        """Raises `Conflict` when the name is another cluster's, or another app's than the one given. The engine may be
        asked once for many, as long as its `events` tell of networks that go."""

    def join(self, name: str, network: str, aliases: tuple[str, ...], address: str = "") -> None:
        """Connect a container under these names, at this address where the network lets one be asked for. Success if
        it has joined already, whatever its names."""

    def leave(self, name: str, network: str) -> None:
        """Disconnect a container; success if it, or the network, is not there."""

    def await_parted(self, network: str) -> None:
        """After a container left a network across hosts: until its engine has given that up too and the others know.
        Returns at once where it stays, for another of its containers is there, and on a bridge."""

    def check_volume(self, name: str, cluster: str) -> None:
        """Raises `Conflict` for a volume that exists and is not this cluster's: it may be any path of the host."""

    def volume_places(self, cluster: str) -> dict[str, Path]:
        """This cluster's volumes by name: the folder of each on the engine's host."""

    def volume_sizes(self, names: Collection[str]) -> dict[str, int]:
        """Bytes by name, by the engine's own reckoning; slow, and heavy on its disk. One that it cannot tell is
        left out."""

    def remove_network_if_unused(self, name: str, cluster: str) -> bool:
        """True when it is gone (or never was); a used one stays."""

    def remove_volume(self, name: str, cluster: str) -> None:
        """Success if gone. Raises `Conflict` for a volume that is not this cluster's, `InUse`."""

    def events(self) -> Stream[EngineEvent]:
        """Changes from now on. Iterating raises `EngineUnavailable` when the engine goes away."""

    def logs(
        self, container: str | ContainerFacts, *, follow: bool, tail: int, since: float
    ) -> Stream[LogLine]:
        """Lines so far (`tail` < 0: all; `since` in seconds of the epoch, 0: all), then new ones. Of a container as it
        was seen, or by its name: then it is looked up first.

        Raises `vault.Withheld` where its secrets cannot be told from the rest.
        """

    def stats(self, name: str) -> Usage:
        """Counters by the engine's own reckoning; slow (about a second)."""

    def execute(self, name: str, request: ExecRequest) -> Process:
        """Start a program in a running container. Raises `NotFound`, `NotRunning`, `Invalid`."""
