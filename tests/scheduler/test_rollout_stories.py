"""Whole rollouts by update_config, step by step, on three nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scheduler.lifecycle import State
from scheduler.model import RolloutState, Update
from tests.scheduler.builders import node
from tests.scheduler.views import service
from tests.scheduler.world import World


def world(replicas: int, **more: Any) -> World:
    nodes = {name: node(name) for name in ("n1", "n2", "n3")}
    made = World(nodes, {"web": service(replicas=replicas, digest="one", update=Update(**more))})
    made.deploy("one")
    made.converge(10)
    return made


def rounds(cloud: World, number: int, *, bad: str = "") -> list[int]:
    """Steps of a second each, in which containers of the bad digest crash; how many served after each."""
    serving = []
    for _ in range(number):
        cloud.step()
        serving.append(sum(each.state is State.RUNNING and each.digest != bad for each in cloud.live()))
        cloud.advance_all()
        for each in cloud.live():
            if each.digest == bad and each.state is State.RUNNING:
                cloud.crash(each.id)
        cloud.now += 1.0
    return serving


@pytest.mark.parametrize(("first", "least"), [(True, 4), (False, 2)])
def test_enough_serve_all_the_way(first: bool, least: int) -> None:
    cloud = world(4, parallelism=2, start_first=first)
    cloud.deploy("two")
    assert min(rounds(cloud, 40)) == least
    assert [each.digest for each in cloud.live()] == ["two"] * 4
    assert cloud.rollout is not None
    assert cloud.rollout.state is RolloutState.SUCCEEDED


def test_a_bad_release_that_starts_first_takes_nothing_down() -> None:
    cloud = world(3, start_first=True)
    cloud.deploy("two")
    assert min(rounds(cloud, 60, bad="two")) == 3
    assert [each.digest for each in cloud.live()] == ["one"] * 3
    assert cloud.rollout is not None
    assert cloud.rollout.state is RolloutState.FAILED


@pytest.mark.parametrize("first", [True, False])
def test_a_bad_release_is_rolled_back(first: bool) -> None:
    cloud = world(3, start_first=first, failure_action="rollback")
    cloud.deploy("two")
    rounds(cloud, 60, bad="two")
    assert [each.digest for each in cloud.live()] == ["one"] * 3
    assert cloud.rollout is not None
    assert (cloud.rollout.state, cloud.rollout.rollback) == (RolloutState.SUCCEEDED, True)


def test_a_paused_rollout_goes_on_where_it_stood() -> None:
    cloud = world(3)
    cloud.deploy("two")
    cloud.step()
    cloud.pause()
    rounds(cloud, 200)
    assert sorted(each.digest for each in cloud.live()) == ["one", "one", "two"]
    cloud.resume()
    rounds(cloud, 40)
    assert [each.digest for each in cloud.live()] == ["two"] * 3


def test_of_an_exclusive_service_there_is_never_more_than_one() -> None:
    cloud = world(1, start_first=True)
    cloud.services["web"] = replace(cloud.services["web"], exclusive=True)
    cloud.deploy("two")
    for _ in range(20):
        cloud.step()
        assert len(cloud.live()) <= 1
        cloud.advance_all()
        cloud.now += 1.0
    assert [each.digest for each in cloud.live()] == ["two"]
