"""What the engines alone take for the same work: a client of their API that decides, reports and removes nothing, with
Berth's window and an agent's number of starts at a time. It keeps all replicas running through an update."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from docker import APIClient

from bench.costs import Costs
from lab.engine import Engine
from nodeagent.queues import starts_at_once

NETWORK = "bench-floor"
_LABEL = {"bench": "floor"}
_MOST_CALLS = 100
_OURS = {"label": ["bench=floor"]}


@dataclass
class _Host:
    client: APIClient
    starts: threading.Semaphore
    """As many at a time as an agent makes."""


class Floor:
    """Calls to the engines, with nothing between them but the monitor time."""

    def __init__(self, engines: Sequence[Engine], *, window: float, monitor: float, grace: int) -> None:
        """`window`: share of the replicas that is replaced at once. `monitor`, `grace`: seconds."""
        self._engines = engines
        self._window, self._monitor, self._grace = window, monitor, grace
        self._open = ExitStack()
        self._hosts: list[_Host] = []
        self._example: dict[str, Any] = {}
        self._running: list[str] = []
        """Ids, by replica."""

    def like(self, example: dict[str, Any]) -> Floor:
        """With what that container was made with."""
        self._example = example
        return self

    def costs(self) -> Costs:
        return Costs({f"engine-{number}": engine.pid for number, engine in enumerate(self._engines, 1)})

    def create(self, replicas: int) -> None:
        for engine in self._engines:
            client = self._open.enter_context(closing(_client(engine)))
            client.create_network(NETWORK, labels=_LABEL)
            starts = threading.Semaphore(starts_at_once(os.cpu_count()))
            self._hosts.append(_Host(client, starts))
        with ThreadPoolExecutor(replicas) as pool:
            self._running = list(pool.map(lambda replica: self._start(replica, "before"), range(replicas)))

    def settle(self) -> None:
        time.sleep(self._monitor)

    def update(self, replicas: int) -> None:
        with ThreadPoolExecutor(max(1, round(self._window * replicas))) as pool:
            self._running = list(pool.map(self._replace, range(replicas)))

    def check(self, replicas: int) -> None:
        seen = {one["Id"] for host in self._hosts for one in host.client.containers(filters=_OURS)}
        if seen != set(self._running) or len(seen) != replicas:
            raise RuntimeError(f"{len(seen)} run instead of {replicas}")

    def remove(self) -> None:
        for host in self._hosts:
            for one in host.client.containers(all=True, filters=_OURS):
                host.client.remove_container(one["Id"], force=True)
            host.client.remove_network(NETWORK)
        self._open.close()
        self._hosts, self._running = [], []

    def _host(self, replica: int) -> _Host:
        return self._hosts[replica % len(self._hosts)]

    def _start(self, replica: int, when: str) -> str:
        host, config = self._host(replica), self._example["Config"]
        wanted = {
            **{key: config[key] for key in ("Image", "Cmd", "Env", "StopSignal") if config.get(key)},
            "Labels": _LABEL,
            "HostConfig": {**self._example["HostConfig"], "NetworkMode": NETWORK},
        }
        with host.starts:
            name = f"floor-{replica}-{when}"
            made = host.client.create_container_from_config(wanted, name)  # type: ignore[no-untyped-call]
            host.client.start(made["Id"])
        return str(made["Id"])

    def _replace(self, replica: int) -> str:
        before, now = self._running[replica], self._start(replica, "after")
        time.sleep(self._monitor)
        self._host(replica).client.stop(before, timeout=self._grace)
        return now


def _client(engine: Engine) -> APIClient:
    """That keeps a connection for each of its calls at a time."""
    return APIClient(base_url=engine.docker_host, timeout=120, max_pool_size=_MOST_CALLS)
