"""Rollouts on real engines, judged by what the engines say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab.eventlog import EventLog
from lab.look import Seen, look_at
from lab.processes import wait_until
from nodeagent import protocol
from tests.cluster.conftest import Cluster

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]

REPLICAS = 3
WEB = """
services:
  web:
    image: %(image)s
    init: true
    command: %(command)s
    environment: {VERSION: "%(version)d"}
    deploy:
      replicas: 3
      update_config: {order: %(order)s, monitor: %(monitor)s, failure_action: rollback}
    %(more)s
"""
SERVES = '["sleep", "1000000"]'
CRASHES = '["sh", "-c", "sleep 1; echo no luck; exit 3"]'


def is_command(name: str) -> bool:
    """Whether a release command runs in it."""
    return name.startswith("shop/web.release.")


class Shop:
    """One app of one service, and what its engines have of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.lab, self.api = cluster.lab, cluster.lab.api
        self.id = ""

    def release(self, version: int, **changes: str) -> dict[str, Any]:
        """The operation of it."""
        values = {
            "image": "berth/demo",
            "command": SERVES,
            "order": "start-first",
            "monitor": "2s",
            "more": "",
        }
        body = {"compose": WEB % {**values, **changes, "version": version}}
        if self.id:
            made = self.api.post("/apps/shop/releases", body)
        else:
            made = self.api.post("/apps", {"name": "shop", **body})
        operation: dict[str, Any] = made["operation"]
        self.id = operation["app"]["id"]
        return operation

    def containers(self) -> list[Seen]:
        return [one for node in self.lab.hosts for one in look_at(node.engine, self.id)]

    def versions(self) -> list[str]:
        """Of those of the service that run, by the engines."""
        found = [
            part
            for one in self.containers()
            if one.running and not is_command(one.name)
            for part in one.environment
            if part.startswith("VERSION=")
        ]
        return sorted(part.removeprefix("VERSION=") for part in found)

    def ends(self, operation: dict[str, Any], timeout: float = 90.0) -> dict[str, Any]:
        """The operation at its end."""
        path = f"/operations/{operation['id']}"
        assert wait_until(lambda: self.api.get(path)["state"] != "running", timeout, every=0.2), (
            self.lab.report()
        )
        found: dict[str, Any] = self.api.get(path)
        return found

    def settle(self) -> None:
        assert self.ends(self.release(1))["state"] == "succeeded"
        assert self.versions() == ["1"] * REPLICAS

    @contextmanager
    def watched(self) -> Iterator[list[int]]:
        """How many run, over and over."""
        seen: list[int] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                seen.append(len(self.versions()))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join(30)


@pytest.fixture
def shop(cluster: Cluster) -> Shop:
    made = Shop(cluster)
    made.settle()
    return made


def test_start_first_always_serves_and_success_is_what_the_engines_run(shop: Shop) -> None:
    with shop.watched() as seen:
        end = shop.ends(shop.release(2))
    assert end["state"] == "succeeded"
    assert shop.versions() == ["2"] * REPLICAS
    assert min(seen) >= REPLICAS


def test_what_does_not_stay_up_is_rolled_back_and_says_so(shop: Shop) -> None:
    """It runs for a second: less than its monitor time, also where the news of its end takes seconds."""
    kept = {one.id for one in shop.containers()}
    with shop.watched() as seen:
        end = shop.ends(shop.release(2, command=CRASHES, monitor="6s"))
        assert wait_until(lambda: shop.versions() == ["1"] * REPLICAS, 60, every=0.5)
        assert wait_until(lambda: {one.id for one in shop.containers()} == kept, 60, every=0.5), (
            [
                (one.name, one.id[:6], one.id in kept, one.running, one.environment[0])
                for one in shop.containers()
            ],
            shop.lab.api.get("/apps/shop/events")["items"],
            shop.lab.report(),
        )
    assert end["state"] == "failed"
    assert "rolled back to release 1" in end["error"]
    assert any("no luck" in step["text"] for step in end["steps"])
    assert min(seen) >= REPLICAS


def test_paused_it_stands_still_resumed_it_goes_on_cancelled_it_goes_back(shop: Shop) -> None:
    shop.release(2, order="stop-first")
    shop.api.post("/apps/shop/rollout/pause")
    # What was under way comes to its end.
    assert wait_until(lambda: len(shop.versions()) == REPLICAS, 30, every=0.2)
    time.sleep(3.0)
    before = shop.versions()
    time.sleep(3.0)
    assert shop.versions() == before != ["2"] * REPLICAS
    operation = shop.api.post("/apps/shop/rollout/resume")["operation"]
    assert shop.ends(operation)["state"] == "succeeded"
    assert shop.versions() == ["2"] * REPLICAS
    shop.release(3, order="stop-first")
    back = shop.api.post("/apps/shop/rollout/cancel")["operation"]
    assert shop.ends(back)["state"] == "succeeded"
    assert shop.versions() == ["2"] * REPLICAS


def test_a_newer_one_supersedes_the_one_under_way(shop: Shop) -> None:
    older = shop.release(2)
    time.sleep(1.0)
    newer = shop.release(3)
    assert shop.ends(newer)["state"] == "succeeded"
    assert shop.versions() == ["3"] * REPLICAS
    assert shop.ends(older)["state"] == "superseded"


def test_a_release_command_succeeds_before_anything_is_replaced(shop: Shop) -> None:
    """And one that fails leaves all as it was."""
    kept = {one.id for one in shop.containers()}
    fails = shop.ends(shop.release(2, more='x-berth: {release_command: [sh, -c, "echo bad schema; exit 4"]}'))
    assert fails["state"] == "failed"
    assert "nothing was replaced" in fails["error"]
    assert any("bad schema" in step["text"] for step in fails["steps"])
    assert {one.id for one in shop.containers() if one.running} == kept
    log = EventLog({node.name: node.engine for node in shop.lab.hosts})
    log.start()
    try:
        works = shop.release(3, more="x-berth: {release_command: [sleep, '3']}")

        def command_runs() -> bool:
            return any(one.running and is_command(one.name) for one in shop.containers())

        assert wait_until(command_runs, 30, every=0.05)
        assert shop.versions() == ["1"] * REPLICAS
        assert shop.ends(works)["state"] == "succeeded"
        assert shop.versions() == ["3"] * REPLICAS
    finally:
        log.stop()
    # By the engines' events: what has ended may be removed before anybody looks.
    named = [(each, each.labels[protocol.LABEL_NAME]) for each in log.moments() if each.labels]
    ended = [each.at for each, name in named if each.action == "die" and is_command(name)]
    replaced = [each.at for each, name in named if each.action == "start" and not is_command(name)]
    assert len(ended) == 1
    assert len(replaced) == REPLICAS
    assert ended[0] < min(replaced)


def test_an_image_that_is_nowhere_takes_nothing_down(shop: Shop) -> None:
    kept = {one.id for one in shop.containers()}
    end = shop.ends(shop.release(2, image="localhost:1/shop:2", order="stop-first"))
    assert end["state"] == "failed"
    assert "localhost:1/shop:2" in end["error"]
    assert {one.id for one in shop.containers() if one.running} == kept
