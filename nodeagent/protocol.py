"""The wire contract between the console and an agent.

Jobs go down through Celery as JSON (`Batch`), everything else through the agent's one WebSocket as
MessagePack (`Up` from the agent, `Down` to it). Times are durations in seconds: an agent reports
ages, the console owns the clock. Memory is in bytes, CPU in thousandths of a core.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

VERSION = 1
"""Protocol version. A console accepts this one and the one before."""

TASK = "berth.jobs"
"""Celery task that takes one `Batch` (as builtins) as its only argument."""

QUEUE = "jobs"
"""Queue name below a node's own key prefix."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest WebSocket message either side accepts."""

BROKER_ACL_COMMANDS = (
    "-@all",
    *("+hello", "+auth", "+ping", "+multi", "+exec"),
    *("+brpop", "+llen", "+lpush", "+rpush", "+sadd", "+smembers"),
)
"""All that a node's broker user may do, below its own key prefix: no Lua, no pub/sub, no acknowledgements.
The console grants exactly this (with `resetkeys`, `resetchannels`); the agent's worker needs exactly this."""

CONTAINER_PREFIX = "berth-"

LABEL_CLUSTER = "berth.cluster"
LABEL_TEAM = "berth.team"
LABEL_APP = "berth.app"
LABEL_SERVICE = "berth.service"
LABEL_SLOT = "berth.slot"
LABEL_GENERATION = "berth.generation"
LABEL_CONTAINER = "berth.container"
LABEL_DIGEST = "berth.digest"
LABEL_NAME = "berth.name"


def key_prefix(node_id: str) -> str:
    """Redis key prefix that one node's broker user can reach."""
    return f"node:{node_id}:"


def engine_name(slot_id: str, generation: int) -> str:
    """Name of a container in the engine: unique by slot and generation."""
    return f"{CONTAINER_PREFIX}{slot_id}-g{generation}"


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's health check. `test` starts with CMD, CMD-SHELL or NONE; times are seconds."""

    test: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    """One published port: `host` on the node goes to `container` inside."""

    host: int
    container: int
    protocol: Literal["tcp", "udp"] = "tcp"


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A named volume (`source` is the engine's volume name) or a tmpfs (`source` empty)."""

    kind: Literal["volume", "tmpfs"]
    target: str
    source: str = ""
    read_only: bool = False
    size: int = 0
    mode: int = 0


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file written into the container between create and start."""

    target: str
    content: bytes
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


class Ulimit(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    soft: int
    hard: int


RESOURCE_KIND = r"[A-Za-z][A-Za-z0-9_-]{0,31}"
"""How a kind of generic resource may be named, as a pattern for the whole of it."""
MOST_UNITS = 10_000
"""Of one kind on a node."""


def resource_name(kind: str) -> str:
    """The part of an environment variable's name that stands for a kind. Two kinds of one name are the same."""
    return kind.upper().replace("-", "_")


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a generic resource, numbered from 0, that the scheduler gave a container. A `share`, in
    thousandths, is of exactly one unit; 0 is the whole of each."""

    kind: str
    units: tuple[int, ...]
    share: int = 0


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """All that the agent needs to create one container. Built by the console, checked by both."""

    image: str
    """What the engine is asked to run: `repo@sha256:…`, or `sha256:…` of a local image."""
    image_ref: str = ""
    """The name the user wrote, for messages."""
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    """The user's own labels. Keys below `berth.` are refused."""
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    stop_signal: str = ""
    stop_grace: float = 10.0
    init: bool = False
    tty: bool = False
    stdin_open: bool = False
    read_only: bool = False
    shm_size: int = 64 * 1024 * 1024
    memory: int
    cpu: int
    pids: int
    restart: Literal["no", "unless-stopped", "on-failure"] = "unless-stopped"
    restart_max: int = 0
    healthcheck: Healthcheck | None = None
    ports: tuple[PortBinding, ...] = ()
    mounts: tuple[Mount, ...] = ()
    files: tuple[File, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    log_max_size: int = 10 * 1024 * 1024
    log_max_file: int = 3
    network: str = ""
    """Name of the app's own bridge on this node, made when missing."""
    aliases: tuple[str, ...] = ()
    resources: tuple[Grant, ...] = ()


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempt a container is: the labels of the engine carry exactly this."""

    cluster: str
    team: str
    app: str
    service: str
    slot: str
    generation: int
    container: str
    digest: str
    """Spec digest: equal digest, equal container."""
    name: str
    """Readable name, `app/web.3`."""

    @property
    def engine_name(self) -> str:
        return engine_name(self.slot, self.generation)


class Pull(msgspec.Struct, frozen=True, kw_only=True, tag="pull"):
    """Make an image present, or (`resolve`) tell which digest a name stands for, without pulling it."""

    id: str
    image: str
    resolve: bool = False
    auth: bytes = b""
    """Registry login as JSON {username, password}, sealed to the node's public key."""
    timeout: float = 600.0


class Ensure(msgspec.Struct, frozen=True, kw_only=True, tag="ensure"):
    """Have this container running. Refused when a newer generation of its slot was seen.

    Pulls the image first when it is missing and `auth` or the registry allows it.
    """

    id: str
    identity: Identity
    spec: Spec
    auth: bytes = b""


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """Stop exactly this container. A container that never existed is remembered as fenced off."""

    id: str
    slot: str
    generation: int
    grace: float = 10.0


class Remove(msgspec.Struct, frozen=True, kw_only=True, tag="remove"):
    """Remove exactly this ended container, and with `volumes` also these engine volumes of its app."""

    id: str
    slot: str
    generation: int
    volumes: tuple[str, ...] = ()
    network: str = ""
    """App network to remove once nothing uses it."""


class Sync(msgspec.Struct, frozen=True, kw_only=True, tag="sync"):
    """The full assignment of a session: what this node shall keep. The rest of this cluster's is stopped."""

    id: str
    session: int
    keep: tuple[tuple[str, int], ...]
    """(slot, generation) of each container that is this node's."""


Job = Pull | Ensure | Stop | Remove | Sync


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs that one step decided for one node."""

    version: int = VERSION
    node: str
    jobs: tuple[Job, ...]


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
    generations: Mapping[str, int] = {}
    """Highest generation seen by slot (the fence)."""
    digest: str


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat"):
    """Sent every 2 s. `sent` is the agent's monotonic clock and comes back in `Ack`."""

    sent: float
    digest: str
    """Digest of the full set after the last delta."""
    engine_ok: bool = True
    engine_error: str = ""
    waiting: bool = False
    """The agent has had no `Sync` in this session yet."""


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


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of one running container. `cpu` is thousandths of a core, the rest bytes."""

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


class Samples(msgspec.Struct, frozen=True, kw_only=True, tag="samples"):
    samples: tuple[Sample, ...]
    node_cpu: float = 0.0
    node_memory: int = 0


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a container's output. `at` is the engine's timestamp (RFC 3339)."""

    at: str
    source: Literal["stdout", "stderr"]
    text: str


class LogFrame(msgspec.Struct, frozen=True, kw_only=True, tag="log"):
    """Lines of an open stream. `dropped` lines were lost to a full buffer before these."""

    stream: str
    lines: tuple[LogLine, ...] = ()
    dropped: int = 0
    end: bool = False
    error: str = ""


Up = Hello | Heartbeat | Delta | Images | Receipt | Progress | Result | Samples | LogFrame


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """First answer on the link. Of one node's sessions the one with the greatest number holds."""

    version: int = VERSION
    node: str
    cluster: str
    session: int
    heartbeat: float = 2.0
    sample: float = 10.0


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag="ack"):
    """The heartbeat with this `sent` is stored."""

    sent: float


class Resend(msgspec.Struct, frozen=True, kw_only=True, tag="resend"):
    """Send a full `Hello` again."""


class OpenLogs(msgspec.Struct, frozen=True, kw_only=True, tag="open-logs"):
    """Follow a container's output as `LogFrame`s. `credit` is how many frames may be under way."""

    stream: str
    slot: str
    generation: int
    follow: bool = True
    tail: int = 100
    since: float = 0.0
    """Only lines younger than this many seconds; 0 is all."""
    credit: int = 16


class Credit(msgspec.Struct, frozen=True, kw_only=True, tag="credit"):
    """The reader took `frames` more frames of this stream."""

    stream: str
    frames: int


class Close(msgspec.Struct, frozen=True, kw_only=True, tag="close"):
    stream: str


Down = Welcome | Ack | Resend | OpenLogs | Credit | Close

_up_encoder = msgspec.msgpack.Encoder()
_up_decoder: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)
_down_decoder: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)


def encode(message: Up | Down) -> bytes:
    """One WebSocket message as MessagePack."""
    return _up_encoder.encode(message)


def decode_up(data: bytes) -> Up:
    """A message of an agent. Raises `msgspec.ValidationError` or `msgspec.DecodeError` on hostile input."""
    return _up_decoder.decode(data)


def decode_down(data: bytes) -> Down:
    """A message of the console. Raises as `decode_up` does."""
    return _down_decoder.decode(data)


def batch_to_builtins(batch: Batch) -> Any:
    """JSON-ready form of a batch, for Celery (bytes become base64 text)."""
    return msgspec.to_builtins(batch)


def batch_from_builtins(data: Any) -> Batch:
    """Checks and builds a batch from what Celery delivered. Raises `msgspec.ValidationError`."""
    return msgspec.convert(data, Batch)
