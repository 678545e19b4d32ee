"""What a node observes, up through its WebSocket. Facts only; times are ages in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from nodeagent.protocol.names import VERSION
from nodeagent.protocol.overlay import Overlay
from nodeagent.protocol.spec import Identity, PortBinding

EngineState = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Health = Literal["none", "starting", "healthy", "unhealthy"]


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One managed container as the engine shows it. Facts only."""

    identity: Identity
    engine_id: str
    state: EngineState
    health: Health = "none"
    exit_code: int | None = None
    oom: bool = False
    """It ended for lack of memory."""
    oom_events: int = 0
    """How often something in it was killed for lack of memory since it started; it may run on all the same."""
    error: str = ""
    """The engine's own error text of the last start."""
    restarts: int = 0
    running_for: float | None = None
    ended_ago: float | None = None
    ports: tuple[PortBinding, ...] = ()
    last_lines: tuple[str, ...] = ()
    """Last log lines, only of a container that ended."""


class ImageFact(msgspec.Struct, frozen=True, kw_only=True):
    """One image on the node. `id` is the config digest; `digests` are `repo@sha256:…`."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    """Bytes, with the layers that it shares with others; 0: not told."""
    pulled: bool = False
    """This agent fetched it from its registry and nobody gave it another name: a `Tidy` may name it. Never so of an
    older agent."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    cpu: int
    memory: int
    pids: int = 32768
    disk: int = 0
    """Bytes that containers may reserve; 0: unknown."""
    resources: dict[str, int] = {}
    """Whole units of generic resources: `{"gpu": 2}`, as the agent's file declares them."""
    port_first: int = 30000
    port_last: int = 32767


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine says of itself and its host."""

    version: str
    api: str
    os: str
    arch: str
    kernel: str = ""
    cgroup: str = ""
    live_restore: bool = False


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """First message of a session, and the answer to `Resend`: everything this node knows."""

    version: int = VERSION
    agent: str
    address: str
    """Address at which this node's published ports are reached."""
    public_key: bytes
    """X25519 key that secrets for this node are sealed to."""
    labels: Mapping[str, str] = {}
    capacity: Capacity
    engine: Engine | None
    """None while the engine cannot be reached."""
    containers: tuple[Observed, ...] = ()
    foreign: int = 0
    """Managed containers of another cluster on this host: counted, never touched."""
    images: tuple[ImageFact, ...] = ()
    overlay: Overlay | None = None
    """None: this node is to stay off networks across hosts, or its agent is older than they are."""
    generations: Mapping[str, int] = {}
    """Highest generation seen by slot (the fence); of very many, those of late."""
    digest: str


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """The file system with the engine's data, in bytes."""

    total: int
    free: int
    """Of what is not kept for root."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat"):
    """Sent every 2 s. `sent` is the agent's monotonic clock and comes back in `Ack`."""

    sent: float
    digest: str
    """Digest of the full set after the last delta."""
    engine_ok: bool = True
    engine_error: str = ""
    waiting: bool = False
    """The agent has had no `Sync` in this session yet."""
    disk: Disk | None = None
    """None: the agent does not see it, or is older than this."""


class Delta(msgspec.Struct, frozen=True, kw_only=True, tag="delta"):
    """What changed since the last hello or delta."""

    changed: tuple[Observed, ...] = ()
    removed: tuple[tuple[str, int], ...] = ()
    """(slot, generation) of containers that are gone from the engine."""
    base: str = ""
    """Digest of the hello or delta before; another one at the console means that something got lost."""
    digest: str


class Images(msgspec.Struct, frozen=True, kw_only=True, tag="images"):
    """The full list of images after it changed."""

    images: tuple[ImageFact, ...]


class Receipt(msgspec.Struct, frozen=True, kw_only=True, tag="receipt"):
    """These jobs arrived."""

    jobs: tuple[str, ...]


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """A job is still being worked on (a pull's layers, say). `done` and `total` are bytes, 0 unknown."""

    job: str
    text: str
    done: int = 0
    total: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="result"):
    """The end of a job. `fatal` means that trying the same again cannot help."""

    job: str
    ok: bool
    code: str = ""
    message: str = ""
    fatal: bool = False
    image: ImageFact | None = None
    """Of a pull: what the name stands for."""
    sealed: bytes = b""
    """Of an invitation: the join token, for its guest alone."""
    removed: tuple[ImageFact, ...] = ()
    """Of a tidying: the images that went."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of one running container. `cpu` is thousandths of a core, the rest bytes.

    What it received, sent, read and wrote is counted since its start, as is `cpu_total`.
    """

    slot: str
    generation: int
    cpu: float
    memory: int
    memory_limit: int
    net_rx: int = 0
    net_tx: int = 0
    block_read: int = 0
    block_write: int = 0
    pids: int = 0
    cpu_total: int = 0
    """Nanoseconds of CPU; 0 from an agent that does not say."""


class VolumeFact(msgspec.Struct, frozen=True, kw_only=True):
    """What one of this cluster's volumes takes on the node's disk."""

    name: str
    bytes: int


class Volumes(msgspec.Struct, frozen=True, kw_only=True, tag="volumes"):
    """Of the volumes that could be measured; the others are as they were."""

    volumes: tuple[VolumeFact, ...]


class Samples(msgspec.Struct, frozen=True, kw_only=True, tag="samples"):
    samples: tuple[Sample, ...]
    node_cpu: float = 0.0
    node_memory: int = 0
