"""Networks across hosts: who joins, who manages, what a start waits for, and what is said where it cannot be."""

from __future__ import annotations

import msgspec
import pytest
from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.cluster.services import remove_node, set_cordoned
from console.common.models import Event
from console.network.models import AppNetwork
from console.network.queries import networks_of, reach_of
from console.workloads import services
from console.workloads.models import Slot
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.swarm import FakeSwarm
from tests.controller.test_loop import DEMO, deploy, live, state_of

pytestmark = pytest.mark.thorough


@pytest.fixture
def swarm(settings: Settings) -> FakeSwarm:
    settings.NETWORK_DRIVER = "overlay"
    return FakeSwarm()


def joined(world: World, agents: MakeAgents, swarm: FakeSwarm, count: int) -> list[FakeAgent]:
    """That many nodes, on the overlay."""
    made = agents(count)
    for agent in made:
        agent.swarm = swarm
        agent.hello()
    world.run(10)
    return made


def off() -> dict[str, str]:
    return dict(Node.objects.values_list("name", "off_overlay"))


def test_all_nodes_join_and_three_of_them_manage(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    joined(world, agents, swarm, 4)
    assert len(swarm.members) == 4
    assert sum(swarm.members.values()) == 3
    assert swarm.acts.count("init") == 1
    assert sorted(set(swarm.acts)) == ["init", "invite", "join", "promote"]
    assert set(off().values()) == {""}
    told = list(Event.objects.filter(kind="node.overlay").values_list("message", flat=True))
    assert sum(text.endswith("is on the overlay") for text in told) == 4
    # The outbox has a token only as it was sealed to its guest.
    join = Job.objects.filter(kind=JobKind.SWARM, payload__act="join").first()
    assert join is not None
    sealed = msgspec.convert(join.payload, protocol.Swarm).token
    assert sealed == b"sealed for " + join.node_id.encode()


def test_a_start_waits_for_its_network_and_not_for_long(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    joined(world, agents, swarm, 3)
    app, operation = deploy(access, DEMO % 3)
    world.run(4)
    assert state_of(operation) == "succeeded"
    name = f"berth-{app.id}_default"
    assert swarm.networks == {name}
    row = AppNetwork.objects.get()
    assert (row.name, row.app_id, row.internal, row.made_at is not None) == (name, app.id, False, True)
    sent = [job for _node, job in world.wire.sent if isinstance(job, protocol.Ensure | protocol.Network)]
    assert isinstance(sent[0], protocol.Network)
    ensures = [job for job in sent if isinstance(job, protocol.Ensure)]
    assert [job.spec.attachments for job in ensures] == [
        (protocol.Attachment(network=name, aliases=("web",), overlay=True),)
    ] * 3
    assert len(sent) == 4


def test_a_swarm_that_was_made_anew_gets_the_networks_again(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    [agent] = joined(world, agents, swarm, 1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    swarm.networks.clear()
    swarm.id = "s2"
    agent.hello()
    world.run(40, tick=1.0)
    assert swarm.networks == {f"berth-{app.id}_default"}
    assert AppNetwork.objects.get().swarm == "s2"


def test_its_network_goes_with_the_app_once_nobody_is_on_it(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    joined(world, agents, swarm, 1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    swarm.used = set(swarm.networks)
    services.delete_app(access, app, delete_volumes=True)
    world.run(10)
    assert AppNetwork.objects.count() == 1
    swarm.used = set()
    world.run(120, tick=2.0)
    assert swarm.networks == set()
    assert not AppNetwork.objects.exists()


def test_a_node_that_is_not_on_it_is_passed_over_and_that_is_explained(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    first, _second = agents(2)
    first.swarm = swarm
    first.hello()
    world.run(5)
    assert off() == {"node-1": "", "node-2": "is kept off the overlay: its agent has no address for it"}
    app, _operation = deploy(access, DEMO % 4)
    world.run(5)
    assert {container.node_id for container in live(app)} == {first.node}
    set_cordoned(access, Node.objects.get(name="node-1"), cordoned=True)
    services.scale(access, app.services.get(), replicas=5)
    world.run(5)
    pending = Slot.objects.get(index=5)
    assert "is kept off the overlay" in pending.pending
    reach = reach_of(Node.objects.get(name="node-2"))
    assert (reach.wanted, reach.reached) == (True, False)


def test_an_agent_of_before_never_gets_a_job_that_it_does_not_know(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    agents(2)
    deploy(access, DEMO % 2)
    world.run(10)
    assert not [job for _node, job in world.wire.sent if isinstance(job, protocol.Swarm | protocol.Network)]


def test_a_change_that_fails_is_told_and_asked_for_again_later(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    swarm.refusing = "No swarm can be made: live-restore."
    joined(world, agents, swarm, 1)
    told = Event.objects.filter(kind="node.overlay", message__contains="live-restore")
    assert told.count() == 1
    swarm.refusing = ""
    world.run(40, tick=1.0)
    assert swarm.members
    assert told.count() == 1


def test_a_lost_manager_gets_a_stand_in_and_a_removed_node_is_forgotten(
    access: Access, world: World, agents: MakeAgents, swarm: FakeSwarm
) -> None:
    made = joined(world, agents, swarm, 4)
    gone = next(agent for agent in made if swarm.members[agent.node])
    gone.silence = 0.1
    world.run(20, tick=1.0)
    assert sum(swarm.members.values()) == 3
    world.run(180, tick=2.0)
    assert swarm.members[gone.node] is False
    assert sum(swarm.members.values()) == 3
    node = Node.objects.get(pk=gone.node)
    set_cordoned(access, node, cordoned=True)
    remove_node(access, node)
    del world.wire.agents[gone.node]
    world.run(60, tick=2.0)
    assert gone.node not in swarm.members
    assert len(swarm.members) == 3


def test_bridges_are_the_default_and_ask_for_nothing(
    access: Access, world: World, agents: MakeAgents
) -> None:
    swarm = FakeSwarm()
    joined(world, agents, swarm, 2)
    app, operation = deploy(access, DEMO % 2)
    world.run(5)
    assert state_of(operation) == "succeeded"
    assert (swarm.members, AppNetwork.objects.count()) == ({}, 0)
    [shown] = networks_of(app)
    assert (shown.name, shown.internal, shown.across, shown.services) == ("default", False, False, ("web",))
    assert not reach_of(Node.objects.get(name="node-1")).wanted
