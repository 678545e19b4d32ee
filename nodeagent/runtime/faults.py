"""From the engine's words to an error that says what happened and what to do. Pure."""

from __future__ import annotations

from nodeagent.runtime.base import (
    Conflict,
    DiskFull,
    EngineError,
    ImageMissing,
    InUse,
    Invalid,
    NotFound,
    NotRunning,
    PortTaken,
    RegistryDenied,
    RegistryUnreachable,
    StillRunning,
)


class AlreadyJoined(EngineError):
    """The container is on that network."""


class NotJoined(EngineError):
    """The container is not on that network."""


Rule = tuple[tuple[str, ...], type[EngineError], str]
"""Words of the engine, any of which tells this error, and what to do about it."""

_CHECK_NAME = "Check the name, or store registry credentials for it."
_FREE_DISK = "Free disk space on the node, or remove unused images."

_PULL: tuple[Rule, ...] = (
    (("no space left",), DiskFull, _FREE_DISK),
    (("no matching manifest",), ImageMissing, "The image has no variant for this node's platform."),
    (("denied", "unauthorized", "authentication required", "no basic auth"), RegistryDenied, _CHECK_NAME),
    (
        ("no such host", "server misbehaving", "network is unreachable", "connection refused", "timeout"),
        RegistryUnreachable,
        "The registry cannot be reached from the node: check the name and the node's network.",
    ),
    (("manifest unknown", "not found", "does not exist", "name unknown"), ImageMissing, _CHECK_NAME),
)

_START: tuple[Rule, ...] = (
    (
        ("port is already allocated", "address already in use"),
        PortTaken,
        "Another process on the node has this port; free it or publish another one.",
    ),
    (
        ("executable file not found", "no such file or directory", "exec format"),
        Invalid,
        "Check the command and the entrypoint: the image has no such program.",
    ),
    (
        ("could not select device driver", "unknown or invalid runtime name"),
        Invalid,
        "The engine cannot give GPUs: install the NVIDIA Container Toolkit on the node and restart the engine.",
    ),
    (("permission denied",), Invalid, "The program may not be run; check its mode and the user."),
    (("unable to find user", "chdir to cwd"), Invalid, "Check user and working_dir against the image."),
)

_EXEC: tuple[Rule, ...] = (
    (("is not running", "is paused", "is restarting"), NotRunning, "Wait until it runs."),
    (
        ("executable file not found", "no such file or directory", "exec format"),
        Invalid,
        "The image has no such program; choose another command.",
    ),
    (("permission denied",), Invalid, "The program may not be run; check its mode and the user."),
    (
        ("unable to find user", "no matching entries", "chdir to cwd"),
        Invalid,
        "Check the user and the folder.",
    ),
)

_JOIN: tuple[Rule, ...] = (
    (("already exists in network",), AlreadyJoined, ""),
    (("is not connected to",), NotJoined, ""),
)

_SWARM: tuple[Rule, ...] = (
    (
        ("live-restore",),
        Invalid,
        "Take live-restore out of the engine's daemon.json and restart it: containers then end with their engine.",
    ),
    (("already exists",), Conflict, ""),
    (("no free", "address pool", "all predefined"), EngineError, "Widen BERTH_OVERLAY_POOL, or remove apps."),
)

_GENERAL: tuple[Rule, ...] = (
    (
        (
            *("running container", "restarting container", "paused container"),
            *("container is running", "container is restarting", "container is paused"),
        ),
        StillRunning,
        "It is stopped first.",
    ),
    (
        ("marked read-only",),
        Invalid,
        "Config files cannot be written into a read-only root: drop read_only, or the configs.",
    ),
    (("in use", "active endpoints", "in progress"), InUse, ""),
    (
        ("address pool", "all predefined"),
        EngineError,
        "The engine has no free subnet: remove unused networks or widen its address pools.",
    ),
    (("no space left",), DiskFull, _FREE_DISK),
)

_BY_STATUS: dict[int, tuple[type[EngineError], str]] = {
    400: (Invalid, "Correct the service's settings."),
    404: (NotFound, "It is gone."),
    409: (Conflict, "Something else has this name; rename or remove it by hand."),
}


def pull_fault(image: str, words: str) -> EngineError:
    """Why an image cannot be fetched."""
    said = f"The image {image} cannot be pulled on this node: {_one_line(words)}."
    fallback = RegistryUnreachable(f"{said} {_CHECK_NAME}")
    return _by_words(_PULL, said, words) or fallback


def create_fault(name: str, status: int, words: str) -> EngineError:
    """Why a container cannot be made."""
    said = f"The container {name} cannot be created: {_one_line(words)}."
    if status == 404 and "image" in words.lower():
        return ImageMissing(f"{said} The image is not on this node; pull it or load it there.")
    if status == 409:
        return Conflict(f"{said} {_BY_STATUS[409][1]}")
    return _by_status(said, status, words)


def start_fault(name: str, status: int, words: str) -> EngineError:
    """Why a made container does not start."""
    said = f"The container {name} cannot be started: {_one_line(words)}."
    return _by_words(_START, said, words) or _by_status(said, status, words)


def exec_fault(name: str, status: int, words: str) -> EngineError:
    """Why a program cannot be run inside a container."""
    said = f"The command cannot be run in {name}: {_one_line(words)}."
    return _by_words(_EXEC, said, words) or _by_status(said, status, words)


def join_fault(name: str, network: str, status: int, words: str) -> EngineError:
    """Why a container cannot join or leave a network."""
    said = f"The container {name} cannot be moved on the network {network}: {_one_line(words)}."
    return _by_words(_JOIN, said, words) or _by_status(said, status, words)


def image_fault(name: str, status: int, words: str) -> EngineError:
    """Why an image, or a name of it, is not removed."""
    what = f"The image {name} is not removed"
    return InUse(f"{what}: {_one_line(words)}.") if status == 409 else general_fault(what, status, words)


def swarm_fault(what: str, status: int, words: str) -> EngineError:
    """Why the swarm, or a network of it, is not as it was asked to be."""
    said = f"{what}: {_one_line(words)}."
    return _by_words(_SWARM, said, words) or _by_status(said, status, words)


def general_fault(what: str, status: int, words: str) -> EngineError:
    """Any other call."""
    return _by_status(f"{what}: {_one_line(words)}.", status, words)


def _by_status(said: str, status: int, words: str) -> EngineError:
    named = _by_words(_GENERAL, said, words) if status != 404 else None
    kind, advice = _BY_STATUS.get(status, (EngineError, ""))
    return named or kind(f"{said} {advice}".rstrip())


def _by_words(rules: tuple[Rule, ...], said: str, words: str) -> EngineError | None:
    lower = words.lower()
    for signs, kind, advice in rules:
        if any(sign in lower for sign in signs):
            return kind(f"{said} {advice}".rstrip())
    return None


def _one_line(words: str) -> str:
    return " ".join(words.split()).rstrip(".")[:800]
