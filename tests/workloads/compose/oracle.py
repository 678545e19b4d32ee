"""Docker's own Compose v2, and its normal form brought down to Berth's (one spelling for each thing)."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
VARIABLES = {"WHO": "world", "BLANK": "", "FLAG": "true", "MEM": "32m", "COUNT": "5", "REPO": "nginx"}
FILES = {path.name: path.read_text() for path in CORPUS.iterdir() if path.suffix != ".yml"}

_DEFAULTS: dict[str, Any] = {
    "stop_grace_period": "10s",
    "init": False,
    "tty": False,
    "stdin_open": False,
    "read_only": False,
    "shm_size": str(64 * 1024 * 1024),
    "pull_policy": "missing",
}
_RESTART = {"always": "unless-stopped", "any": "unless-stopped", "none": "no"}
_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def binary() -> Path:
    """The real binary inside the package, not the wrapper, which exits with 0 even on errors."""
    spec = find_spec("compose")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "docker-compose"


class RefusedError(Exception):
    """Compose does not take the file."""


def compose_config(path: Path) -> dict[str, Any]:
    """What `docker-compose config` makes of a file. Raises `RefusedError`, by the binary's exit status."""
    done = subprocess.run(
        [binary(), "-f", path, "config", "--format", "json"],
        cwd=CORPUS,
        env=VARIABLES,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return dict(_single_dollars(json.loads(done.stdout)))


def reduced(config: dict[str, Any]) -> dict[str, Any]:
    """Compose's form of a project in the form of `canonical`."""
    extensions = {key: value for key, value in config.items() if key.startswith("x-")}
    return {
        "name": config["name"],
        "services": {name: _service(service) for name, service in config["services"].items()},
        "networks": {
            name: {"internal": True} if one.get("internal") else {}
            for name, one in config["networks"].items()
        },
        "volumes": sorted(config.get("volumes", {})),
        "configs": {name: _config(one) for name, one in config.get("configs", {}).items()},
        "secrets": {name: _secret(config["name"], one) for name, one in config.get("secrets", {}).items()},
        **extensions,
    }


def _single_dollars(value: Any) -> Any:
    """Compose prints each `$` twice, so that its output is a Compose file again."""
    if isinstance(value, dict):
        return {_single_dollars(key): _single_dollars(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_single_dollars(inner) for inner in value]
    return value.replace("$$", "$") if isinstance(value, str) else value


def _config(one: dict[str, Any]) -> str:
    if "file" in one:
        return Path(one["file"]).read_text()
    return VARIABLES[one["environment"]] if "environment" in one else str(one["content"])


def _secret(project: str, one: dict[str, Any]) -> dict[str, Any]:
    """Compose puts the project before a name of its own choice, and makes paths whole."""
    if one.get("external"):
        return {"external": True, "name": one["name"]}
    name = str(one["name"]).removeprefix(f"{project}_")
    if "file" in one:
        return {"file": f"./{Path(one['file']).name}", "name": name}
    return {"environment": one["environment"], "name": name}


def _mounted_secret(one: dict[str, Any]) -> dict[str, Any]:
    """Berth's default mode is stricter, and the path is written whole."""
    target = str(one.get("target") or one["source"])
    path = target if target.startswith("/") else f"/run/secrets/{target}"
    mode = f"0{int(str(one.get('mode', '0400')), 8):o}"
    return {
        "source": one["source"],
        "target": path,
        "uid": one.get("uid", "0"),
        "gid": one.get("gid", "0"),
        "mode": mode,
    }


def _service(given: dict[str, Any]) -> dict[str, Any]:
    service = {**_DEFAULTS, **{key: value for key, value in given.items() if value is not None}}
    service["networks"] = {
        name: {"aliases": sorted(one["aliases"])} if one else None
        for name, one in service["networks"].items()
    }
    deploy = service.pop("deploy", {})
    service["deploy"] = {
        "replicas": deploy.get("replicas", service.pop("scale", 1)),
        "resources": _resources(service, deploy.get("resources", {})),
        "placement": _placement(deploy.get("placement", {})),
        **_mode_and_updates(deploy),
    }
    service.pop("scale", None)
    service["environment"] = {k: v for k, v in service.get("environment", {}).items() if v is not None}
    policy = _plain(deploy.get("restart_policy", {}))
    if not any(policy.get(key, "0s") != "0s" for key in ("delay", "window")):
        service["restart"] = _restart(service.get("restart"), deploy.get("restart_policy"))
    else:
        service.pop("restart", None)
        times = {key: time for key, time in policy.items() if time != "0s"}
        service["deploy"]["restart_policy"] = {"condition": "any", **times}
    service["logging"] = _logging(service.get("logging", {}))
    service["ports"] = [_port(port) for port in service.get("ports", ())]
    service["volumes"] = [_volume(volume) for volume in service.get("volumes", ())]
    service["tmpfs"] = [_tmpfs(line) for line in service.get("tmpfs", ())]
    service["configs"] = [_mounted_config(one) for one in service.get("configs", ())]
    service["secrets"] = [_mounted_secret(one) for one in service.get("secrets", ())]
    service["ulimits"] = {
        name: {"soft": 0, "hard": 0, **limit} if isinstance(limit, dict) else {"soft": limit, "hard": limit}
        for name, limit in service.get("ulimits", {}).items()
    }
    if "healthcheck" in service:
        service["healthcheck"] = _healthcheck(service["healthcheck"])
    empty_is_absent = {"environment", "restart", "ports", "volumes", "tmpfs", "configs", "secrets", "ulimits"}
    return {key: value for key, value in service.items() if value or key not in empty_is_absent}


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if not key.startswith("x-")}


def _resources(service: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    limits, held = _plain(given.get("limits", {})), _plain(given.get("reservations", {}))
    for old, tree, new in (
        ("cpus", limits, "cpus"),
        ("mem_limit", limits, "memory"),
        ("pids_limit", limits, "pids"),
        ("mem_reservation", held, "memory"),
    ):
        if old in service:
            tree[new] = service.pop(old)
    return {"limits": limits, "reservations": _units(held)}


def _units(held: dict[str, Any]) -> dict[str, Any]:
    """A number of GPUs, written as a device, as units of a generic resource."""
    units = held.pop("generic_resources", [])
    for device in held.pop("devices", []):
        units = [*units, {"discrete_resource_spec": {"kind": "gpu", "value": device["count"]}}]
    ordered = sorted(units, key=lambda one: str(one["discrete_resource_spec"]["kind"]))
    return {**held, "generic_resources": ordered} if ordered else held


def _mode_and_updates(deploy: dict[str, Any]) -> dict[str, Any]:
    """What differs from Compose's defaults. An endpoint_mode changes nothing here, so it is not kept."""
    usual = {
        "delay": "0s",
        "failure_action": "pause",
        "monitor": "0s",
    }
    kept = {
        key: {name: value for name, value in deploy.get(key, {}).items() if usual.get(name) != value}
        for key in ("update_config", "rollback_config")
    }
    kept["labels"] = deploy.get("labels", {})
    mode = {} if deploy.get("mode", "replicated") == "replicated" else {"mode": deploy["mode"]}
    return {**mode, **{key: value for key, value in kept.items() if value}}


def _placement(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "constraints": [line.replace(" ", "") for line in given.get("constraints", [])],
        "preferences": given.get("preferences", []),
        "max_replicas_per_node": given.get("max_replicas_per_node", 0),
    }


def _restart(word: str | None, policy: dict[str, Any] | None) -> str | None:
    if policy is not None:
        word = policy.get("condition", "any")
        word = f"{word}:{policy['max_attempts']}" if "max_attempts" in policy else word
    return None if word is None else _RESTART.get(word, word)


def _logging(given: dict[str, Any]) -> dict[str, Any]:
    options = given.get("options", {})
    sizes = {"max-size": _bytes(options["max-size"])} if "max-size" in options else {}
    counts = {"max-file": int(options["max-file"])} if "max-file" in options else {}
    return {"driver": given.get("driver", "json-file"), "options": {**sizes, **counts}}


def _bytes(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1]]


def _port(given: dict[str, Any]) -> dict[str, Any]:
    return {key: given.get(key, "0") for key in ("target", "published", "protocol")}


def _volume(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value or key == "source"}


def _tmpfs(line: str) -> dict[str, Any]:
    path, _, options = line.partition(":")
    found: dict[str, Any] = {}
    for name, _, value in (option.partition("=") for option in options.split(",")):
        if name == "size":
            found["size"] = str(_bytes(value))
        elif name == "mode":
            found["mode"] = int(value, 8)
    form: dict[str, Any] = {"type": "tmpfs", "target": path}
    return {**form, "tmpfs": found} if found else form


def _mounted_config(given: dict[str, Any]) -> dict[str, Any]:
    base = {"target": f"/{given['source']}", "uid": "0", "gid": "0", "mode": "0444"}
    return {**base, **given}


def _healthcheck(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("disable"):
        return {"test": ["NONE"]}
    return {key: value for key, value in _plain(given).items() if key != "disable"}
