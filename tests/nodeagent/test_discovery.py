"""The thread that keeps names in step with health: what it does by itself, and again after a failure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.processes import wait_until
from nodeagent.discovery import Discovery
from nodeagent.protocol import Healthcheck
from nodeagent.runtime.base import EngineTimeout
from tests.nodeagent.builders import CLUSTER, ensure, identity, shell
from tests.nodeagent.fake import FakeRuntime
from tests.nodeagent.test_observer import Watch
from tests.nodeagent.test_step import House

NAME = identity().engine_name
CHECK = Healthcheck(test=("CMD", "true"))


@pytest.fixture
def watch(fake: FakeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """A running container with a health check that has not spoken, and the thread that looks after its names: when it
    is woken alone."""
    monkeypatch.setattr("nodeagent.discovery.LOOK_EVERY", 60.0)
    house = House(fake, tmp_path)
    wanted = shell("sleep 1000", network="berth-a1", aliases=("web",), healthcheck=CHECK)
    house.stepper.ensure(ensure(wanted=wanted))
    fake.change(NAME, health="starting")
    watch = Watch(fake)
    watch.observer.hello()
    discovery = Discovery(watch.observer, house.stepper)
    discovery.start()
    yield watch
    discovery.stop()
    watch.observer.stop()
    assert wait_until(lambda: not discovery.thread.is_alive(), 5.0)


def names(fake: FakeRuntime) -> set[str] | None:
    found = fake.containers[NAME].facts.networks.get("berth-a1")
    return set(found.names) if found else None


def test_a_healthy_one_gets_its_names_and_is_called_healthy_only_then(
    watch: Watch, fake: FakeRuntime
) -> None:
    assert names(fake) == set()
    fake.change(NAME, health="healthy", tell="health_status")
    watch.until(lambda one: one.health == "healthy")
    assert names(fake) == {"web"}
    fake.change(NAME, health="unhealthy", tell="health_status")
    watch.until(lambda one: one.health == "unhealthy")
    assert wait_until(lambda: names(fake) == set(), 5.0)


@pytest.mark.thorough
def test_what_failed_between_leaving_and_joining_is_tried_again(watch: Watch, fake: FakeRuntime) -> None:
    left = 2

    def fail(call: str) -> None:
        nonlocal left
        if call == "join" and left:
            left -= 1
            raise EngineTimeout("no answer in time")

    fake.before = fail
    fake.change(NAME, health="healthy", tell="health_status")
    assert wait_until(lambda: names(fake) is None, 5.0)
    watch.until(lambda one: one.health == "healthy")
    assert (names(fake), left) == ({"web"}, 0)


def test_a_container_without_names_to_keep_is_left_alone(fake: FakeRuntime, watch: Watch) -> None:
    other = identity("s2")
    fake.ensure_network("berth-a1", CLUSTER, "a1")
    fake.create(other, shell("sleep 1000", network="berth-a1"))
    fake.start(other.engine_name)
    before = fake.calls.count("join")
    fake.change(other.engine_name, health="healthy", tell="health_status")
    watch.until(lambda one: one.identity.slot == "s2" and one.health == "healthy")
    assert fake.calls.count("join") == before


def test_a_join_that_is_taken_and_not_made_is_not_asked_for_without_a_pause(
    watch: Watch, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "join", lambda *_: fake._call("join"))
    before = fake.calls.count("join")
    fake.change(NAME, health="healthy", tell="health_status")
    assert wait_until(lambda: fake.calls.count("join") > before, 5.0)
    time.sleep(0.3)
    assert fake.calls.count("join") - before == 1
