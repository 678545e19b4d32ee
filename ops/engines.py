"""Which engine `make run` uses: one that is there, or one of its own that outlives it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import docker
from docker.errors import DockerException

from lab.engine import Engine, EngineError
from ops.home import Home, RunError

SYSTEM_SOCKET = Path(os.environ.get("BERTH_DOCKER_SOCKET", "/var/run/docker.sock"))
"""Where an engine of this machine is looked for."""
ADDRESS_POOL = "10.201.0.0/16"
"""For the own engine's networks: one /24 for each app, where the engine's default has room for 31."""


def refusal(docker_host: str, environ: dict[str, str]) -> str:
    """Empty when an engine answers there, else why not. `environ` may hold Docker's TLS settings."""
    try:
        client = docker.from_env(environment={**environ, "DOCKER_HOST": docker_host}, timeout=10)
        try:
            client.ping()
        finally:
            client.close()
    except (DockerException, OSError) as error:
        return str(error)
    return ""


def own(home: Home) -> Engine:
    """The engine below BERTH_HOME. It also takes the usual socket, if no other engine answers there."""
    taken = _is_socket(SYSTEM_SOCKET) and not refusal(f"unix://{SYSTEM_SOCKET}", {})
    return Engine(
        home.path / "engine", address_pool=ADDRESS_POOL, sockets=[] if taken else [str(SYSTEM_SOCKET)]
    )


def choose(home: Home, environ: dict[str, str]) -> tuple[str, Engine | None]:
    """The engine's address, and the own engine, running, if it is that one.

    An own engine that has data wins over one that appeared later: the containers are in it.
    Raises `RunError` when there is none to be had.
    """
    given = environ.get("DOCKER_HOST", "")
    if given:
        if why := refusal(given, environ):
            raise RunError(f"no engine answers at DOCKER_HOST={given}: {why}")
        return given, None
    usual = f"unix://{SYSTEM_SOCKET}"
    why = refusal(usual, {}) if _is_socket(SYSTEM_SOCKET) else f"{SYSTEM_SOCKET} does not exist"
    if not (home.path / "engine" / "data").exists() and not why:
        return usual, None
    if os.geteuid() != 0:
        raise RunError(f"{_why_no_engine(why)}\nStart Docker, or run this as root: sudo make run")
    if shutil.which("dockerd") is None:
        raise RunError(f"{_why_no_engine(why)}\ndockerd is not installed: apt-get install docker.io")
    engine = own(home)
    try:
        engine.start()
    except EngineError as error:
        raise RunError(str(error)) from error
    return engine.docker_host, engine


def _why_no_engine(why: str) -> str:
    hint = ""
    if _is_socket(SYSTEM_SOCKET) and not os.access(SYSTEM_SOCKET, os.W_OK):
        hint = " (it is there, but not for you: `sudo usermod -aG docker $USER`, then sign in again)"
    return f"no Docker Engine answers: {why}{hint}"


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
