"""`python -m nodeagent` as its own process, with a console and a broker around it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import redis
from celery import Celery

from lab.redis_server import RedisServer
from nodeagent import protocol
from nodeagent.protocol import Batch, Job
from tests.nodeagent.console_stub import ConsoleStub

PASSWORD = "node-password"


def broker_user(server: RedisServer, node: str) -> str:
    """Makes the node's broker user as the console does; returns its URL."""
    client = redis.Redis.from_url(server.admin_url)
    rules = [
        *("reset", "on", f"#{hashlib.sha256(PASSWORD.encode()).hexdigest()}"),
        *("resetkeys", "resetchannels", f"~{protocol.key_prefix(node)}*"),
        *protocol.BROKER_ACL_COMMANDS,
    ]
    client.execute_command("ACL", "SETUSER", f"node-{node}", *rules)  # type: ignore[no-untyped-call]
    client.acl_save()
    client.close()
    return server.broker_url.replace("redis://", f"redis://node-{node}:{PASSWORD}@")


class Doorbell:
    """The console's sender: one app, one connection per node's key prefix."""

    def __init__(self, server: RedisServer) -> None:
        self._app = Celery("doorbell", broker=server.admin_url, set_as_current=False)
        self._app.conf.broker_transport_options = {"socket_timeout": 5}

    def ring(self, node: str, *jobs: Job) -> None:
        self.send(node, protocol.batch_to_builtins(Batch(node=node, jobs=jobs)))

    def send(self, node: str, argument: object, task: str = protocol.TASK) -> None:
        options = {"global_keyprefix": protocol.key_prefix(node)}
        with self._app.connection_for_write(transport_options=options) as connection:
            self._app.send_task(task, (argument,), queue=protocol.QUEUE, connection=connection)


class AgentProcess:
    """Started by `start`, and again after it ended."""

    def __init__(self, folder: Path, console: ConsoleStub, broker: str, docker_host: str) -> None:
        self.log = folder / "agent.log"
        self._environment = {
            **os.environ,
            "BERTH_NODE": console.node,
            "BERTH_CONSOLE_URL": f"ws://127.0.0.1:{console.port}",
            "BERTH_AGENT_TOKEN": console.token,
            "BERTH_BROKER_URL": broker,
            "BERTH_DOCKER_HOST": docker_host,
            "BERTH_AGENT_STATE": str(folder / "state"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nodeagent"], env=self._environment, stdout=log, stderr=log
            )
        return self.process

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
