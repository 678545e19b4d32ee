"""An image that no app needs any more is gone from the engine that pulled it; one that is needed stays."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import demo_image
from lab.processes import RECORD_SUFFIX, Process, wait_until
from tests.cluster.conftest import Cluster
from tests.nodeagent.registry import Image

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PORT = 5998
TWO_DAYS = 2 * 86400.0
COMPOSE = "services:\n  web:\n    image: %s\n"


@pytest.fixture
def names(cluster: Cluster, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Two images by name, in a registry on each host's loopback."""
    archives = {name: tmp_path / f"{name}.tar" for name in ("old", "kept")}
    for name, archive in archives.items():
        demo_image.build(archive, tag=f"demo:{name}", version=name)
    served = [f"{name}={archive}" for name, archive in archives.items()]
    argv = [sys.executable, "-m", "tests.nodeagent.registry", str(PORT), *served]
    started = [
        Process(
            tmp_path / f"{node.name}{RECORD_SUFFIX}",
            argv,
            log=tmp_path / f"{node.name}.log",
            netns=node.host.netns,
        )
        for node in cluster.lab.hosts
    ]
    for process in started:
        process.start()
    yield {
        name: f"127.0.0.1:{PORT}/{name}@{Image.of_archive(archive).digest}"
        for name, archive in archives.items()
    }
    for process in started:
        process.stop()


def images(cluster: Cluster) -> set[str]:
    """Digests that any engine has."""
    found: set[str] = set()
    for node in cluster.lab.hosts:
        with node.engine.client() as client:
            for image in client.images.list():
                found.update(image.attrs["RepoDigests"] or ())
    return found


def deploy(cluster: Cluster, app: str, image: str) -> None:
    body = {"name": app, "compose": COMPOSE % image}
    operation = cluster.lab.api.post("/apps", body)["operation"]
    assert cluster.settles(operation["app"]["id"], 1), cluster.lab.report()


def days_pass(cluster: Cluster) -> None:
    """For the agents' records."""
    for number, node in enumerate(cluster.lab.hosts, start=1):
        cluster.lab.kill(f"agent-{number}")
        path = node.state / "fetched.json"
        if path.exists():
            record = {name: at - TWO_DAYS for name, at in json.loads(path.read_bytes()).items()}
            path.write_text(json.dumps(record))
    cluster.lab.restart_all()


def told(cluster: Cluster) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = cluster.lab.api.get("/events?kind=node.images")["items"]
    return items


def test_it_goes_with_the_app_that_needed_it(cluster: Cluster, names: dict[str, str]) -> None:
    deploy(cluster, "old", names["old"])
    deploy(cluster, "kept", names["kept"])
    cluster.lab.api.delete("/apps/old")
    assert wait_until(lambda: len(cluster.lab.api.get("/apps")["items"]) == 1, 60), cluster.lab.report()
    assert images(cluster) >= set(names.values())
    days_pass(cluster)
    assert wait_until(lambda: names["old"] not in images(cluster), 60, every=0.5), cluster.lab.report()
    assert names["kept"] in images(cluster)
    assert wait_until(lambda: bool(told(cluster)), 20, every=0.5), cluster.lab.report()
    [event] = told(cluster)
    assert "removed an image that no app needs any more" in event["message"]
    # What it was is pulled again where it is wanted again.
    deploy(cluster, "old", names["old"])
    assert images(cluster) >= set(names.values())
