"""The operator's choice of a policy reaches whatever places containers."""

from __future__ import annotations

from collections import Counter

import pytest
from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.controller import preview
from scheduler.scores import POLICIES
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import deploy, live

THREE = "services: {web: {image: berth/demo, deploy: {replicas: 3}}}"


@pytest.mark.parametrize(("policy", "by_node"), [("spread", [1, 1, 1]), ("binpack", [3]), ("fgd", [3])])
def test_the_controller_places_by_it(
    access: Access, world: World, agents: MakeAgents, settings: Settings, policy: str, by_node: list[int]
) -> None:
    settings.PLACEMENT = policy
    agents(3)
    app, _operation = deploy(access, THREE)
    world.run(5)
    counts = Counter(container.node_id for container in live(app))
    assert sorted(counts.values()) == by_node


def test_moves_are_suggested_by_it(
    access: Access, world: World, agents: MakeAgents, settings: Settings
) -> None:
    settings.PLACEMENT = "binpack"
    agents(3)
    deploy(access, THREE)
    world.run(40)
    assert not preview.rebalance_forecast(access.team, budget=5, gain=0.01).moves
    settings.PLACEMENT = "spread"
    assert preview.rebalance_forecast(access.team, budget=5, gain=0.01).moves


def test_each_of_the_schedulers_policies_can_be_chosen() -> None:
    assert set(POLICIES) == {"spread", "binpack", "fgd"}
