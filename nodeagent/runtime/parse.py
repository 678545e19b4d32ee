"""From the engine's JSON to facts. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from nodeagent import vault
from nodeagent.protocol import LABEL_SECRETS, Engine, EngineState, Health, ImageFact, PortBinding
from nodeagent.runtime.base import ContainerFacts, Endpoint, EngineEvent, HostInfo, Usage
from nodeagent.vault import Shown

MAX_ERROR = 2000
NO_CONTAINER = ("lb-", "ep-")
"""What the engine itself has on a network across hosts, and what is coming or going there, begins with these."""


def timestamp(text: str) -> float | None:
    """Seconds since the epoch; None for the engine's zero time."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).timestamp()


def container(data: Mapping[str, Any]) -> ContainerFacts:
    """What `GET /containers/{id}/json` says."""
    state, config, host = data["State"], data["Config"], data["HostConfig"]
    status = cast(EngineState, state["Status"])
    error = str(state.get("Error") or "")[:MAX_ERROR]
    ended = status in {"exited", "dead"} or (status == "created" and bool(error))
    return ContainerFacts(
        engine_id=data["Id"],
        name=data["Name"].lstrip("/"),
        labels=config.get("Labels") or {},
        state=status,
        health=_health(state, status),
        exit_code=state.get("ExitCode") if ended else None,
        oom=bool(state.get("OOMKilled")),
        error=error,
        restarts=int(data.get("RestartCount") or 0),
        started_at=timestamp(state.get("StartedAt") or ""),
        finished_at=timestamp(state.get("FinishedAt") or "") if ended else None,
        ports=_ports(host.get("PortBindings") or {}),
        pid=int(state.get("Pid") or 0),
        tty=bool(config.get("Tty")),
        stop_grace=float(10 if config.get("StopTimeout") is None else config["StopTimeout"]),
        memory_limit=int(host.get("Memory") or 0),
        private=LABEL_SECRETS in (config.get("Labels") or {}) or _bound(host),
        networks=_networks((data.get("NetworkSettings") or {}).get("Networks") or {}),
    )


def shown(data: Mapping[str, Any]) -> Shown:
    """What the same answer shows of the container's secrets."""
    config = data["Config"]
    variables = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    return vault.shown(config.get("Labels") or {}, variables, bound=_bound(data["HostConfig"]))


def _bound(host: Mapping[str, Any]) -> bool:
    """It has files of the vault: no container has any other folder or file of its host."""
    return any(mount.get("Type") == "bind" for mount in host.get("Mounts") or ())


def unchanged(item: Mapping[str, Any], known: ContainerFacts | None) -> ContainerFacts | None:
    """`known`, if it is still so by what `GET /containers/json` says of it; else None."""
    if known is None or item["State"] != known.state:
        return None
    status = str(item.get("Status") or "")
    shown = next((health for words, health in _SHOWN_HEALTH if words in status), "none")
    return known if shown == known.health else None


_SHOWN_HEALTH = (("(healthy)", "healthy"), ("(unhealthy)", "unhealthy"), ("(health: starting)", "starting"))


def _health(state: Mapping[str, Any], status: str) -> Health:
    word = (state.get("Health") or {}).get("Status") or "none"
    # A container that does not run has no health: the engine keeps showing the last one.
    return cast(Health, word) if status in {"running", "paused"} else "none"


def _networks(joined: Mapping[str, Any]) -> dict[str, Endpoint]:
    return {
        name: Endpoint(str(one.get("IPAddress") or ""), frozenset(one.get("Aliases") or ()))
        for name, one in joined.items()
    }


def _ports(bindings: Mapping[str, Any]) -> tuple[PortBinding, ...]:
    found = []
    for key, group in bindings.items():
        number, _, protocol = key.partition("/")
        for item in group or []:
            if str(item.get("HostPort") or "").isdigit():
                host = int(item["HostPort"])
                kind = "udp" if protocol == "udp" else "tcp"
                found.append(PortBinding(host=host, container=int(number), protocol=cast(Any, kind)))
    return tuple(sorted(found, key=lambda port: (port.host, port.protocol)))


def parting(network: Mapping[str, Any] | None) -> bool | None:
    """Whether the engine has given up a network that a container has just left: None while it stays, because others of
    its containers are on it or it is a bridge. A manager then still shows it, as the swarm's and without peers."""
    if network is None:
        return True
    names = network.get("Containers") or {}
    if network.get("Driver") != "overlay" or any(not name.startswith(NO_CONTAINER) for name in names):
        return None
    # What it has there of its own goes up to a second before the network does.
    return not network.get("Peers")


def image(data: Mapping[str, Any]) -> ImageFact:
    """One image, from a list or from an inspection."""
    return ImageFact(
        id=data["Id"],
        tags=tuple(tag for tag in data.get("RepoTags") or () if tag != "<none>:<none>"),
        digests=tuple(name for name in data.get("RepoDigests") or () if not name.startswith("<none>")),
        size=int(data.get("Size") or 0),
    )


def event(data: Mapping[str, Any]) -> EngineEvent:
    actor = data.get("Actor") or {}
    return EngineEvent(
        kind=str(data.get("Type") or ""),
        action=str(data.get("Action") or data.get("status") or ""),
        id=str(actor.get("ID") or data.get("id") or ""),
        labels=actor.get("Attributes") or {},
    )


def host(version: Mapping[str, Any], info: Mapping[str, Any], api: str) -> HostInfo:
    cgroup = f"v{info.get('CgroupVersion') or '1'} {info.get('CgroupDriver') or ''}".strip()
    engine = Engine(
        version=str(version.get("Version") or ""),
        api=api,
        os=str(version.get("Os") or "linux"),
        arch=str(version.get("Arch") or ""),
        kernel=str(info.get("KernelVersion") or ""),
        cgroup=cgroup,
        live_restore=bool(info.get("LiveRestoreEnabled")),
    )
    return HostInfo(
        engine=engine,
        cpu=int(info["NCPU"]) * 1000,
        memory=int(info["MemTotal"]),
        data_root=str(info.get("DockerRootDir") or ""),
        runtimes=frozenset(info.get("Runtimes") or ()),
        default_runtime=str(info.get("DefaultRuntime") or ""),
    )


def usage(data: Mapping[str, Any]) -> Usage:
    """What `GET /containers/{id}/stats` says, of cgroup v1 and v2 alike."""
    memory = data.get("memory_stats") or {}
    detail = memory.get("stats") or {}
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    networks = (data.get("networks") or {}).values()
    blocks = (data.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return Usage(
        at=time.monotonic(),
        cpu_ns=int(data["cpu_stats"]["cpu_usage"]["total_usage"]),
        memory=max(0, int(memory.get("usage", 0)) - int(cache)),
        net_rx=sum(int(item["rx_bytes"]) for item in networks),
        net_tx=sum(int(item["tx_bytes"]) for item in networks),
        block_read=sum(int(item["value"]) for item in blocks if item["op"].lower() == "read"),
        block_write=sum(int(item["value"]) for item in blocks if item["op"].lower() == "write"),
        pids=int((data.get("pids_stats") or {}).get("current") or 0),
    )
