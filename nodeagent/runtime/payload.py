"""From a specification to the engine's create request. Pure: nothing of a user's text becomes an option."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nodeagent import grants, naming, protocol, vault
from nodeagent.hardening import CAPABILITIES, SECURITY_OPTIONS
from nodeagent.protocol import Healthcheck, Identity, Mount, Spec
from nodeagent.runtime.base import ContainerFacts, Endpoint
from nodeagent.vault import NOTHING, Bind, Private

NOFILE = 20000
"""Open files per container, where the host allows as many."""


def labels(identity: Identity) -> dict[str, str]:
    """The engine's labels are the agent's memory: the identity."""
    return {
        protocol.LABEL_CLUSTER: identity.cluster,
        protocol.LABEL_TEAM: identity.team,
        protocol.LABEL_APP: identity.app,
        protocol.LABEL_SERVICE: identity.service,
        protocol.LABEL_SLOT: identity.slot,
        protocol.LABEL_GENERATION: str(identity.generation),
        protocol.LABEL_CONTAINER: identity.container,
        protocol.LABEL_DIGEST: identity.digest,
        protocol.LABEL_NAME: identity.name,
    }


def all_labels(identity: Identity, spec: Spec) -> dict[str, str]:
    """The user's, the identity, and what the agent must know of a container also after its own restart."""
    marks = {protocol.LABEL_EXCLUSIVE: "1"} if spec.exclusive else {}
    return {**spec.labels, **labels(identity), **naming.label(spec), **vault.label(spec), **marks}


def create_body(
    identity: Identity, spec: Spec, nofile: int, default_runtime: str = "", private: Private = NOTHING
) -> dict[str, Any]:
    """Body of `POST /containers/create` (Engine API 1.41 and later). `nofile` is the host's hard limit."""
    own = grants.environment(spec, default_runtime)
    variables = {**spec.environment, **(private.variables or {}), **own}
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Labels": all_labels(identity, spec),
        "Hostname": spec.hostname,
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "StopTimeout": math.ceil(spec.stop_grace),
        "Tty": spec.tty,
        "OpenStdin": spec.stdin_open,
        "ExposedPorts": {f"{port.container}/{port.protocol}": {} for port in spec.ports},
        "HostConfig": host_config(identity, spec, nofile, private),
    }
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.stop_signal:
        body["StopSignal"] = spec.stop_signal
    if spec.healthcheck:
        body["Healthcheck"] = _health(spec.healthcheck)
    # An engine takes one network here; the container joins the others before it is started.
    for first in spec.attachments[:1]:
        names = naming.at_first(spec, first.aliases)
        body["NetworkingConfig"] = {"EndpointsConfig": {first.network: {"Aliases": list(names)}}}
    return body


def made(engine_id: str, identity: Identity, spec: Spec, body: Mapping[str, Any]) -> ContainerFacts:
    """What the engine has made of such a body a moment ago. Only it knows the addresses."""
    joined = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    return ContainerFacts(
        engine_id=engine_id,
        name=identity.engine_name,
        labels=body["Labels"],
        state="created",
        ports=tuple(sorted(spec.ports, key=lambda port: (port.host, port.protocol))),
        tty=spec.tty,
        stop_grace=float(body["StopTimeout"]),
        memory_limit=spec.memory,
        private=vault.needs(spec),
        networks={name: Endpoint(names=frozenset(one["Aliases"])) for name, one in joined.items()},
    )


def network_body(name: str, cluster: str, app: str, *, internal: bool) -> dict[str, Any]:
    """Body of `POST /networks/create` for a bridge."""
    return {
        "Name": name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Internal": internal,
        "Labels": {protocol.LABEL_CLUSTER: cluster, protocol.LABEL_APP: app},
    }


def host_config(identity: Identity, spec: Spec, nofile: int, private: Private = NOTHING) -> dict[str, Any]:
    """The part that decides what the container may do to its host."""
    return {
        "CapAdd": list(CAPABILITIES),
        "CapDrop": ["ALL"],
        "DeviceRequests": grants.device_requests(spec),
        "Init": spec.init,
        "IpcMode": "private",
        "LogConfig": {
            "Type": "local",
            "Config": {"max-size": str(spec.log_max_size), "max-file": str(spec.log_max_file)},
        },
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
        "Mounts": [*(_mount(identity, mount) for mount in spec.mounts), *map(_bind, private.binds)],
        "NanoCpus": spec.cpu * 1_000_000,
        "NetworkMode": next((one.network for one in spec.attachments), "none"),
        "PidsLimit": spec.pids,
        "PortBindings": _port_bindings(spec),
        "Privileged": False,
        "ReadonlyRootfs": spec.read_only,
        "RestartPolicy": _restart(spec),
        "SecurityOpt": list(SECURITY_OPTIONS),
        "ShmSize": spec.shm_size,
        "Ulimits": _ulimits(spec, nofile),
    }


def _port_bindings(spec: Spec) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in spec.ports:
        bindings.setdefault(f"{port.container}/{port.protocol}", []).append({"HostPort": str(port.host)})
    return bindings


def _restart(spec: Spec) -> dict[str, Any]:
    if spec.restart == "on-failure":
        return {"Name": spec.restart, "MaximumRetryCount": spec.restart_max}
    return {"Name": spec.restart}


def _ulimits(spec: Spec, nofile: int) -> list[dict[str, Any]]:
    most = min(NOFILE, nofile)
    limits = {"nofile": (most, most)}
    for limit in spec.ulimits:
        # No container can have more open files than the engine itself may.
        bound = nofile if limit.name == "nofile" else limit.hard
        limits[limit.name] = (min(limit.soft, bound), min(limit.hard, bound))
    return [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in limits.items()]


def _mount(identity: Identity, mount: Mount) -> dict[str, Any]:
    body: dict[str, Any] = {"Type": mount.kind, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.kind == "volume":
        own = {protocol.LABEL_CLUSTER: identity.cluster, protocol.LABEL_APP: identity.app}
        return {**body, "Source": mount.source, "VolumeOptions": {"Labels": own}}
    options = {"SizeBytes": mount.size, "Mode": mount.mode}
    return {**body, "TmpfsOptions": {key: value for key, value in options.items() if value}}


def _bind(bind: Bind) -> dict[str, Any]:
    return {"Type": "bind", "Source": bind.source, "Target": bind.target, "ReadOnly": True}


def _health(check: Healthcheck) -> dict[str, Any]:
    return {
        "Test": list(check.test),
        "Interval": _nanoseconds(check.interval),
        "Timeout": _nanoseconds(check.timeout),
        "StartPeriod": _nanoseconds(check.start_period),
        "Retries": check.retries,
    }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
