"""One service of the file → `Service`."""

from __future__ import annotations

import re
from typing import Literal, cast

from .configs import read_configs
from .context import Context
from .cursor import Cursor, value
from .depends import read_depends_on
from .deploy import check_together, read_deployment
from .environment import read_environment, read_labels
from .keys import SERVICE, SERVICE_REFUSED, SERVICE_UNSUPPORTED
from .model import MIB, Service
from .mounts import check_targets, read_tmpfs, read_volumes
from .networks import read_networks
from .plain import read_extensions
from .ports import read_expose, read_ports
from .problems import clip
from .process import read_command, read_healthcheck, read_logging, read_ulimits
from .scalars import Scalar
from .secrets import read_secret_environment, read_secrets
from .values import boolean, duration, matching, size, text

_REPOSITORY = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
_IMAGE = re.compile(_DOMAIN + _REPOSITORY + r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?", re.ASCII)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
_USER = matching(r"([A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?)?", "a user such as 1000:1000")
_HOSTNAME = matching(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", "a host name")
_SIGNAL = matching(r"SIG[A-Z0-9+-]{1,12}|[A-Z]{2,8}[0-9]?|[0-9]{1,2}", "a signal such as SIGTERM")
_DIRECTORY = matching(r"/[^\0]*", "an absolute path in the container")
_PULL = {"always": "always", "never": "never", "missing": "missing", "if_not_present": "missing"}


def read_service(at: Cursor, context: Context) -> Service:
    """The service; what is wrong with it goes to the cursor's problems."""
    name = str(at.key)
    if not _NAME.fullmatch(name):
        at.fail_key(
            "invalid", f"{clip(name)} is not a service name: letters, digits, . _ - and at most 63 of them"
        )
    fields = at.fields(SERVICE, unsupported=SERVICE_UNSUPPORTED, refused=SERVICE_REFUSED)
    _check_allowed(fields)
    if "image" not in fields:
        at.fail_key("missing", "the service needs an image")
    elif (written := fields["image"].node.written) is not None:
        context.written[name] = written
    deployment = read_deployment(fields, context)
    ports = read_ports(fields.get("ports"), context.policy)
    volumes, tmpfs = read_volumes(fields.get("volumes"), context), read_tmpfs(fields.get("tmpfs"))
    configs = read_configs(fields.get("configs"), context)
    user = value(fields, "user", _USER, "")
    secrets = read_secrets(fields.get("secrets"), context, user)
    environment = read_environment(fields, context)
    targets = [mount.target for mount in (*volumes, *tmpfs)]
    targets += [file.target for file in configs] + [file.target for file in secrets]
    check_targets(fields, [path for path in targets if path])
    check_together(fields, deployment, ports=any(port.host for port in ports), volumes=bool(volumes))
    return Service(
        name=name,
        line=at.key.line if at.key else at.node.line,
        image=value(fields, "image", _image, ""),
        command=read_command(fields.get("command")),
        entrypoint=read_command(fields.get("entrypoint")),
        environment=environment,
        labels=read_labels(fields.get("labels")),
        user=user,
        working_dir=value(fields, "working_dir", _DIRECTORY, ""),
        hostname=value(fields, "hostname", _HOSTNAME, ""),
        stop_signal=value(fields, "stop_signal", _SIGNAL, ""),
        stop_grace_period=value(fields, "stop_grace_period", duration, 10.0),
        init=value(fields, "init", boolean, False),
        tty=value(fields, "tty", boolean, False),
        stdin_open=value(fields, "stdin_open", boolean, False),
        read_only=value(fields, "read_only", boolean, False),
        shm_size=value(fields, "shm_size", size, 64 * MIB),
        pull_policy=_pull_policy(fields.get("pull_policy")),
        healthcheck=read_healthcheck(fields.get("healthcheck")),
        ports=ports,
        expose=read_expose(fields.get("expose")),
        networks=read_networks(fields.get("networks"), context),
        volumes=volumes,
        tmpfs=tmpfs,
        configs=configs,
        secrets=secrets,
        secret_environment=read_secret_environment(
            deployment.own.fields.get("secret_environment"), context, environment
        ),
        ulimits=read_ulimits(fields.get("ulimits")),
        logging=read_logging(fields.get("logging"), deployment.defaults),
        restart=deployment.restart,
        resources=deployment.resources,
        mode=deployment.mode,
        replicas=deployment.replicas,
        placement=deployment.placement,
        update=deployment.update,
        rollback=deployment.rollback,
        depends_on=read_depends_on(fields.get("depends_on"), context),
        priority=deployment.own.priority,
        size=deployment.own.size,
        exclusive=deployment.own.exclusive,
        release_command=deployment.own.release_command,
        deploy_labels=deployment.labels,
        defaults=tuple(deployment.defaults),
        x=read_extensions(at, own=True),
    )


def _image(given: Scalar) -> str:
    written = text(given)
    if len(written) > 512 or not _IMAGE.fullmatch(written):
        raise ValueError(f"{clip(written)} is not an image such as docker.io/library/nginx:1.27")
    return written


def _pull_policy(at: Cursor | None) -> Literal["missing", "always", "never"]:
    written = at.parse(text, "missing") if at else "missing"
    if at and written not in _PULL:
        at.fail(
            "unsupported", f"pull_policy {clip(written)} is not supported yet: use always, missing or never"
        )
    return cast(Literal["missing", "always", "never"], _PULL.get(written, "missing"))


def _check_allowed(fields: dict[str, Cursor]) -> None:
    """Keys whose value decides whether they are allowed."""
    if "privileged" in fields:
        if fields["privileged"].parse(boolean, True):
            fields["privileged"].fail_key(
                "refused", "privileged is not allowed: it gives a container rights on its host"
            )
        else:
            fields["privileged"].warn("note", "privileged: false is always so")
    if "network_mode" in fields:
        mode = fields["network_mode"].parse(text, "")
        if mode == "host" or mode.startswith(("container:", "service:")):
            fields["network_mode"].fail_key(
                "refused", f"network_mode {clip(mode)} is not allowed: it opens another network"
            )
        else:
            fields["network_mode"].fail_key("unsupported", "network_mode is not supported yet: use networks")
    for option in fields["security_opt"].items() if "security_opt" in fields else []:
        if re.fullmatch(r"no-new-privileges([:=]true)?", option.parse(text, "")):
            option.warn("note", "no-new-privileges is always set")
        else:
            option.fail(
                "refused",
                f"security_opt {clip(option.text)} is not allowed: it can weaken a container's walls",
            )
