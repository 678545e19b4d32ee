"""The lab's own promises: each part is there, can be killed alone, and comes back."""

from __future__ import annotations

import time

import pytest

from lab.api import ApiError
from lab.lab import Lab
from lab.processes import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

APP = "services:\n  web:\n    image: berth/demo\n    deploy:\n      replicas: 3\n"


def running(lab: Lab) -> list[str]:
    """Nodes of the running containers of the app `web`."""
    containers = lab.api.get("/apps/web/containers")["items"]
    return sorted(c["node"]["name"] for c in containers if c["observed"]["state"] == "running")


def test_each_node_offers_what_it_was_given(lab3: Lab) -> None:
    nodes = lab3.api.get("/nodes")["items"]
    seen = [
        (n["name"], n["observed"]["address"], n["observed"]["cpu"], n["observed"]["memory"]) for n in nodes
    ]
    assert seen == [(node.name, node.host.address, 2000, 4 * 1024**3) for node in lab3.hosts]


def test_an_app_spreads_over_the_nodes_and_the_engines_agree(lab3: Lab) -> None:
    lab3.api.post("/apps", {"name": "web", "compose": APP})
    assert wait_until(lambda: running(lab3) == ["node-1", "node-2", "node-3"], 30.0, every=0.25), running(
        lab3
    )
    for node in lab3.hosts:
        with node.engine.client() as client:
            assert len(client.containers.list(filters={"label": "berth.app"})) == 1
    lab3.remove_apps()
    assert lab3.api.get("/apps")["items"] == []


@pytest.mark.parametrize("name", ["web", "controller", "worker", "redis", "agent-2", "engine-3"])
def test_a_killed_part_stays_dead_until_it_is_started(lab3: Lab, name: str) -> None:
    before = lab3.pid(name)
    lab3.kill(name)
    time.sleep(1.5)
    assert lab3.pid(name) is None
    if name == "web":
        with pytest.raises(ApiError) as refused:
            lab3.api.get("/nodes")
        assert refused.value.status == 0
    lab3.start_one(name)
    assert lab3.pid(name) not in (None, before)
    lab3.await_ready(30.0)
