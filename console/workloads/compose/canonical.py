"""The project in the normal form of Compose v2's `config --format json`.

Where Compose keeps two spellings of one thing (mem_limit and deploy.resources, restart and
restart_policy, …), this form has one: `deploy.resources`, and `restart` where it can say it all. What Berth filled
in is left out.
"""

from __future__ import annotations

from typing import Any

from .canonical_deploy import depends_on_form, deploy_form, own_form, restart_word
from .cursor import OWN
from .durations import go_duration
from .model import ConfigFile, Healthcheck, Mount, Project, SecretFile, SecretSource, Service


def canonical(project: Project) -> dict[str, Any]:
    """Plain JSON values, a `$` written once. Volumes, configs and networks that no service takes are left out."""
    mounted = {mount.source for service in project.services.values() for mount in service.volumes}
    joined = [one for service in project.services.values() for one in service.attachments]
    used = {config.source for service in project.services.values() for config in service.configs}
    taken = {name for service in project.services.values() for name in service.secret_names}
    return {
        "name": project.name,
        "services": {name: _service(service) for name, service in project.services.items()},
        "networks": {one.network: {"internal": True} if one.internal else {} for one in joined},
        "volumes": sorted(mounted & set(project.volumes)),
        "configs": {name: content for name, content in project.configs.items() if name in used},
        "secrets": {name: _source(one) for name, one in project.secrets.items() if name in taken},
        **project.x,
    }


def _service(service: Service) -> dict[str, Any]:
    given: dict[str, Any] = {
        "image": service.image,
        "command": _list(service.command),
        "entrypoint": _list(service.entrypoint),
        "environment": service.environment or None,
        "labels": service.labels or None,
        "user": service.user or None,
        "working_dir": service.working_dir or None,
        "hostname": service.hostname or None,
        "stop_signal": service.stop_signal or None,
        "stop_grace_period": go_duration(service.stop_grace_period),
        "init": service.init,
        "tty": service.tty,
        "stdin_open": service.stdin_open,
        "read_only": service.read_only,
        "shm_size": str(service.shm_size),
        "pull_policy": service.pull_policy,
        "healthcheck": _healthcheck(service.healthcheck) if service.healthcheck else None,
        "ports": _list(_port(port.container, port.host, port.protocol) for port in service.ports) or None,
        "expose": list(service.expose) or None,
        "networks": {
            one.network: {"aliases": list(one.aliases)} if one.aliases else None
            for one in service.attachments
        },
        "volumes": [_mount(mount) for mount in service.volumes] or None,
        "tmpfs": [_mount(mount) for mount in service.tmpfs] or None,
        "configs": [_file(one) for one in service.configs] or None,
        "secrets": [_file(one) for one in service.secrets] or None,
        "ulimits": {u.name: {"soft": u.soft, "hard": u.hard} for u in service.ulimits} or None,
        "logging": _logging(service),
        "restart": None if "restart" in service.defaults else restart_word(service.restart),
        "depends_on": depends_on_form(service) or None,
        "deploy": deploy_form(service),
        OWN: own_form(service) or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _list(values: Any) -> list[Any] | None:
    return None if values is None else list(values)


def _port(container: int, host: int, protocol: str) -> dict[str, Any]:
    return {"target": container, "published": str(host), "protocol": protocol}


def _mount(mount: Mount) -> dict[str, Any]:
    form: dict[str, Any] = {"type": mount.kind, "target": mount.target}
    if mount.source:
        form["source"] = mount.source
    if mount.read_only:
        form["read_only"] = True
    options = {key: value for key, value in (("size", str(mount.size)), ("mode", mount.mode)) if int(value)}
    return {**form, "tmpfs": options} if options else form


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    form: dict[str, Any] = {"test": list(check.test)} if check.test else {}
    for key in ("interval", "timeout", "start_period"):
        if (seconds := getattr(check, key)) is not None:
            form[key] = go_duration(seconds)
    return form if check.retries is None else {**form, "retries": check.retries}


def _file(one: ConfigFile | SecretFile) -> dict[str, Any]:
    owner = {"uid": str(one.uid), "gid": str(one.gid)}
    return {"source": one.source, "target": one.target, **owner, "mode": f"0{one.mode:o}"}


def _source(one: SecretSource) -> dict[str, Any]:
    if one.kind == "stored":
        return {"external": True, "name": one.name}
    return {one.kind: one.key, "name": one.name}


def _logging(service: Service) -> dict[str, Any]:
    options = {}
    if "log_max_size" not in service.defaults:
        options["max-size"] = service.logging.max_size
    if "log_max_file" not in service.defaults:
        options["max-file"] = service.logging.max_file
    return {"driver": service.logging.driver, "options": options}
