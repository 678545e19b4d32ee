"""An agent inside the test's process, on the fake engine."""

from __future__ import annotations

from pathlib import Path

from nodeagent.agent import Agent
from nodeagent.config import Config
from nodeagent.protocol import Hello
from tests.nodeagent.console_stub import ConsoleStub
from tests.nodeagent.fake import FakeRuntime


class Rig:
    """An agent without its broker, linked to a console."""

    def __init__(self, runtime: FakeRuntime, folder: Path) -> None:
        self.console = ConsoleStub()
        self.config = Config(
            node="n1",
            link_url=f"ws://127.0.0.1:{self.console.port}/agent/v1/link",
            token="secret",
            broker="redis://127.0.0.1:1/0",
            docker_host="unix:///nowhere",
            docker_tls_dir="",
            state_dir=folder,
            address="10.0.0.1",
            labels={"zone": "a"},
            cpu=0,
            memory=1 << 30,
            port_first=30000,
            port_last=30010,
        )
        self.agent = Agent(self.config, runtime)

    def start(self) -> Hello:
        self.agent.observer.start()
        self.agent.sampler.start()
        self.agent.link.start()
        return self.console.hear(Hello)

    def mark(self) -> int:
        return len(self.console.heard)
