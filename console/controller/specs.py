"""From a release's service to what the agent is told: one container's spec and identity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType

import msgspec
from django.conf import settings

from console.workloads.compose import DEFAULT_NETWORK, Project
from console.workloads.compose import Service as Spec
from console.workloads.models import Container, volume_name
from nodeagent import protocol

_NONE: Mapping[str, str] = MappingProxyType({})

_PLAIN = re.compile(r"[A-Za-z0-9](?:[-_]*[A-Za-z0-9])*")
MOST_OVERLAY = 36
"""Characters of a network's own name that fit into Swarm's 63 with what stands before it."""


def network_name(
    app_id: str, network: str = DEFAULT_NETWORK, *, internal: bool = False, overlay: bool = False
) -> str:
    """The engine's name of an app's network: behind a dash a bridge, behind an underscore an overlay. An underscore
    more marks an internal one: in a Compose file, names of networks begin with a letter or a digit."""
    if overlay:
        return f"berth-{app_id}_{'_' if internal else ''}{_dns_part(network)}"
    if network == DEFAULT_NETWORK and not internal:
        return f"berth-{app_id}"
    return f"berth-{app_id}-{'_' if internal else ''}{network}"


def _dns_part(network: str) -> str:
    """Swarm takes short names without dots alone; of any other the digest, which no file can name."""
    if len(network) <= MOST_OVERLAY and _PLAIN.fullmatch(network):
        return network
    return f"-{sha256(network.encode()).hexdigest()[:16]}"


def attachments(app_id: str, project: Project, spec: Spec) -> tuple[protocol.Attachment, ...]:
    """The networks that a container of this service joins, under the service's name and its further ones."""
    overlay = settings.NETWORK_DRIVER == "overlay"
    steady = any(one.checked for one in project.services.values())
    return tuple(
        protocol.Attachment(
            network=network_name(app_id, one.network, internal=one.internal, overlay=overlay),
            aliases=(spec.name, *(alias for alias in one.aliases if alias != spec.name)),
            internal=one.internal,
            overlay=overlay,
            steady=steady,
        )
        for one in spec.attachments
    )


def identity(container: Container, cluster_id: str) -> protocol.Identity:
    return protocol.Identity(
        cluster=cluster_id,
        team=container.app.team.slug,
        app=container.app_id,
        service=container.slot.service.name,
        slot=container.slot_id,
        generation=container.generation,
        container=container.id,
        digest=container.digest,
        name=container.name,
    )


def build(
    container: Container, spec: Spec, project: Project, secrets: Mapping[str, str] = _NONE
) -> protocol.Spec:
    """The agent's spec of this container, with the host ports and the image that were chosen for it, and with the
    versions of its release's `secrets`. `project` is the whole of the release: what joins a network depends on who
    else does."""
    joined = attachments(container.app_id, project, spec)
    return protocol.Spec(
        image=container.image,
        image_ref=spec.image,
        command=spec.command,
        entrypoint=spec.entrypoint,
        environment=spec.environment,
        labels=spec.labels,
        user=spec.user,
        working_dir=spec.working_dir,
        hostname=spec.hostname,
        stop_signal=spec.stop_signal,
        stop_grace=spec.stop_grace_period,
        init=spec.init,
        tty=spec.tty,
        stdin_open=spec.stdin_open,
        read_only=spec.read_only,
        shm_size=spec.shm_size,
        memory=spec.resources.memory,
        cpu=spec.resources.cpu,
        pids=spec.resources.pids,
        # An exclusive one starts again on the console's word only, and so does one that is to wait before.
        restart="no" if spec.exclusive or spec.restart.delay else spec.restart.condition,
        restart_max=0 if spec.exclusive or spec.restart.delay else spec.restart.max_attempts,
        exclusive=spec.exclusive,
        healthcheck=_healthcheck(spec),
        ports=_ports(container),
        mounts=_mounts(container, spec),
        files=tuple(
            protocol.File(
                target=one.target, content=one.content.encode(), mode=one.mode, uid=one.uid, gid=one.gid
            )
            for one in spec.configs
        ),
        secrets=tuple(_secrets(spec, secrets)),
        ulimits=tuple(protocol.Ulimit(name=one.name, soft=one.soft, hard=one.hard) for one in spec.ulimits),
        log_max_size=spec.logging.max_size,
        log_max_file=spec.logging.max_file,
        network=joined[0].network,
        aliases=joined[0].aliases,
        networks=joined,
        resources=_resources(container),
    )


def like(spec: protocol.Spec, container: Container) -> protocol.Spec:
    """The spec of another container of the same release and service."""
    return msgspec.structs.replace(
        spec, image=container.image, ports=_ports(container), resources=_resources(container)
    )


def _secrets(spec: Spec, versions: Mapping[str, str]) -> Iterator[protocol.Secret]:
    for one in spec.secrets:
        yield protocol.Secret(
            name=one.source,
            version=versions.get(one.source, ""),
            target=one.target,
            mode=one.mode,
            uid=one.uid,
            gid=one.gid,
        )
    for variable, source in spec.secret_environment.items():
        yield protocol.Secret(name=source, version=versions.get(source, ""), variable=variable)


def _ports(container: Container) -> tuple[protocol.PortBinding, ...]:
    return tuple(
        protocol.PortBinding(host=host, container=inside, protocol=kind)
        for host, inside, kind in container.ports
    )


def _resources(container: Container) -> tuple[protocol.Grant, ...]:
    return tuple(
        protocol.Grant(kind=kind, units=tuple(units), share=share) for kind, units, share in container.grants
    )


def _healthcheck(spec: Spec) -> protocol.Healthcheck | None:
    check = spec.healthcheck
    if check is None:
        return None
    return protocol.Healthcheck(
        test=check.test,
        interval=check.interval or 30.0,
        timeout=check.timeout or 30.0,
        retries=check.retries or 3,
        start_period=check.start_period or 0.0,
    )


def _mounts(container: Container, spec: Spec) -> tuple[protocol.Mount, ...]:
    return tuple(
        protocol.Mount(
            kind=mount.kind,
            target=mount.target,
            source=volume_name(container.app_id, mount.source) if mount.kind == "volume" else "",
            read_only=mount.read_only,
            size=mount.size,
            mode=mount.mode,
        )
        for mount in (*spec.volumes, *spec.tmpfs)
    )
