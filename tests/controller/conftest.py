from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import Quota
from console.accounts.services import create_first_owner
from console.cluster.services import add_node
from console.workloads.compose import model
from tests.controller.fakes import FakeAgent, World

MakeAgents = Callable[[int], list[FakeAgent]]


@pytest.fixture(autouse=True)
def short_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stories take few steps: a container without a check counts as well after 2 s."""
    monkeypatch.setattr(model, "MONITOR", 2.0)


@pytest.fixture
def access(db: None) -> Access:
    user, team = create_first_owner(email="owner@example.com")
    Quota.objects.create(team=team, priority=1000)
    return Access(user, team, Role.OWNER)


@pytest.fixture
def world(db: None) -> World:
    return World(now=timezone.now())


@pytest.fixture
def agents(world: World) -> MakeAgents:
    """That many nodes, ready."""

    def make(count: int) -> list[FakeAgent]:
        made = [
            FakeAgent(add_node(name=f"node-{n}", actor="test").node.id, world.wire)
            for n in range(1, count + 1)
        ]
        for agent in made:
            agent.connect()
        world.run(1)
        return made

    return make
