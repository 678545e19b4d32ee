"""supervisord: its configuration, and a client for the few things `make run` asks it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy  # nosec B411

from supervisor.xmlrpc import SupervisorTransport

from lab import programs as commands
from lab.processes import wait_until
from ops.home import ROOT, Home

SOCKET = "supervisor.sock"
GROUP = "berth"
ENDED = {"STOPPED", "EXITED", "FATAL"}


@dataclass(frozen=True)
class Program:
    """One process to keep running. `wait` is how long it may take to end when asked."""

    name: str
    argv: list[str]
    wait: int = 10


def programs(home: Home, *, with_redis: bool) -> list[Program]:
    """Berth's processes in the order of their start."""
    redis = ["redis-server", str(home.path / "redis" / "redis.conf")]
    # To the console BERTH_BROKER_URL is an address for all agents; to an agent it would be its own login.
    agent = ["env", "-u", "BERTH_BROKER_URL", *commands.agent(home.path / "agent" / "config.json")]
    return [
        *([Program("redis", redis)] if with_redis else []),
        Program("web", commands.web(home.bind, home.port)),
        *([Program("link", commands.link(home.join_bind, home.link_port))] if home.join else []),
        Program("controller", commands.controller()),
        Program("worker", commands.worker(home.path)),
        Program("agent", agent),
    ]


def write_config(home: Home, wanted: Sequence[Program]) -> Path:
    """Writes supervisord.conf. Secrets stay out of it: the programs inherit supervisord's environment."""
    log = home.path / "log"
    socket = home.path / SOCKET
    lines = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={_escape(log / 'supervisord.log')}",
        "logfile_maxbytes=5MB",
        f"pidfile={_escape(home.path / 'supervisord.pid')}",
        f"directory={_escape(ROOT)}",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_escape(socket)}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for order, program in enumerate(wanted):
        lines += [
            f"[program:{program.name}]",
            f"command={_escape(shlex.join(program.argv))}",
            f"priority={order + 1}",
            "autostart=false",
            # An agent whose node was removed ends for good.
            *(
                ["autorestart=unexpected", "exitcodes=77"]
                if program.name == "agent"
                else ["autorestart=true"]
            ),
            "startsecs=1",
            "startretries=1000",
            f"stopwaitsecs={program.wait}",
            "stopasgroup=true" if program.name == "web" else "stopasgroup=false",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_escape(log / program.name)}.log",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=3",
        ]
    # One group ends at once; supervisord would end five programs of their own one after the other.
    lines += [f"[group:{GROUP}]", f"programs={','.join(program.name for program in wanted)}"]
    path = home.path / "supervisord.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _escape(value: object) -> str:
    """supervisord expands `%` in its configuration."""
    return str(value).replace("%", "%%")


class Client:
    """What `make run` asks its own supervisord. Raises `OSError` while that is not up."""

    def __init__(self, home: Home) -> None:
        self._url = f"unix://{home.path / SOCKET}"

    @property
    def _rpc(self) -> Any:
        """A new connection: one that failed once is of no more use."""
        return ServerProxy(
            "http://127.0.0.1", transport=SupervisorTransport(None, None, self._url)
        ).supervisor

    def answers(self) -> bool:
        try:
            return bool(self._rpc.getState()["statename"] == "RUNNING")
        except OSError:
            return False

    def start(self, name: str) -> None:
        """Does not wait: supervisord starts it again should it fail."""
        self._rpc.startProcess(f"{GROUP}:{name}", False)

    def stop(self, names: Sequence[str], timeout: float) -> None:
        """Ends these programs, all at the same time."""
        for name in names:
            try:
                self._rpc.stopProcess(f"{GROUP}:{name}", False)
            except Fault:
                continue  # it was not running

        def ended() -> bool:
            states = {info["name"]: info["statename"] for info in self._rpc.getAllProcessInfo()}
            return all(states[name] in ENDED for name in names)

        wait_until(ended, timeout, every=0.1)
