"""Draining nodes, and the moves of a rebalance: the new place is well before the old one stops."""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.cluster.models import Node
from console.cluster.services import set_cordoned, set_draining
from console.workloads.models import Container
from console.workloads.moves import WantedMove, mark_moves
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import DEMO, deploy, live
from tests.controller.test_updates import running_in_each_step

pytestmark = pytest.mark.thorough


@pytest.fixture
def administrator(access: Access) -> Access:
    access.user.is_staff = True
    return access


def test_a_drained_node_is_left_without_a_gap(
    administrator: Access, world: World, agents: MakeAgents
) -> None:
    first, *_others = agents(3)
    app, _operation = deploy(administrator, DEMO % 6)
    world.run(5)
    set_draining(administrator, Node.objects.get(pk=first.node), draining=True)
    seen = running_in_each_step(world, app, 20)
    assert min(seen) == 6
    assert first.containers == {}
    assert (len(live(app)), {one.node_id for one in live(app)} & {first.node}) == (6, set())


def test_what_is_bound_stays_on_a_drained_node(
    administrator: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    compose = "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: {}}\n"
    app, _operation = deploy(administrator, compose)
    world.run(5)
    before = live(app)
    set_draining(administrator, Node.objects.get(pk=before[0].node_id), draining=True)
    world.run(20)
    assert live(app) == before


def test_a_drained_node_whose_containers_find_no_other_keeps_them(
    administrator: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(administrator, DEMO % 2)
    world.run(5)
    before = {one.pk for one in live(app)}
    set_draining(administrator, Node.objects.get(pk=agent.node), draining=True)
    world.run(20)
    assert {one.pk for one in live(app)} == before
    set_draining(administrator, Node.objects.get(pk=agent.node), draining=False)
    world.run(20)
    assert {one.pk for one in live(app)} == before


def test_a_marked_container_moves_to_its_target(
    administrator: Access, world: World, agents: MakeAgents
) -> None:
    made = agents(3)
    app, _operation = deploy(administrator, DEMO % 1)
    world.run(5)
    [old] = live(app)
    target = next(agent.node for agent in made if agent.node != old.node_id)
    marked = mark_moves(administrator, [WantedMove(old.id, old.node_id, target)])
    assert len(marked.moves) == 1
    seen = running_in_each_step(world, app, 10)
    assert (min(seen), max(seen)) == (1, 2)
    [new] = live(app)
    assert (new.node_id, new.generation, new.digest) == (target, 2, old.digest)
    assert Container.objects.get(pk=old.pk).removed_at is not None


def test_a_move_to_a_node_that_takes_nothing_goes_somewhere_that_does(
    administrator: Access, world: World, agents: MakeAgents
) -> None:
    made = agents(2)
    app, _operation = deploy(administrator, DEMO % 1)
    world.run(5)
    [old] = live(app)
    target = next(agent.node for agent in made if agent.node != old.node_id)
    mark_moves(administrator, [WantedMove(old.id, old.node_id, target)])
    set_cordoned(administrator, Node.objects.get(pk=target), cordoned=True)
    world.run(20)
    assert len(live(app)) == 1
