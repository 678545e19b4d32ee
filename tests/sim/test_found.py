"""What seeds of the simulation found, each as small as it gets: a seed means something else once the simulation
changes, these stay."""

from __future__ import annotations

from console.accounts.access import Access
from console.cluster.models import Node
from console.cluster.services import add_node
from console.workloads import services
from console.workloads.models import Container, Slot
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import DEMO, deploy


def test_the_sync_of_an_older_session_is_not_taken_for_this_ones(world: World, agents: MakeAgents) -> None:
    """It was lost, and the session after it began while the engine was away."""
    [agent] = agents(1)
    world.wire.lose_jobs = True
    agent.connect()
    world.run(1)
    agent.engine_ok = False
    agent.connect()
    world.run(1)
    world.wire.lose_jobs, agent.engine_ok = False, True
    agent.hello()
    world.run(5)
    syncs = [job.session for _node, job in world.wire.sent if isinstance(job, protocol.Sync)]
    assert (syncs[-1], agent.synced) == (3, 3)
    assert Node.objects.get().state == "ready"


def test_a_lost_delta_shows_by_the_next_one(access: Access, world: World, agents: MakeAgents) -> None:
    """The digest that the next one brings is right, so that only its base tells of the gap."""
    [agent] = agents(1)
    deploy(access, "services:\n  web: {image: berth/demo, restart: 'no', deploy: {replicas: 2}}\n")
    world.run(5)
    base = Node.objects.get().digest
    first, second = sorted(agent.containers)
    gone = protocol.Observed(identity=agent.containers[first].identity, engine_id="e" * 64, state="exited")
    agent.containers[first] = gone
    lost = agent.digest
    assert lost != base
    world.wire.push(
        agent, protocol.Delta(changed=(agent.containers[second],), base=lost, digest=agent.digest)
    )
    world.run(3)
    ended = Container.objects.get(slot=first[0], generation=first[1])
    assert ended.state in ("exited", "failed")
    assert world.wire.asked[-1] == agent.node


def test_a_delta_that_follows_on_asks_for_nothing(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    deploy(access, DEMO % 1)
    world.run(5)
    asked = list(world.wire.asked)
    base = agent.digest
    key = next(iter(agent.containers))
    world.wire.push(agent, protocol.Delta(changed=(agent.containers[key],), base=base, digest=base))
    world.run(2)
    assert world.wire.asked == asked


def test_a_node_whose_first_hello_got_lost_is_asked_again(world: World, access: Access) -> None:
    """With a wiped Redis, say: it has no session yet, but its heartbeats come."""
    agent = FakeAgent(add_node(name="late", actor="test").node.id, world.wire)
    agent.session = 1
    world.run(3)
    assert Node.objects.get().state == "ready"


def test_what_was_held_back_while_the_console_was_blind_is_made_up_for(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """The stop is confirmed in the blind step: no report calls for the removal later."""
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    agent.holding = True
    services.set_stopped(access, app, stopped=True)
    world.run(1)
    [key], [stop] = agent.containers, agent.held
    world.wire.blind, agent.holding = True, False
    world.wire.push(agent, protocol.Result(job=stop.id, ok=True))
    agent.end(*key, 143)
    world.run(1)
    world.wire.blind = False
    world.run(6)
    assert agent.containers == {}
    assert not Slot.objects.filter(retired=False).exists()


def test_a_lost_container_has_its_ports_until_it_is_removed(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """Its node is back and takes new containers, but the stop that it was told is still under way."""
    nodes = agents(2)
    fixed = "services:\n  web:\n    image: berth/demo\n    ports: ['9001:80']\n"
    app, _operation = deploy(access, fixed)
    world.run(15)
    first = next(agent for agent in nodes if agent.containers)
    first.engine_ok = False
    world.run(10)
    first.holding = True
    first.engine_ok = True
    world.run(3)
    services.scale(access, app.services.get(), replicas=2)
    world.run(3)
    assert "port 9001 taken" in Slot.objects.get(index=2).pending
    first.holding = False
    first.let_go()
    world.run(5)
    assert {one.identity.slot for one in first.containers.values()} == {Slot.objects.get(index=2).id}
    assert not Container.objects.filter(state="failed").exists()


def test_what_runs_did_not_fail_to_start(access: Access, world: World, agents: MakeAgents) -> None:
    """Its engine started it without an answer in time, and the start was sent again once it was past."""
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    agent.holding = True
    world.run(3)
    [job] = [held for held in agent.held if isinstance(held, protocol.Ensure)]
    seen = protocol.Observed(identity=job.identity, engine_id="e" * 64, state="running")
    agent.containers[job.identity.slot, job.identity.generation] = seen
    agent.held.clear()
    world.wire.push(agent, protocol.Delta(changed=(seen,), base="", digest=agent.digest))
    world.run(1)
    world.wire.push(agent, protocol.Result(job=job.id, ok=False, code="stale", message="past", fatal=True))
    agent.holding = False
    world.run(5)
    assert [(one.generation, one.state) for one in Container.objects.filter(app=app)] == [(1, "running")]
