"""The checked Compose model: frozen, typed, and JSON by `msgspec.to_builtins` and back by `msgspec.convert`.

CPU is in thousandths of a core, sizes in bytes, times in seconds. Fields that hold their default are left
out of the JSON, so that a field added later changes neither stored models nor digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from .problems import Problem

MIB = 1024 * 1024
MONITOR = 5.0
"""Seconds for which a new container without a health check must stay up when the file does not say how long; as
long as Swarm watches one. With a check, being healthy is enough."""
PART_AT_ONCE = 4
"""Where the file does not say how many slots are under replacement at once, it is one in so many."""
COMMAND_SUFFIX = ".release"
"""What a service's name and this make is the name of its release command among the containers."""
_OUTWEIGHED = 1e-3
DEFAULT_NETWORK = "default"
"""Which a service joins that names none."""
Mode = Literal["replicated", "global", "replicated-job", "global-job"]


_SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"small": (500, 256 * MIB), "medium": (1000, 512 * MIB), "large": (2000, 2048 * MIB)}
)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator allows, the limits that a file leaves out, and the bounds of a file."""

    low_ports: bool = False
    """Host ports below 1024 may be asked for."""
    cpu: int = 1000
    memory: int = 512 * MIB
    pids: int = 256
    sizes: Mapping[str, tuple[int, int]] = _SIZES
    """CPU and memory by the name of an instance size."""
    max_text: int = 256 * 1024
    max_services: int = 100
    max_replicas: int = 1000
    max_ports: int = 100
    """Published ports of one service."""
    max_networks: int = 16
    """Of one app, the default one among them."""
    max_nodes: int = 20_000
    """YAML values after aliases and merge keys were written out."""
    max_expanded: int = MIB
    """Characters that variables may produce."""
    max_content: int = 2 * MIB
    """Bytes of all configs, as the services take them, and of env files."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything below."""


class Healthcheck(Part, frozen=True, kw_only=True):
    """`test` starts with CMD, CMD-SHELL or NONE (switched off); empty takes the image's.

    None, and 0, stand for the engine's default.
    """

    test: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None


class Port(Part, frozen=True, kw_only=True):
    """A published port. `host` 0 leaves the choice to the scheduler."""

    container: int
    host: int = 0
    protocol: Literal["tcp", "udp"] = "tcp"


class Mount(Part, frozen=True, kw_only=True):
    """A named volume, or a tmpfs (`source` empty; `size` and `mode` 0 are the engine's defaults)."""

    kind: Literal["volume", "tmpfs"]
    target: str
    source: str = ""
    read_only: bool = False
    size: int = 0
    mode: int = 0


class ConfigFile(Part, frozen=True, kw_only=True):
    """A config as one service sees it: a file with this content."""

    source: str
    target: str
    content: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o444


class Attachment(Part, frozen=True, kw_only=True):
    """One of the app's networks, as a service joins it. `internal`, which is said of the network, counts here: one
    that becomes internal is another network."""

    network: str
    aliases: tuple[str, ...] = ()
    """Further names of the service there."""
    internal: bool = False
    """It has no way out."""


DEFAULT_ATTACHMENT = Attachment(network=DEFAULT_NETWORK)


class SecretSource(Part, frozen=True, kw_only=True):
    """What a top-level secret stands for: the secret kept under `name`. Of another kind than `stored`, its value
    comes along with the file (`key` is a path, or a variable) and is kept under that name."""

    name: str
    kind: Literal["stored", "file", "environment"] = "stored"
    key: str = ""


class SecretFile(Part, frozen=True, kw_only=True):
    """A secret as one service sees it: a file with its value. `source` is the top-level name."""

    source: str
    target: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o400


class Ulimit(Part, frozen=True, kw_only=True):
    name: str
    soft: int
    hard: int


class Logging(Part, frozen=True, kw_only=True):
    driver: Literal["json-file", "local"] = "json-file"
    max_size: int = 10 * MIB
    max_file: int = 3


class Restart(Part, frozen=True, kw_only=True):
    """Without `delay` the engine's policy, and the controller takes over from it; with one the controller's alone,
    since an engine knows none. `max_attempts` 0 is no limit and goes with `on-failure` alone."""

    condition: Literal["no", "unless-stopped", "on-failure"] = "unless-stopped"
    max_attempts: int = 0
    delay: float = 0.0
    """Least seconds before the next try."""
    window: float = 0.0
    """Seconds that a container has to stay up for failures before it to be forgotten; 0 is Berth's own measure."""


class GenericResource(Part, frozen=True, kw_only=True):
    """Whole `units` of a kind (`gpu`), or, with `units` 0, a `share` of one unit in thousandths."""

    kind: str
    units: int = 0
    share: int = 0


class Resources(Part, frozen=True, kw_only=True):
    """Limits, and what is reserved of a node (0: no reservation was given)."""

    cpu: int
    memory: int
    pids: int
    cpu_reserved: int = 0
    memory_reserved: int = 0
    disk: int = 0
    """Bytes, reserved only: no engine limits them."""
    generic: tuple[GenericResource, ...] = ()
    """In the order of their kinds, each once."""


class Constraint(Part, frozen=True, kw_only=True):
    """`key == value`, or `key != value` when not `equal`."""

    key: str
    equal: bool
    value: str


class Spread(Part, frozen=True, kw_only=True):
    """Equally many wherever `key` (as in a constraint) has another value. `weight` is against other keys."""

    key: str
    weight: float = 1.0


class Affinity(Part, frozen=True, kw_only=True):
    """Near (`anti`: away from) a service of the app, `*` for any. `weight` counts when not `required`."""

    service: str
    over: str = "node.id"
    """Near is: on nodes where this key (as in a constraint) has the same value."""
    anti: bool = False
    required: bool = False
    weight: float = 1.0


class Placement(Part, frozen=True, kw_only=True):
    """`spread` are the keys of Compose's preferences, the most important first; `max_per_node` 0: no limit."""

    constraints: tuple[Constraint, ...] = ()
    spread: tuple[str, ...] = ()
    weighted: tuple[Spread, ...] = ()
    """Those of `x-berth.spread`."""
    affinity: tuple[Affinity, ...] = ()
    max_per_node: int = 0

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """All keys to spread over: each of `spread` outweighs the later ones a thousandfold."""
        ranked = (Spread(key=key, weight=_OUTWEIGHED**rank) for rank, key in enumerate(self.spread))
        return (*ranked, *self.weighted)


class Update(Part, frozen=True, kw_only=True):
    """Compose's update_config or rollback_config."""

    parallelism: int | None = None
    """Slots under replacement at once; 0 is all, None one in `PART_AT_ONCE`."""
    delay: float = 0.0
    failure_action: Literal["pause", "continue", "rollback"] = "pause"
    monitor: float = 0.0
    """Seconds for which a new container must stay well; 0: `MONITOR`, or with a health check none."""
    max_failure_ratio: float = 0.0
    order: Literal["stop-first", "start-first"] | None = None
    """None: start-first, where two containers of a slot can be on one node."""


USUAL_UPDATE = Update()
"""One object, so that services which leave it open store nothing."""


class Dependency(Part, frozen=True, kw_only=True):
    """What must be so of another service before this one starts. Not `required`: it may be missing or fail."""

    service: str
    condition: Literal["started", "healthy", "completed"] = "started"
    restart: bool = False
    """A replaced container of that service makes those of this one be replaced too."""
    required: bool = True


class Service(Part, frozen=True, kw_only=True):
    """One service, normalized. `command` and `entrypoint` None take the image's own."""

    name: str
    line: int = 0
    """Where the file names it."""
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    stop_signal: str = ""
    stop_grace_period: float = 10.0
    init: bool = False
    tty: bool = False
    stdin_open: bool = False
    read_only: bool = False
    shm_size: int = 64 * MIB
    pull_policy: Literal["missing", "always", "never"] = "missing"
    healthcheck: Healthcheck | None = None
    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()
    networks: tuple[Attachment, ...] = ()
    """Empty: the default one alone, as it usually is."""
    volumes: tuple[Mount, ...] = ()
    tmpfs: tuple[Mount, ...] = ()
    configs: tuple[ConfigFile, ...] = ()
    secrets: tuple[SecretFile, ...] = ()
    secret_environment: dict[str, str] = {}
    """Top-level name of the secret by variable."""
    ulimits: tuple[Ulimit, ...] = ()
    logging: Logging = Logging()
    restart: Restart = Restart()
    resources: Resources
    mode: Mode = "replicated"
    replicas: int = 1
    """Of a global service it has no meaning."""
    placement: Placement = Placement()
    update: Update = USUAL_UPDATE
    rollback: Update = USUAL_UPDATE
    depends_on: tuple[Dependency, ...] = ()
    """In the order of their names."""
    priority: int = 0
    size: str = ""
    """The instance size by which it gets the limits that it does not give itself."""
    exclusive: bool = False
    """Never two containers of one slot at once, whatever was lost."""
    release_command: tuple[str, ...] | None = None
    """Must succeed once before a new release replaces anything of the app."""
    deploy_labels: dict[str, str] = {}
    """Of the service itself; its containers do not get them."""
    defaults: tuple[str, ...] = ()
    """What the file left out and Berth filled in: cpu, memory, pids, logging, restart."""
    x: dict[str, Any] = {}
    """Its `x-` fields."""

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The networks that it joins."""
        return self.networks or (DEFAULT_ATTACHMENT,)

    @property
    def secret_names(self) -> set[str]:
        """Top-level names of the secrets that it takes, in whatever way."""
        return {one.source for one in self.secrets} | set(self.secret_environment.values())

    @property
    def checked(self) -> bool:
        """The file gives it a health check."""
        return self.healthcheck is not None and self.healthcheck.test[:1] != ("NONE",)

    def filled_in(self, config: Update, replicas: int) -> Update:
        """Its update_config or rollback_config, with what the file leaves open decided for so many slots."""
        given = config.parallelism
        return msgspec.structs.replace(
            config,
            parallelism=max(1, replicas // PART_AT_ONCE) if given is None else given,
            order=config.order or ("stop-first" if self._alone else "start-first"),
            monitor=config.monitor or (0.0 if self.checked else MONITOR),
        )

    @property
    def _alone(self) -> bool:
        """Two containers of one slot could not, or should not, be there at once."""
        held = any(port.host for port in self.ports) or any(one.kind == "volume" for one in self.volumes)
        return held or self.exclusive or self.mode != "replicated" or self.restart.condition == "no"


class Project(Part, frozen=True, kw_only=True):
    """A checked file. `configs` are contents by name, `secrets` never; `warnings` say what has no effect and why."""

    name: str = ""
    services: dict[str, Service]
    volumes: tuple[str, ...] = ()
    configs: dict[str, str] = {}
    secrets: dict[str, SecretSource] = {}
    written: dict[str, str] = {}
    """Images by service as the file writes them, where variables filled them: those may be secret."""
    x: dict[str, Any] = {}
    warnings: tuple[Problem, ...] = ()

    @property
    def commands(self) -> dict[str, Service]:
        """The release commands as services that run to their end once, by their own names (`web.release`)."""
        found = (_command(one, one.release_command) for one in self.services.values() if one.release_command)
        return {command.name: command for command in found}

    def find(self, name: str) -> Service | None:
        """The service, or release command, of this name."""
        return self.services.get(name) or self.commands.get(name)


def _command(service: Service, words: tuple[str, ...]) -> Service:
    """The service's own image, environment, files and volumes. It waits for what the service waits for, takes no
    traffic, and is never tried again."""
    return msgspec.structs.replace(
        service,
        name=f"{service.name}{COMMAND_SUFFIX}",
        command=words,
        release_command=None,
        healthcheck=Healthcheck(test=("NONE",)),
        ports=(),
        expose=(),
        restart=Restart(condition="no"),
        mode="replicated-job",
        replicas=1,
        placement=Placement(constraints=service.placement.constraints),
        update=USUAL_UPDATE,
        rollback=USUAL_UPDATE,
        exclusive=False,
    )
