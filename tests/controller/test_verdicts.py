"""An administrator's word about a node: that it is dead, or, after a restored backup, that the database is right."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.accounts.access import Access
from console.cluster.models import Death, Hold, Job, Node
from console.cluster.services import remove_node
from console.cluster.verdicts import check_all, confirm_assignment, declare_dead
from console.common.errors import Conflict
from console.common.models import Event
from console.workloads.models import App, Container, Slot, Volume
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import DEMO, deploy, live

pytestmark = pytest.mark.thorough

EXCLUSIVE = "services:\n  only:\n    image: berth/demo\n    x-berth: {exclusive: true}\n"
BOUND = "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: {}}\n"


def home_of(world: World, app: App) -> tuple[FakeAgent, Node]:
    [container] = live(app)
    return world.wire.agents[container.node_id], Node.objects.get(pk=container.node_id)


def goes_silent(world: World, agent: FakeAgent) -> None:
    agent.silence = 0.1
    world.run(14)


def kinds() -> set[str]:
    return set(Event.objects.values_list("kind", flat=True))


# -- this node is dead


@pytest.mark.parametrize(("compose", "volumes"), [(EXCLUSIVE, False), (BOUND, True)])
def test_what_waits_for_a_dead_node_starts_elsewhere_at_an_operators_word(
    access: Access, world: World, agents: MakeAgents, compose: str, volumes: bool
) -> None:
    agents(2)
    app, _operation = deploy(access, compose)
    world.run(5)
    agent, node = home_of(world, app)
    goes_silent(world, agent)
    world.run(30)
    assert [one.node_id for one in live(app)] == [node.id]
    declare_dead(access, node, volumes=volumes)
    world.run(5)
    [container] = live(app)
    assert (container.node_id == node.id, container.generation, container.state) == (False, 2, "running")
    assert Container.objects.get(generation=1).state == "lost"
    assert "node.dead" in kinds()


def test_without_its_volumes_what_has_data_there_waits_for_the_node(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    app, _operation = deploy(access, BOUND)
    world.run(5)
    agent, node = home_of(world, app)
    goes_silent(world, agent)
    declare_dead(access, node)
    world.run(10)
    assert live(app) == []
    assert Volume.objects.get().node_id == node.id
    assert "volume" in Slot.objects.get().pending
    agent.connect()
    world.run(10)
    assert [(one.node_id, one.generation) for one in live(app)] == [(node.id, 2)]
    assert [key for key, one in agent.containers.items() if one.state == "running"] == [
        (Slot.objects.get().id, 2)
    ]


def test_a_dead_one_that_comes_back_stops_what_was_replaced_and_the_word_ends(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    app, _operation = deploy(access, EXCLUSIVE)
    world.run(5)
    agent, node = home_of(world, app)
    goes_silent(world, agent)
    declare_dead(access, node)
    world.run(5)
    agent.connect()
    world.run(5)
    assert agent.containers == {}
    assert not Death.objects.exists()
    assert {"node.alive", "node.cleared"} <= kinds()
    assert Node.objects.get(pk=node.pk).state == "ready"
    assert not Job.objects.filter(done_at=None).exists()


def test_one_whose_link_held_stops_what_was_replaced(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """Stopped and gone on with: the same session, without a hello."""
    agents(2)
    app, _operation = deploy(access, EXCLUSIVE)
    world.run(5)
    agent, node = home_of(world, app)
    goes_silent(world, agent)
    declare_dead(access, node)
    world.run(5)
    agent.silence = 0.0
    world.run(8)
    assert agent.containers == {}
    assert len(live(app)) == 1


def test_a_word_that_comes_too_late_gives_nothing_up(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    app, _operation = deploy(access, EXCLUSIVE)
    world.run(5)
    agent, node = home_of(world, app)
    goes_silent(world, agent)
    declare_dead(access, node)
    agent.silence = 0.0
    world.run(5)
    assert [(one.node_id, one.generation) for one in live(app)] == [(node.id, 1)]
    assert not Death.objects.exists()


def test_only_a_node_that_is_down_can_be_dead(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    node = Node.objects.get()
    with pytest.raises(Conflict, match="Drain it instead"):
        declare_dead(access, node)


def test_a_dead_node_whose_volumes_are_given_up_can_be_removed(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    app, _operation = deploy(access, BOUND)
    world.run(5)
    agent, node = home_of(world, app)
    goes_silent(world, agent)
    with pytest.raises(Conflict):
        remove_node(access, node)
    declare_dead(access, node, volumes=True)
    world.run(5)
    del world.wire.agents[agent.node]
    remove_node(access, Node.objects.get(pk=node.pk))
    world.run(2)
    assert len(live(app)) == 1


# -- a restored backup


def restore(app: App, agent: FakeAgent) -> None:
    """The database is as it was before the slot's present container was made."""
    Container.objects.filter(app=app).exclude(generation=1).delete()
    Container.objects.filter(app=app).update(state="running", removed_at=None, ended_at=None)
    Slot.objects.filter(service__app=app).update(generation=1)
    Job.objects.all().delete()
    agent.connect()


def second_generation(access: Access, world: World) -> tuple[App, FakeAgent, Node]:
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    agent, node = home_of(world, app)
    [key] = agent.containers
    agent.end(*key, 1)
    world.run(10)
    assert [one.generation for one in live(app)] == [2]
    return app, agent, node


def test_a_node_that_is_ahead_of_the_database_is_left_alone_until_it_is_confirmed(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, agent, _node = second_generation(access, world)
    before, starts = dict(agent.containers), list(agent.starts)
    restore(app, agent)
    world.run(30)
    assert (agent.containers, agent.starts) == (before, starts)
    assert Slot.objects.get().generation == 2
    found = Node.objects.get()
    assert (found.state, "confirmation" in found.state_reason) == ("suspect", True)
    hold = Hold.objects.get()
    assert (hold.ahead, hold.unknown) == (["shop/web.1"], ["shop/web.1"])
    assert "node.held" in kinds()
    confirm_assignment(access, found)
    world.run(15)
    assert Node.objects.get().state == "ready"
    assert [(one.generation, one.state) for one in live(app)] == [(3, "running")]
    assert [key[1] for key in agent.containers] == [3]
    assert not Hold.objects.exists()


def test_a_held_slot_is_not_filled_elsewhere_before_its_node_has_cleared_it_away(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """It had moved since the backup: the node that the database knows has nothing, another runs it."""
    first, second = agents(2)
    app, _operation = deploy(access, EXCLUSIVE)
    world.run(5)
    old, _node = home_of(world, app)
    new = second if old is first else first
    [(key, seen)] = old.containers.items()
    identity = replace(seen.identity, generation=2, container="made-later")
    moved = replace(seen, identity=identity, engine_id="f" * 64)
    del old.containers[key]
    new.containers[key[0], 2], new.fence[key[0]] = moved, 2
    check_all()
    new.connect()
    world.run(1)
    old.connect()
    world.run(20)
    assert new.containers == {(key[0], 2): moved}
    assert old.containers == {}
    new.holding = True
    confirm_assignment(access, Node.objects.get(pk=new.node))
    world.run(10)
    assert old.containers == {}
    new.let_go()
    world.run(10)
    running = [one for agent in (old, new) for one in agent.containers.values()]
    assert [one.identity.generation for one in running] == [3]


def test_after_a_restore_that_changed_nothing_the_nodes_go_on(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    check_all()
    for agent in world.wire.agents.values():
        agent.connect()
    world.run(5)
    assert set(Node.objects.values_list("state", flat=True)) == {"ready"}
    assert not Hold.objects.exists()
    assert {one.generation for one in live(app)} == {1}


def test_an_app_made_after_the_backup_runs_on_until_its_node_is_confirmed(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    app.delete()
    world.controller.rebuild()
    check_all()
    agent.connect()
    world.run(20)
    assert len(agent.containers) == 1
    assert Hold.objects.get().unknown == ["shop/web.1"]
    confirm_assignment(access, Node.objects.get())
    world.run(10)
    assert agent.containers == {}


def test_only_a_held_node_is_confirmed(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    with pytest.raises(Conflict, match="no confirmation"):
        confirm_assignment(access, Node.objects.get())
