"""Both runtimes, under one name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.engine import Engine
from nodeagent.runtime.base import Runtime
from nodeagent.runtime.engine import DockerRuntime
from tests.nodeagent.builders import DEMO
from tests.nodeagent.fake import FakeRuntime


@pytest.fixture
def fake() -> FakeRuntime:
    return FakeRuntime(DEMO)


@pytest.fixture
def docker_runtime(engine: Engine) -> Iterator[DockerRuntime]:
    """The real one; the networks and volumes a test made are removed after it."""
    yield DockerRuntime(engine.docker_host)
    engine.start()
    engine.remove_containers()
    with engine.client() as client:
        client.networks.prune()
        client.volumes.prune()


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    name = "docker_runtime" if request.param == "docker" else "fake"
    chosen: Runtime = request.getfixturevalue(name)
    return chosen
