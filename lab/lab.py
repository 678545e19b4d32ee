"""A whole cluster on one machine: engines in namespaces, an agent on each, one console, one Redis."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import demo_image, programs
from lab.api import Api, ApiError
from lab.disks import SmallDisk
from lab.engine import Engine
from lab.hosts import Host
from lab.manage import manage
from lab.postgres import PostgresServer
from lab.processes import Process, wait_until
from lab.redis_server import RedisServer
from lab.state import Run

GIB = 1024**3
PORT = 8000
CONSOLE = ("web", "controller", "worker")


@dataclass(frozen=True)
class LabHost:
    """One node: `agent` and `engine` are started and killed through `Lab`, or by themselves."""

    name: str
    host: Host
    engine: Engine
    agent: Process
    config: Path
    disk: SmallDisk | None = None
    """What its engine and its agent keep is on it."""

    @property
    def state(self) -> Path:
        """The agent's folder."""
        return (self.disk.directory if self.disk else self.config.parent) / "state"


@dataclass(frozen=True)
class Console:
    """The console's address, its home, and what its processes get as environment."""

    url: str
    home: Path
    env: Mapping[str, str]


class Lab:
    """`start()` returns when every node is ready. Processes that die stay dead until they are started.

    Names for `pid`, `start_one`, `kill`, `stop_one`, `pause` and `resume`: web, controller, worker, redis, postgres
    (where it has one), agent-1…, engine-1….
    """

    def __init__(
        self,
        run: Run,
        *,
        nodes: int = 3,
        cpu: int = 2000,
        memory: int = 4 * GIB,
        settings: Mapping[str, str] | None = None,
        database: Literal["sqlite", "postgres"] = "sqlite",
        disk: int = 0,
        live_restore: bool = True,
        overlay: Sequence[int] | None = None,
    ) -> None:
        """Each node offers `cpu` thousandths of a core and `memory` bytes, whatever the machine has. `disk`: bytes of
        each host's own small disk; 0: the machine's. Without `live_restore` the engines can join a swarm. `overlay`:
        numbers of the hosts whose engines have none, and join networks across hosts; None: networks are bridges."""
        self._run, self._cpu, self._memory, self._disk = run, cpu, memory, disk
        self._live_restore, self._overlay = live_restore, overlay
        self.postgres = PostgresServer(run) if database == "postgres" else None
        address = run.network.gateway
        self.redis = RedisServer(run, name="lab-redis", address=address)
        self.console = self._make_console(address, settings or {})
        commands = {
            "web": programs.web(address, PORT),
            "controller": programs.controller(),
            "worker": programs.worker(self.console.home),
        }
        self._processes = {
            name: run.process(name, argv, env=self.console.env, cwd=programs.ROOT)
            for name, argv in commands.items()
        }
        self.hosts = [self._make_host(number) for number in range(1, nodes + 1)]

    def _make_console(self, address: str, settings: Mapping[str, str]) -> Console:
        home = self._run.subdirectory("home")
        url = f"http://{address}:{PORT}"
        env = {
            **_clean_environment(),
            "BERTH_HOME": str(home),
            "BERTH_PORT": str(PORT),
            "BERTH_URL": url,
            "BERTH_SECRET_KEY": secrets.token_urlsafe(48),
            "REDIS_URL": self.redis.url,
            "BERTH_BROKER_URL": self.redis.broker_url,
            "PYTHONUNBUFFERED": "1",
            **({"DATABASE_URL": self.postgres.url} if self.postgres else {}),
            "BERTH_NETWORK": "bridge" if self._overlay is None else "overlay",
            **settings,
        }
        return Console(url, home, env)

    def _make_host(self, number: int) -> LabHost:
        host = self._run.network.add_host()
        name, directory = f"node-{number}", self._run.subdirectory(f"n{number}")
        config = directory / "agent.json"
        agent = self._run.process(
            f"agent-{number}",
            programs.agent(config),
            env={**_clean_environment(), "PYTHONUNBUFFERED": "1"},
            cwd=programs.ROOT,
            netns=host.netns,
        )
        disk = SmallDisk(directory / "disk", self._disk) if self._disk else None
        data = disk.directory / "data" if disk else None
        alive = self._live_restore and number not in (self._overlay or ())
        engine = Engine(directory, netns=host.netns, address=host.address, data=data, live_restore=alive)
        return LabHost(name, host, engine, agent, config, disk)

    @property
    def owner_token(self) -> str:
        return (self.console.home / "owner-token").read_text().strip()

    @property
    def api(self) -> Api:
        """As the first owner, in the team `default`."""
        return Api(self.console.url, self.owner_token)

    def start(self, timeout: float = 60.0) -> None:
        """Raises `RuntimeError` with the logs' ends when the cluster does not come up."""
        with ThreadPoolExecutor(2) as pool:
            engines = pool.submit(self._start_engines)
            self.redis.start()
            if self.postgres:
                self.postgres.start()
            self._prepare_console()
            engines.result()
        for name in (*CONSOLE, *(f"agent-{number + 1}" for number in range(len(self.hosts)))):
            self.start_one(name)
        self.await_ready(timeout)

    def _start_engines(self) -> None:
        archive = self._run.directory / "demo.tar"
        demo_image.build(archive)
        for node in self.hosts:
            if node.disk:
                node.disk.mount()
            node.engine.start()
            node.engine.load(archive)

    def _prepare_console(self) -> None:
        add = [self._add_node(node) for node in self.hosts]
        manage(
            self.console.env, ["migrate", "--no-input", "--verbosity", "0"], ["bootstrap", "--node", ""], *add
        )

    def _add_node(self, node: LabHost) -> list[str]:
        command = ["add_node", node.name, "--config-out", str(node.config), "--address", node.host.address]
        command += ["--cpu", str(self._cpu), "--memory", str(self._memory)]
        return [*command, "--docker-host", node.engine.docker_host, "--state-dir", str(node.state)]

    def new_sign_in_link(self) -> str:
        """A one-time link for the first owner."""
        return manage(self.console.env, ["sign_in_link"]).strip()

    @property
    def parts(self) -> list[str]:
        """Names of all parts, in an order in which they may be started."""
        numbers = range(1, len(self.hosts) + 1)
        hosts = [f"{kind}-{number}" for number in numbers for kind in ("engine", "agent")]
        return ["redis", *(["postgres"] if self.postgres else []), *CONSOLE, *hosts]

    def _part(self, name: str) -> Process | Engine | RedisServer | PostgresServer:
        if name == "redis":
            return self.redis
        if name == "postgres" and self.postgres:
            return self.postgres
        if name in self._processes:
            return self._processes[name]
        kind, _, number = name.partition("-")
        node = self.hosts[int(number) - 1]
        return node.engine if kind == "engine" else node.agent

    def _process(self, name: str) -> Process:
        part = self._part(name)
        return part if isinstance(part, Process) else part.process

    def pid(self, name: str) -> int | None:
        """None while it is not running."""
        return self._process(name).pid

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self._process(name).pause()

    def resume(self, name: str) -> None:
        self._process(name).resume()

    def start_one(self, name: str) -> None:
        self._part(name).start()

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self._part(name).kill()

    def stop_one(self, name: str) -> None:
        """As its supervisor would end it."""
        self._part(name).stop()

    def restart_all(self) -> None:
        """Starts what is not running and waits until every node is ready."""
        for node in self.hosts:
            node.host.heal()
            if node.disk:
                node.disk.free()
        for name in self.parts:
            self.resume(name)
            self.start_one(name)
        self.await_ready(60.0)

    def await_ready(self, timeout: float) -> None:
        """Raises `RuntimeError` with what the nodes' states are and the logs' ends."""
        if not wait_until(lambda: set(self._states()) == {"ready"}, timeout, every=0.25):
            raise RuntimeError(f"not ready after {timeout:.0f} s: {self._states()}\n{self.report()}")

    def _states(self) -> list[str]:
        """Each node's state, or why it is not known."""
        try:
            nodes = self.api.get("/nodes")["items"]
        except (ApiError, FileNotFoundError) as error:
            return [str(error)]
        return [
            f"{seen['state']} {seen['state_reason']}".strip() for node in nodes if (seen := node["observed"])
        ]

    def report(self) -> str:
        """The ends of all logs, for a failure's message."""
        logs = {**self._processes, **{f"agent of {node.name}": node.agent for node in self.hosts}}
        return "\n".join(f"--- {name}\n{process.tail(8)}" for name, process in logs.items())

    def remove_apps(self, timeout: float = 60.0) -> None:
        """Deletes every app of the team `default` and waits until they are gone."""
        for app in self.api.get("/apps")["items"]:
            try:
                self.api.delete(f"/apps/{app['name']}")
            except ApiError as error:  # one that was being deleted may have gone since the list
                if error.status != 404:
                    raise
        if not wait_until(lambda: self.api.get("/apps")["items"] == [], timeout, every=0.25):
            raise RuntimeError(f"apps are left: {self.api.get('/apps')['items']}")

    def stop(self) -> None:
        """Ends everything; `Run.close()` removes it."""
        for name in CONSOLE:
            self.stop_one(name)
        for node in self.hosts:
            node.agent.stop()
        self.redis.stop()
        if self.postgres:
            self.postgres.stop()


def _clean_environment() -> dict[str, str]:
    """This process' environment without settings that are meant for something else."""
    foreign = ("BERTH_", "DOCKER_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
