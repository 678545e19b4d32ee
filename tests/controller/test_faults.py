"""Faults at bad moments: what is wanted runs once, nothing else runs, and nothing waits for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console.accounts.access import Access
from console.cluster.models import Job, Node
from console.cluster.services import remove_node, set_cordoned
from console.common.models import Event
from console.images.models import RegistryCredential
from console.images.services import store_credential
from console.workloads import services
from console.workloads.models import App, Container, Release, Slot, Volume
from console.workloads.retention import sweep_old_rows
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import DEMO, deploy, live, state_of

pytestmark = pytest.mark.thorough

WITH_VOLUME = "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: {}}\n"


def running(agents: list[FakeAgent]) -> int:
    return sum(one.state == "running" for agent in agents for one in agent.containers.values())


# -- a node that was given up and was not dead


def test_a_node_that_was_only_silent_stops_what_was_replaced(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """Its link held: the same session goes on, without a hello and without a sync."""
    nodes = agents(3)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    nodes[0].silence = 0.1
    world.run(14)
    nodes[0].silence = 0.0
    world.run(5)
    assert (nodes[0].containers, running(nodes), len(live(app))) == ({}, 3, 3)
    assert not Job.objects.filter(done_at=None).exists()


def test_an_engine_that_was_away_stops_what_was_replaced(
    access: Access, world: World, agents: MakeAgents
) -> None:
    nodes = agents(3)
    app, _operation = deploy(access, DEMO % 3)
    world.run(15)
    nodes[0].engine_ok = False
    world.run(10)
    assert len(live(app)) == 3
    nodes[0].engine_ok = True
    nodes[0].hello()
    world.run(5)
    assert (nodes[0].containers, running(nodes)) == ({}, 3)


def test_what_is_replaced_while_the_sync_is_under_way_is_stopped(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    Node.objects.filter(pk=second.node).update(cordoned=True)
    app, _operation = deploy(access, DEMO % 1)
    world.run(15)
    first.silence = 0.1
    world.run(12)
    first.holding = True
    first.connect()
    world.run(1)
    Node.objects.filter(pk=second.node).update(cordoned=False)
    world.run(6)
    assert {container.node_id for container in live(app)} == {second.node}
    first.let_go()
    world.run(5)
    assert (first.containers, running([first, second])) == ({}, 1)


@pytest.mark.parametrize("in_session", [True, False])
def test_what_had_ended_and_runs_again_is_stopped(
    access: Access, world: World, agents: MakeAgents, in_session: bool
) -> None:
    """An engine without live-restore ends all its containers when it goes, and starts them when it is back."""
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    [key] = agent.containers
    agent.holding = True
    agent.end(*key, 143)
    world.run(1)
    agent.change(key, state="running", exit_code=None, running_for=0.0, ended_ago=None)
    if not in_session:
        agent.held.clear()
        agent.connect()
    agent.let_go()
    world.run(10)
    assert (running([agent]), len(agent.containers), len(live(app))) == (1, 1, 1)


def test_a_removed_container_that_a_late_start_brings_back_is_stopped(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    ensure = next(
        job
        for _node, job in world.wire.sent
        if isinstance(job, protocol.Ensure) and "web.2" in job.identity.name
    )
    services.scale(access, app.services.get(), replicas=1)
    world.run(5)
    agent.stopped.clear()
    agent.take(ensure)
    world.run(5)
    assert (running([agent]), len(agent.containers)) == (1, 1)


# -- jobs that go wrong


@pytest.mark.parametrize("kind", [protocol.Stop, protocol.Remove])
def test_stopping_and_removing_are_never_given_up(
    access: Access, world: World, agents: MakeAgents, kind: type[protocol.Job]
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    agent.failing[kind] = 7
    services.delete_app(access, app, delete_volumes=False)
    world.run(240)
    assert (agent.containers, App.objects.count()) == ({}, 0)
    assert Event.objects.filter(kind="node.trouble", warning=True).count() == 1


def test_an_assignment_that_goes_wrong_is_repeated(world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    agent.failing[protocol.Sync] = 6
    agent.connect()
    world.run(150)
    assert Node.objects.get().state == "ready"


def test_a_hello_without_its_engine_gets_its_assignment_once_the_engine_is_there(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.engine_ok = False
    agent.connect()
    world.run(10)
    agent.engine_ok = True
    agent.hello()
    world.run(5)
    assert (Node.objects.get().state, agent.synced) == ("ready", agent.session)


def test_a_node_that_refuses_a_generation_as_past_gets_the_next_one(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    stale = protocol.Result(job="", ok=False, code="stale", message="It has seen 7.", fatal=True)
    agent.broken["web"] = stale
    app, _operation = deploy(access, DEMO % 1)
    world.run(1)
    agent.broken.clear()
    world.run(30)
    assert len(live(app)) == 1


# -- releases


def test_another_node_asks_the_registry_when_the_one_that_was_asked_goes_away(
    access: Access, world: World, agents: MakeAgents
) -> None:
    nodes = agents(3)
    for agent in nodes:
        agent.registry["nginx:1"] = "nginx@sha256:" + "a" * 64
    world.run(10)
    asked = min(nodes, key=lambda agent: agent.node)
    asked.silence = 0.1
    app, _operation = deploy(access, "services:\n  web:\n    image: nginx:1\n")
    world.run(20)
    assert [container.image for container in live(app)] == ["nginx@sha256:" + "a" * 64]


def test_a_release_whose_image_nobody_can_ask_for_fails_at_its_deadline(access: Access, world: World) -> None:
    _app, operation = deploy(access, "services:\n  web:\n    image: nginx:1\n")
    world.run(5)
    assert state_of(operation) == "running"
    world.run(620, tick=10)
    assert state_of(operation) == "failed"
    assert "nginx:1" in operation.error


def test_a_release_that_never_gets_ready_changes_no_number_and_hides_no_service(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    wrong = "services:\n  web:\n    image: nobody/knows:1\n  new:\n    image: berth/demo\n"
    operation = services.create_release(access, app, compose=wrong)
    world.run(10)
    assert (state_of(operation), len(live(app))) == ("failed", 3)
    assert list(app.services.values_list("name", "replicas", "present").order_by("name")) == [
        ("new", 1, False),
        ("web", 3, True),
    ]
    services.create_release(access, app, compose=wrong.replace("nobody/knows:1", "berth/demo"))
    world.run(10)
    assert sorted(str(container.slot) for container in live(app)) == ["new.1", "web.1"]


def test_a_scale_before_the_first_release_is_ready_holds(
    access: Access, world: World, agents: MakeAgents
) -> None:
    app, _operation = deploy(access, DEMO % 1)
    services.scale(access, app.services.get(), replicas=3)
    world.run(2)
    agents(1)
    world.run(5)
    assert len(live(app)) == 3


def test_a_release_that_never_gets_ready_stops_nothing(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(
        access, "services:\n  web:\n    image: berth/demo\n  db:\n    image: berth/demo\n"
    )
    world.run(5)
    before = {container.id for container in live(app)}
    operation = services.create_release(access, app, compose="services:\n  web:\n    image: nobody/knows:1\n")
    world.run(10)
    assert state_of(operation) == "failed"
    assert {container.id for container in live(app)} == before


# -- deletion


def test_volumes_are_deleted_also_when_their_node_goes_away_meanwhile(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, WITH_VOLUME)
    world.run(5)
    services.set_stopped(access, app, stopped=True)
    world.run(5)
    agent.holding = True
    services.delete_app(access, app, delete_volumes=True)
    world.run(2)
    agent.held.clear()
    agent.holding = False
    agent.connect()
    world.run(10)
    assert (App.objects.count(), Volume.objects.count()) == (0, 0)


def test_what_was_stopped_before_it_began_cannot_begin_afterwards(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.holding = True
    app, _operation = deploy(access, DEMO % 1)
    world.run(1)
    [ensure] = [job for job in agent.held if isinstance(job, protocol.Ensure)]
    agent.held.clear()
    world.wire.lose_jobs = True
    services.delete_app(access, app, delete_volumes=False)
    world.run(1)
    agent.hello()
    world.run(1)
    agent.holding = world.wire.lose_jobs = False
    agent.take(ensure)
    world.run(10)
    assert (agent.containers, App.objects.count()) == ({}, 0)


def test_a_dead_node_can_be_forgotten(access: Access, world: World, agents: MakeAgents) -> None:
    nodes = agents(3)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    nodes[0].silence = 0.1
    world.run(14)
    node = Node.objects.get(pk=nodes[0].node)
    set_cordoned(access, node, cordoned=True)
    services.delete_app(access, app, delete_volumes=False)
    world.run(5)
    assert App.objects.count() == 1
    remove_node(access, node)
    world.run(5)
    assert App.objects.count() == 0


# -- Redis


def test_after_a_wipe_a_heartbeat_that_is_not_there_yet_proves_nothing(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    app, _operation = deploy(access, DEMO % 2)
    world.run(15)
    before = {container.id for container in live(app)}
    world.wire.wipe()
    world.wire.silent.add(second.node)
    world.run(2)
    world.wire.silent.clear()
    world.run(5)
    assert {container.id for container in live(app)} == before
    assert Node.objects.get(pk=second.node).state == "ready"
    assert first.containers.keys() | second.containers.keys()


def test_what_was_received_before_a_wipe_is_rung_again_at_once(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, operation = deploy(access, "services:\n  web:\n    image: nginx:1\n")
    agent.registry["nginx:1"] = "nginx@sha256:" + "a" * 64
    agent.holding = True
    world.run(1)
    agent.let_go()
    world.wire.wipe()
    world.run(5)
    assert len(live(app)) == 1
    assert state_of(operation) == "succeeded"


def test_a_storm_is_told_once_and_freezes_once(access: Access, world: World, agents: MakeAgents) -> None:
    nodes = agents(3)
    world.run(15)
    nodes[0].silence = nodes[1].silence = 0.1
    world.run(12)
    assert set(Node.objects.values_list("state", flat=True)) == {"ready"}
    world.run(48)
    assert Event.objects.filter(kind="cluster.storm").count() == 1
    assert sorted(Node.objects.values_list("state", flat=True)) == ["down", "down", "ready"]


def test_nodes_that_fall_silent_out_of_phase_are_a_storm_too(
    access: Access, world: World, agents: MakeAgents
) -> None:
    nodes = agents(4)
    app, _operation = deploy(access, DEMO % 4)
    world.run(15)
    before = {container.id for container in live(app)}
    for agent in nodes[:3]:
        agent.silence = 0.1
        world.run(1.5)
    world.run(5)
    assert "down" not in set(Node.objects.values_list("state", flat=True))
    assert Event.objects.filter(kind="cluster.storm").count() == 1
    for agent in nodes[:3]:
        agent.silence = 0
    world.run(10)
    assert {container.id for container in live(app)} == before
    assert set(Node.objects.values_list("state", flat=True)) == {"ready"}


def test_a_few_silent_nodes_are_no_storm(access: Access, world: World, agents: MakeAgents) -> None:
    nodes = agents(6)
    world.run(15)
    for agent in nodes[:2]:
        agent.silence = 0.1
        world.run(1.5)
    world.run(10)
    assert not Event.objects.filter(kind="cluster.storm").exists()
    assert list(Node.objects.values_list("state", flat=True)) == ["down"] * 2 + ["ready"] * 4


# -- reports that are not what they should be


def test_a_report_that_cannot_be_stored_holds_nobody_up(
    access: Access, world: World, agents: MakeAgents
) -> None:
    bad, good = agents(2)
    world.run(15)
    bad.cpu = 2**63
    bad.connect()
    deploy(access, DEMO % 1)
    world.run(5)
    assert running([good]) == 1
    assert Node.objects.get(pk=bad.node).cpu == 4000


@pytest.mark.parametrize("what", ["receipt", "fence"])
def test_a_report_of_too_many_things_holds_nobody_up(
    access: Access, world: World, agents: MakeAgents, what: str
) -> None:
    bad, good = agents(2)
    Node.objects.filter(pk=bad.node).update(cordoned=True)
    many = [str(n) for n in range(300_000)]
    if what == "receipt":
        world.wire.push(bad, protocol.Receipt(jobs=tuple(many)))
    else:
        bad.fence = dict.fromkeys(many, 1)
        bad.connect()
    deploy(access, DEMO % 1)
    world.run(5)
    assert running([good]) == 1


def test_log_lines_with_zero_bytes_are_kept_without_them(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """PostgreSQL stores no zero byte, in no text and no JSON."""
    [agent] = agents(1)
    deploy(access, DEMO % 1)
    world.run(5)
    [key] = agent.containers
    agent.change(key, state="exited", exit_code=1, running_for=None, error="a\0b", last_lines=("c\0d",))
    world.run(1)
    container = Container.objects.get(generation=1)
    assert (container.error, container.last_lines) == ("a\ufffdb", ["c\ufffdd"])


def test_a_node_raises_the_generations_of_its_own_slots_alone(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    deploy(access, DEMO % 1)
    world.run(5)
    container = Container.objects.get()
    owner = world.wire.agents[container.node_id]
    [stranger] = [agent for agent in world.wire.agents.values() if agent is not owner]
    stranger.fence = {container.slot_id: 9}
    stranger.connect()
    world.run(2)
    assert Slot.objects.get().generation == 1
    owner.fence = {container.slot_id: 9}
    owner.hello()
    world.run(2)
    assert Slot.objects.get().generation == 9
    owner.fence = {container.slot_id: 2**63 - 1}
    owner.hello()
    world.run(2)
    assert Slot.objects.get().generation == 9


def test_a_lost_container_is_lost_also_where_the_fence_was_above_it(
    access: Access, world: World, agents: MakeAgents
) -> None:
    nodes = agents(3)
    deploy(access, DEMO % 1)
    world.run(15)
    first = Container.objects.get()
    Slot.objects.update(generation=5)
    world.wire.agents[first.node_id].silence = 0.1
    world.run(14)
    first.refresh_from_db()
    assert (first.state, Slot.objects.get().generation, running(nodes)) == ("lost", 6, 2)


# -- the console's own


def test_an_app_that_cannot_be_worked_on_holds_no_other_up(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    bad, _operation = deploy(access, DEMO % 1, name="bad")
    good, _operation = deploy(access, DEMO % 1, name="good")
    release = Release.objects.get(app=bad)
    model = release.model
    Release.objects.filter(app=bad).update(model={"of": "another version"})
    world.run(5)
    assert (len(live(bad)), len(live(good))) == (0, 1)
    Release.objects.filter(app=bad).update(model=model)
    world.run(15)
    assert len(live(bad)) == 1


def test_a_login_that_cannot_be_opened_holds_nobody_up_and_is_told(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.registry["registry.example.com/web:1"] = "registry.example.com/web@sha256:" + "a" * 64
    store_credential(access, host="registry.example.com", username="u", password="p")
    RegistryCredential.objects.update(sealed_password=b"of another key" * 8)
    shop, _operation = deploy(access, "services:\n  web:\n    image: registry.example.com/web:1\n")
    other, _operation = deploy(access, DEMO % 1, name="other")
    world.run(10)
    assert (len(live(shop)), len(live(other))) == (1, 1)
    told = Event.objects.filter(kind="registry.unreadable", team_id=access.team.id).first()
    assert told is not None
    assert "registry.example.com" in told.message


def test_a_task_that_is_done_is_not_run_again_when_its_record_is_old(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, "services:\n  job:\n    image: berth/demo\n    restart: 'no'\n")
    world.run(5)
    agent.end(*next(iter(agent.containers)), 0)
    world.run(10)
    Container.objects.update(removed_at=timezone.now() - timedelta(days=400))
    sweep_old_rows()
    services.scale(access, app.services.get(), replicas=1)
    world.run(10)
    assert agent.starts == ["shop/job.1"]


# -- poison


def test_a_start_that_ends_its_nodes_session_each_time_is_given_up_and_told(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """An agent that dies of a job has its receipt out, and no result; its supervisor starts it anew."""
    [agent] = agents(1)
    agent.holding = True
    app, _operation = deploy(access, DEMO % 1)
    world.run(2)
    for _death in range(5):
        assert [type(job) for job in agent.held] == [protocol.Ensure]
        agent.held.clear()
        agent.holding = False
        agent.connect()
        world.controller.step(world.now)
        agent.holding = True
        world.run(2)
    container = Container.objects.get()
    assert (container.state, container.fatal) == ("failed", True)
    assert [type(job) for job in agent.held] == [protocol.Remove]
    assert Event.objects.filter(kind="node.poison", app_id=app.id).count() == 1
    agent.let_go()
    world.run(60)
    assert (agent.starts, live(app)) == ([], [])


def test_a_long_pull_that_loses_its_link_is_no_poison(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.holding = True
    app, _operation = deploy(access, DEMO % 1)
    world.run(2)
    for _loss in range(7):
        [job] = agent.held
        world.wire.push(agent, protocol.Progress(job=job.id, text="3 of 9 MiB", done=3, total=9))
        world.run(1)
        agent.held.clear()
        agent.holding = False
        agent.connect()
        world.controller.step(world.now)
        agent.holding = True
        world.run(2)
    agent.holding = False
    agent.let_go()
    world.run(3)
    assert [one.state for one in live(app)] == ["running"]


def test_a_job_that_only_a_newer_controller_knows_holds_nobody_up(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """This one came back after an upgrade."""
    agents(1)
    node = Node.objects.get()
    unknown = Job.objects.create(
        node=node, kind="novelty", payload={"type": "novelty"}, created_at=world.now, ring_at=world.now
    )
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    assert len(live(app)) == 1
    unknown.refresh_from_db()
    assert unknown.rings == 0
    assert unknown.ring_at is not None
    assert unknown.ring_at > world.now
