"""Configuration of one agent: a TOML or JSON file, overridden by the environment."""

from __future__ import annotations

import json
import os
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nodeagent.errors import BadConfig
from nodeagent.grants import KIND
from nodeagent.protocol import MOST_UNITS, resource_name
from nodeagent.vault import usual_folder

LINK_PATH = "/agent/v1/link"
PEM = "-----BEGIN CERTIFICATE-----"

ENVIRONMENT = {
    "node": "BERTH_NODE",
    "console": "BERTH_CONSOLE_URL",
    "token": "BERTH_AGENT_TOKEN",  # nosec B105 - the name of a variable
    "token_file": "BERTH_AGENT_TOKEN_FILE",  # nosec B105 - the name of a variable
    "broker": "BERTH_BROKER_URL",
    "broker_file": "BERTH_BROKER_URL_FILE",
    "ca": "BERTH_CA",
    "docker_host": "BERTH_DOCKER_HOST",
    "docker_tls_dir": "BERTH_DOCKER_TLS_DIR",
    "state_dir": "BERTH_AGENT_STATE",
    "secrets_dir": "BERTH_SECRETS_DIR",
    "address": "BERTH_NODE_ADDRESS",
    "overlay": "BERTH_NODE_OVERLAY",
    "labels": "BERTH_NODE_LABELS",
    "cpu": "BERTH_NODE_CPU",
    "memory": "BERTH_NODE_MEMORY",
    "disk": "BERTH_NODE_DISK",
    "resources": "BERTH_NODE_RESOURCES",
    "ports": "BERTH_NODE_PORTS",
}
"""Key in the file → variable that overrides it."""

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,127}")
_SIZE = re.compile(r"(\d+)\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an agent is told from outside. `cpu`, `memory` and `disk` 0 mean: what the engine has.

    `resources` are whole units of generic resources by kind. With a `ca` both links are TLS or unix sockets.
    """

    node: str
    link_url: str
    token: str
    broker: str
    docker_host: str
    docker_tls_dir: str
    state_dir: Path
    address: str
    labels: Mapping[str, str]
    cpu: int
    memory: int
    port_first: int
    port_last: int
    disk: int = 0
    resources: Mapping[str, int] = field(default_factory=dict)
    secrets_dir: Path = Path("/dev/shm/berth")  # noqa: S108  # nosec B108 - its owner and mode are checked
    """In memory, and at the same path for the engine."""
    overlay: str = ""
    """Address at which other nodes reach this one for networks across hosts; empty: it stays off them."""
    ca: str = ""
    """PEM of the authority to trust on both links; empty: the system's."""


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read, check and return the configuration. Raises `BadConfig` with a sentence that names the key."""
    raw = _read(path) if path else {}
    for key, variable in ENVIRONMENT.items():
        if environment.get(variable):
            raw[key] = environment[variable]
    _take_secret(raw, "token")
    _take_secret(raw, "broker")
    return checked(raw)


def checked(raw: Mapping[str, Any]) -> Config:
    """The configuration that these values give, by the keys of `ENVIRONMENT`. Raises as `load` does."""
    first, last = _ports(raw.get("ports", "30000-32767"))
    return Config(
        node=_matching(raw, "node", _NODE),
        link_url=_link_url(_required(raw, "console")),
        token=_required(raw, "token"),
        broker=_broker(_required(raw, "broker")),
        docker_host=str(raw.get("docker_host") or "unix:///var/run/docker.sock"),
        docker_tls_dir=str(raw.get("docker_tls_dir") or ""),
        state_dir=_state_dir(str(raw.get("state_dir") or "/var/lib/berth-agent")),
        secrets_dir=_secrets_dir(raw),
        address=str(raw.get("address") or "127.0.0.1"),
        overlay=_overlay(raw),
        labels=_labels(raw.get("labels") or {}),
        cpu=_whole(raw, "cpu"),
        memory=_size(raw, "memory"),
        disk=_size(raw, "disk"),
        resources=_resources(raw.get("resources") or {}),
        port_first=first,
        port_last=last,
        ca=_authority(raw),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BadConfig(f"cannot read the configuration file {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadConfig(f"the configuration file {path} is not valid: {error}") from error
    unknown = sorted(set(data) - set(ENVIRONMENT))
    if unknown:
        raise BadConfig(f"{path}: unknown key {', '.join(unknown)}; known are {', '.join(ENVIRONMENT)}")
    return dict(data)


def _say(key: str, problem: str) -> BadConfig:
    return BadConfig(f"{key} ({ENVIRONMENT[key]}) {problem}")


def _required(raw: Mapping[str, Any], key: str) -> str:
    value = str(raw.get(key) or "").strip()
    if not value:
        raise _say(key, "is missing")
    return value


def _take_secret(raw: dict[str, Any], key: str) -> None:
    name = f"{key}_file"
    if raw.get(key) or not raw.get(name):
        return
    raw[key] = _file_text(name, str(raw[name])).strip()


def _matching(raw: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = _required(raw, key)
    if not pattern.fullmatch(value):
        raise _say(key, f"is {value!r}; letters, digits, '_', '.', '-' are allowed, 63 at most")
    return value


def _link_url(value: str) -> str:
    parts = urlsplit(value)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise _say("console", f"is {value!r}; it must look like https://console.example.org")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{LINK_PATH}"


def _broker(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"redis", "rediss", "redis+socket"} or not (parts.netloc or parts.path):
        raise _say(
            "broker", "must look like redis://user:password@host:port/0 or redis+socket://user:password@/path"
        )
    if parts.scheme != "redis+socket" and parts.path.strip("/") not in {"", "0"}:
        raise _say("broker", "must name database 0: a node's broker user may select no other")
    return value


def _authority(raw: Mapping[str, Any]) -> str:
    """The PEM text itself, or that of the file which it names."""
    given = str(raw.get("ca") or "").strip()
    if not given:
        return ""
    text = given if given.startswith(PEM) else _file_text("ca", given)
    try:
        ssl.create_default_context(cadata=text)
    except ssl.SSLError as error:
        raise _say("ca", f"holds no certificate: {error}") from error
    plain = {"console": ("http", "ws"), "broker": ("redis",)}
    for key, schemes in plain.items():
        if urlsplit(str(raw.get(key) or "")).scheme in schemes:
            raise _say(key, "is not a TLS address, though a ca is given: use https and rediss")
    return text


def _file_text(key: str, path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise _say(key, f"cannot be read: {path}: {error.strerror}") from error


def _state_dir(value: str) -> Path:
    path = Path(value)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _say("state_dir", f"cannot be made: {value}: {error.strerror}") from error
    if not os.access(path, os.W_OK):
        raise _say("state_dir", f"cannot be written: {value}")
    return path


def _secrets_dir(raw: Mapping[str, Any]) -> Path:
    given = str(raw.get("secrets_dir") or "")
    if given and not Path(given).is_absolute():
        raise _say("secrets_dir", f"is {given!r}; it must be an absolute path, the same one for the engine")
    node = _matching(raw, "node", _NODE)
    return Path(given) / node if given else usual_folder(node)


def _overlay(raw: Mapping[str, Any]) -> str:
    """What is said, or else the node's address if others can reach it. `off` is none."""
    given = str(raw.get("overlay") or "").strip()
    if given == "off":
        return ""
    try:
        address = ip_address(given or str(raw.get("address") or ""))
    except ValueError:
        if given:
            raise _say("overlay", f"is {given!r}; it must be an IP address of this host, or off") from None
        return ""
    if address.is_loopback or address.is_unspecified:
        if given:
            raise _say("overlay", f"is {given}, where no other node reaches this one")
        return ""
    return str(address)


def _labels(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        value = dict(part.partition("=")[::2] for part in value.split(",") if part)
    if not isinstance(value, dict):
        raise _say("labels", "must be a table, or text like zone=a,disk=ssd")
    labels = {str(key).strip(): str(text).strip() for key, text in value.items()}
    for key in labels:
        if not _LABEL.fullmatch(key):
            raise _say("labels", f"has the key {key!r}; letters, digits, '_', '.', '/', '-' are allowed")
    return labels


def _whole(raw: Mapping[str, Any], key: str) -> int:
    text = str(raw.get(key) or "0")
    if not text.isdigit():
        raise _say(key, f"is {text!r}; it must be a whole number of thousandths of a core")
    return int(text)


def _size(raw: Mapping[str, Any], key: str) -> int:
    value = raw.get(key) or 0
    match = _SIZE.fullmatch(str(value).strip())
    if not match:
        raise _say(key, f"is {value!r}; it must be bytes, or a size like 16g")
    return int(match[1]) * _UNITS[match[2].lower()]


def _resources(value: Any) -> dict[str, int]:
    if isinstance(value, str):
        value = dict(part.partition("=")[::2] for part in value.split(",") if part)
    if not isinstance(value, dict):
        raise _say("resources", "must be a table, or text like gpu=2,fpga=1")
    found: dict[str, int] = {}
    for kind, number in ((str(kind).strip(), str(number).strip()) for kind, number in value.items()):
        if not KIND.fullmatch(kind):
            raise _say("resources", f"has the kind {kind!r}; it must be a name such as gpu")
        if not number.isdigit() or not 0 < int(number) <= MOST_UNITS:
            raise _say("resources", f"has {number!r} of {kind}; it must be a number from 1 to {MOST_UNITS}")
        found[kind] = int(number)
    if len({resource_name(kind) for kind in found}) < len(found):
        raise _say("resources", "has two kinds that differ in case or dashes only")
    return found


def _ports(value: Any) -> tuple[int, int]:
    first, dash, last = str(value).partition("-")
    if not (dash and first.strip().isdigit() and last.strip().isdigit()):
        raise _say("ports", f"is {value!r}; it must be a range like 30000-32767")
    low, high = int(first), int(last)
    if not 1 <= low <= high <= 65535:
        raise _say("ports", f"is {value!r}; it must lie within 1-65535, the lower number first")
    return low, high
