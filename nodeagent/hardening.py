"""What this node refuses to run, whoever asks (design rule 10). Pure; checked again before every create.

The specification is checked as hostile input, and the HostConfig made from it against a list of what may be
there: a key that the list does not name is refused, so that a new option is never open by default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nodeagent import grants, names
from nodeagent.errors import Refused
from nodeagent.protocol import Healthcheck, Identity, Mount, Secret, Spec
from nodeagent.vault import NOTHING, Bind, Private

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "NET_BIND_SERVICE", "KILL")
"""All that a container keeps of root's rights."""

SECURITY_OPTIONS = ("no-new-privileges:true",)
ULIMITS = frozenset(
    {"core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "rss", "sigpending", "stack"}
)
MAX_GRACE = 3600.0
MAX_NETWORKS = 32
MAX_FILES_BYTES = 4 * 1024 * 1024
_CONTAINER = re.compile(r"berth-[A-Za-z0-9][A-Za-z0-9_.-]{0,99}-g\d+")
_KERNEL_FOLDERS = frozenset({"proc", "sys", "dev"})


def check_spec(spec: Spec) -> None:
    """Raises `Refused` unless every field is within what Berth allows."""
    names.check_image(spec.image)
    _check_limits(spec)
    _check_texts(spec)
    _check_network(spec)
    _check_paths(spec)
    grants.check_grants(spec)
    for limit in spec.ulimits:
        _need(limit.name in ULIMITS, f"The ulimit {limit.name[:40]!r} is not allowed.")
        _need(0 <= limit.soft <= limit.hard, f"The ulimit {limit.name} needs 0 <= soft <= hard.")
    if spec.healthcheck:
        _check_health(spec.healthcheck)


def check_networks(identity: Identity, spec: Spec) -> None:
    """Raises `Refused` unless each network is one of the container's own app, by its name."""
    for one in spec.attachments:
        names.check_network_of(identity.app, one.network)


def assert_safe(spec: Spec, host_config: Mapping[str, Any], private: Private = NOTHING) -> None:
    """Raises `Refused` unless the spec and the engine's HostConfig made from it are both harmless. Of the host's
    paths, the files of `private` alone may be there, each read-only at its own place."""
    check_spec(spec)
    _check_private(spec, private)
    unknown = sorted(set(host_config) - set(_HOST_CONFIG))
    _need(not unknown, f"The option {', '.join(unknown)} of the engine is not allowed.")
    for key, allowed in _HOST_CONFIG.items():
        _need(key in host_config, f"The container has no {key}; Berth sets it on every one.")
        _need(allowed(host_config[key]), f"The value of {key} is not allowed: {host_config[key]!r:.200}")
    requests = host_config["DeviceRequests"]
    _need(grants.safe_requests(spec, requests), f"These devices were not given to it: {requests!r:.200}")
    binds = [mount for mount in host_config["Mounts"] if mount.get("Type") == "bind"]
    _need(binds == [_bind(bind) for bind in private.binds], f"These paths are not its own: {binds!r:.200}")


def _bind(bind: Bind) -> dict[str, Any]:
    return {"Type": "bind", "Source": bind.source, "Target": bind.target, "ReadOnly": True}


def _check_private(spec: Spec, private: Private) -> None:
    """Its files are those of this container's folder in the vault, by number, at the places that the spec names."""
    folder, _, name = private.folder.rpartition("/")
    known = not private.binds or (folder.startswith("/") and bool(_CONTAINER.fullmatch(name)))
    _need(known, f"{private.folder[:120]!r} is not a folder of secrets.")
    numbered = [f"{private.folder}/{number}" for number in range(len(private.binds))]
    _need([bind.source for bind in private.binds] == numbered, "Its secrets are not in its own folder.")
    places = {one.target for one in spec.secrets if one.target}
    places |= {file.target for file in spec.files} if spec.read_only else set()
    _need({bind.target for bind in private.binds} <= places, "A secret is not where the spec wants it.")
    asked = {one.variable for one in spec.secrets if one.variable}
    _need(set(private.variables or {}) <= asked, "A variable is a secret that the spec does not name.")


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise Refused(message)


def _check_limits(spec: Spec) -> None:
    for name, value in (("memory", spec.memory), ("CPU", spec.cpu), ("process", spec.pids)):
        _need(value > 0, f"A container needs a {name} limit above 0; this one has {value}.")
    _need(spec.shm_size > 0, "shm_size must be above 0.")
    _need(spec.log_max_size > 0 and spec.log_max_file > 0, "Log files need a size and a number above 0.")
    _need(spec.restart_max >= 0, "The number of restarts must not be negative.")
    _need(0 <= spec.stop_grace <= MAX_GRACE, f"The stop grace period must be within 0 and {MAX_GRACE:.0f} s.")
    _need(not spec.stop_signal or bool(names.STOP_SIGNAL.fullmatch(spec.stop_signal)), "No such stop signal.")


def _check_texts(spec: Spec) -> None:
    reserved = [key for key in spec.labels if key == "berth" or key.startswith("berth.")]
    _need(not reserved, f"The label {', '.join(reserved)[:120]} is Berth's own; choose another name.")
    for name in spec.environment:
        _need(bool(name) and "=" not in name, f"{name[:60]!r} is not a name of an environment variable.")
    texts = [*(spec.command or ()), *(spec.entrypoint or ()), spec.user, spec.working_dir]
    for key, value in (*spec.environment.items(), *spec.labels.items()):
        texts += [key, value]
    _need(not any("\0" in text for text in texts), "A text of this container has a NUL character in it.")
    _need(_printable(spec.user + spec.working_dir), "user and working_dir must not hold control characters.")


def _check_network(spec: Spec) -> None:
    joined = spec.attachments
    _need(len(joined) <= MAX_NETWORKS, f"A container may join {MAX_NETWORKS} networks at most.")
    _need(len({one.network for one in joined}) == len(joined), "The same network is joined twice.")
    for one in joined:
        names.check_network(one.network)
        for alias in one.aliases:
            names.check_name(names.ALIAS, alias, "The network alias")
    if spec.hostname:
        names.check_name(names.HOSTNAME, spec.hostname, "The host name")
    _need(bool(joined) or not spec.ports, "A container without a network cannot publish ports.")
    for port in spec.ports:
        valid = 1 <= port.host <= 65535 and 1 <= port.container <= 65535
        _need(valid, f"A port must be within 1 and 65535: {port.host}:{port.container}.")
    taken = [(port.host, port.protocol) for port in spec.ports]
    _need(len(taken) == len(set(taken)), "The same host port is published twice.")


def _check_paths(spec: Spec) -> None:
    for mount in spec.mounts:
        _check_mount(mount)
    for secret in spec.secrets:
        _check_secret(secret)
    mounted = [mount.target for mount in spec.mounts]
    mounted += [secret.target for secret in spec.secrets if secret.target]
    mounted += [file.target for file in spec.files if spec.read_only]
    _distinct(map(_plain, mounted))
    _distinct([one.variable for one in spec.secrets if one.variable])
    for file in spec.files:
        _check_target(file.target)
        _need(0 <= file.mode <= 0o777, f"The mode of {file.target!r} must be within 0 and 0777.")
        _need(min(file.uid, file.gid) >= 0, f"The owner of {file.target!r} must not be negative.")
    _need(
        sum(len(file.content) for file in spec.files) <= MAX_FILES_BYTES, "The files are larger than 4 MiB."
    )


def _check_secret(secret: Secret) -> None:
    _need(bool(secret.target) != bool(secret.variable), "A secret is a file or a variable.")
    if secret.variable:
        names.check_name(names.VARIABLE, secret.variable, "The variable")
    else:
        _check_target(secret.target)
    _need(0 <= secret.mode <= 0o777, f"The mode of {secret.target!r} must be within 0 and 0777.")
    _need(min(secret.uid, secret.gid) >= 0, f"The owner of {secret.target!r} must not be negative.")


def _check_mount(mount: Mount) -> None:
    _check_target(mount.target)
    if mount.kind == "volume":
        names.check_name(names.VOLUME, mount.source, "The volume")
    else:
        _need(not mount.source, "A tmpfs has no source.")
        _need(
            mount.size >= 0 and 0 <= mount.mode <= 0o1777, f"The size or mode of {mount.target!r} is wrong."
        )


def _check_target(path: str) -> None:
    _need(path.startswith("/") and len(path) <= 4096, f"The path {path[:120]!r} must start with '/'.")
    _need(_printable(path), f"The path {path[:120]!r} holds a control character.")
    parts = [part for part in path.split("/") if part]
    _need(
        bool(parts) and ".." not in parts and "." not in parts,
        f"The path {path[:120]!r} is not a plain path.",
    )
    inside = parts[0] in _KERNEL_FOLDERS and parts[:2] != ["dev", "shm"]
    _need(not inside, f"The path {path[:120]!r} belongs to the kernel.")


def _plain(path: str) -> str:
    """As the engine reads it: many slashes are one."""
    return "/".join(part for part in path.split("/") if part)


def _check_health(check: Healthcheck) -> None:
    kind = check.test[0] if check.test else ""
    _need(kind in {"CMD", "CMD-SHELL", "NONE"}, "A health check starts with CMD, CMD-SHELL or NONE.")
    _need(kind == "NONE" or len(check.test) > 1, "A health check needs a command.")
    _need(not any("\0" in part for part in check.test), "A health check has a NUL character in it.")
    times = min(check.interval, check.timeout, check.start_period, float(check.retries))
    _need(times >= 0, "Times of a health check must not be negative.")


def _distinct(values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        _need(value not in seen, f"Two mounts have the same path {value[:120]!r}.")
        seen.add(value)


def _printable(text: str) -> bool:
    return not any(ord(character) < 32 or ord(character) == 127 for character in text)


def _safe_network(value: Any) -> bool:
    if value == "none":
        return True
    try:
        names.check_network(value)
    except (Refused, TypeError):
        return False
    return True


def _safe_mounts(value: Any) -> bool:
    return isinstance(value, list) and all(_safe_mount(mount) for mount in value)


def _safe_mount(mount: Mapping[str, Any]) -> bool:
    kind = mount.get("Type")
    if kind == "bind":
        # Which ones is a matter of the container, and looked at with it.
        return set(mount) == {"Type", "Source", "Target", "ReadOnly"} and mount["ReadOnly"] is True
    if kind == "tmpfs":
        return set(mount) <= {"Type", "Target", "ReadOnly", "TmpfsOptions"}
    plain = set(mount) <= {"Type", "Source", "Target", "ReadOnly", "VolumeOptions"}
    named = bool(names.VOLUME.fullmatch(str(mount.get("Source", ""))))
    # A driver or its options could turn a named volume into any path of the host.
    return kind == "volume" and plain and named and set(mount.get("VolumeOptions") or {}) <= {"Labels"}


def _safe_ports(value: Any) -> bool:
    bindings = [binding for group in value.values() for binding in group]
    return all(set(item) <= {"HostPort"} and 1 <= int(item["HostPort"]) <= 65535 for item in bindings)


def _safe_log(value: Any) -> bool:
    return value.get("Type") == "local" and set(value.get("Config") or {}) == {"max-size", "max-file"}


def _positive(value: Any) -> bool:
    return isinstance(value, int) and value > 0


_HOST_CONFIG: dict[str, Callable[[Any], bool]] = {
    "CapAdd": lambda value: isinstance(value, list) and set(value) <= set(CAPABILITIES),
    "CapDrop": lambda value: value == ["ALL"],
    "DeviceRequests": lambda value: isinstance(value, list),
    "Init": lambda value: isinstance(value, bool),
    "IpcMode": lambda value: value == "private",
    "LogConfig": _safe_log,
    "Memory": _positive,
    "MemorySwap": _positive,
    "Mounts": _safe_mounts,
    "NanoCpus": _positive,
    "NetworkMode": _safe_network,
    "PidsLimit": _positive,
    "PortBindings": _safe_ports,
    "Privileged": lambda value: value is False,
    "ReadonlyRootfs": lambda value: isinstance(value, bool),
    "RestartPolicy": lambda value: value.get("Name") in {"no", "unless-stopped", "on-failure"},
    "SecurityOpt": lambda value: value == list(SECURITY_OPTIONS),
    "ShmSize": _positive,
    "Ulimits": lambda value: all(item["Name"] in ULIMITS for item in value),
}
"""Every key that Berth sets, each of them always, and which values it may have."""
