"""What a container is made of, and which attempt it is. Memory is in bytes, CPU in thousandths of a core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from nodeagent.protocol.names import engine_name


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


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """One of the app's networks, as a container joins it."""

    network: str
    """The engine's name of it."""
    aliases: tuple[str, ...] = ()
    """Names that lead to the container there, while it is well."""
    internal: bool = False
    """It has no way out of the app."""
    overlay: bool = False
    """It goes across hosts. A manager makes it; whoever starts a container on it joins it."""
    steady: bool = False
    """Containers come and go there with their health, and keep their addresses: they must be given by whoever joins."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file written into the container between create and start."""

    target: str
    content: bytes
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret for one container, by its version: its value comes sealed beside the job (`Ensure.sealed`).

    It is either a file (`target`), or the value of an environment `variable`.
    """

    name: str
    """As the app calls it, for messages."""
    version: str
    target: str = ""
    variable: str = ""
    mode: int = 0o400
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
    secrets: tuple[Secret, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    log_max_size: int = 10 * 1024 * 1024
    log_max_file: int = 3
    network: str = ""
    """Name of the first of `networks`, made when missing: all that an agent without them knows."""
    aliases: tuple[str, ...] = ()
    networks: tuple[Attachment, ...] = ()
    resources: tuple[Grant, ...] = ()
    exclusive: bool = False
    """It may never run twice: out of contact for too long, the agent stops it by itself."""

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The networks to join, also of a console that knows of one alone."""
        if self.networks or not self.network:
            return self.networks
        return (Attachment(network=self.network, aliases=self.aliases),)


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
