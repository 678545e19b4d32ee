"""A real Docker Engine on a private socket, with its own data and, if wanted, its own network."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import docker
from docker.errors import DockerException

from lab import cleanup
from lab.processes import RECORD_SUFFIX, Process, wait_until

LONGEST_SOCKET = "exec/containerd/containerd.sock.ttrpc"
MAX_SOCKET_PATH = 107


class EngineError(RuntimeError):
    """The engine cannot be started here; the text says why and what would help."""


class Engine:
    """One dockerd. `stop()` and `kill()` leave the containers running when `live_restore` is on.

    The folder remembers the process: another `Engine` on the same folder finds the one that runs.
    """

    def __init__(
        self,
        directory: Path,
        *,
        netns: str | None = None,
        address: str = "127.0.0.1",
        live_restore: bool = True,
        address_pool: str = "",
        sockets: Sequence[str] = (),
        data: Path | None = None,
    ) -> None:
        """`address_pool` (say `172.29.0.0/16`) feeds networks; `sockets` are further ones to listen on; `data` is
        where images and containers are kept, if not below `directory`."""
        self.directory = directory.absolute()
        self.data = data.absolute() if data else self.directory / "data"
        self.netns = netns
        self.address = address
        self._live_restore, self._address_pool, self._sockets = live_restore, address_pool, sockets
        if len(str(self.directory / LONGEST_SOCKET)) > MAX_SOCKET_PATH:
            raise EngineError(f"the path {self.directory} is too long for sockets: choose a shorter folder")
        self.process = Process(
            self.directory / f"dockerd{RECORD_SUFFIX}",
            self._argv(),
            log=self.directory / "dockerd.log",
            netns=netns,
            end_with=signal.SIGTERM,
        )

    @property
    def socket(self) -> Path:
        return self.directory / "docker.sock"

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        """The running dockerd's; None when it is not running."""
        return self.process.pid

    def _argv(self) -> list[str]:
        home = self.directory
        argv = ["dockerd", "--host", self.docker_host]
        argv += ["--data-root", str(self.data), "--exec-root", f"{home}/exec"]
        argv += ["--pidfile", f"{home}/docker.pid", "--config-file", f"{home}/daemon.json"]
        if self._live_restore:
            argv.append("--live-restore")
        if self._address_pool:
            argv += ["--default-address-pool", f"base={self._address_pool},size=24"]
        for path in self._sockets:
            argv += ["--host", f"unix://{path}"]
        return argv

    def start(self, timeout: float = 30.0) -> None:
        """Returns when the API answers. Raises `EngineError` with the log's end when it never does."""
        if self.answers():
            return
        if shutil.which("dockerd") is None:
            raise EngineError("dockerd is not installed: apt-get install docker.io")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # An empty configuration of its own: the machine's /etc/docker/daemon.json is another engine's.
        (self.directory / "daemon.json").write_text("{}\n")
        if not self.process.alive:
            self._clear_pid_files()
            self.process.start()
        if (
            not wait_until(lambda: self.answers() or not self.process.alive, timeout)
            or not self.process.alive
        ):
            raise EngineError(f"dockerd did not come up:\n{self.process.tail()}")

    def _clear_pid_files(self) -> None:
        """dockerd refuses to start beside a pid file, even of a process that is known to be gone."""
        for name in ("docker.pid", "exec/containerd/containerd.pid"):
            (self.directory / name).unlink(missing_ok=True)

    def answers(self, timeout: float = 5.0) -> bool:
        if not self.socket.exists():
            return False
        try:
            with self.client(timeout) as client:
                return bool(client.ping())
        except (DockerException, OSError):
            return False

    def stop(self, timeout: float = 20.0) -> None:
        """Asks dockerd to end. Without live-restore its containers end too."""
        self.process.stop(timeout)
        self._await_containerd()

    def kill(self) -> None:
        """SIGKILL, as a crash would be. dockerd and its containerd are gone then: `start()` may follow."""
        self.process.kill()
        self._await_containerd()

    def _await_containerd(self) -> None:
        """containerd dies with its parent, a moment later; a dockerd started before that would adopt it."""
        if not wait_until(lambda: not cleanup.containerd_of(self.directory), 5.0):
            for pid in cleanup.containerd_of(self.directory):
                os.kill(pid, signal.SIGKILL)

    def lose_power(self) -> None:
        """Ends dockerd, the shims and the containers' own processes at once, with what the kernel kept for them. The
        data stays, as on a disk; `start()` is the host's next boot."""
        self.process.kill()
        ids = [entry.name for entry in self.data.glob("containers/*")]
        cleanup.end_containers(self.directory, ids)
        for folder in (self.data, self.directory / "exec"):
            cleanup.unmount_below(folder)
        shutil.rmtree(self.directory / "exec", ignore_errors=True)

    def load(self, archive: Path) -> None:
        """Loads a `docker save` archive."""
        with self.client(120.0) as client, archive.open("rb") as data:
            client.images.load(data)

    def remove_containers(self) -> None:
        """Ends and removes every container of this engine at once."""
        with self.client(60.0) as client:
            for container in client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True, v=True)

    def client(self, timeout: float = 30.0) -> closing[docker.DockerClient]:
        """An SDK client of this engine, for a `with` statement."""
        return closing(docker.DockerClient(base_url=self.docker_host, timeout=int(timeout)))
