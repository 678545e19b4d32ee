"""Global services, jobs, and services that wait for others."""

from __future__ import annotations

from collections import Counter

import pytest

from console.accounts.access import Access
from console.cluster.models import Node
from console.cluster.services import add_node, change_node, remove_node, set_cordoned, set_draining
from console.workloads import services
from console.workloads.models import App, Container, Slot
from console.workloads.operations import progress_of
from console.workloads.queries import remedies_of
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import deploy, live, state_of

pytestmark = pytest.mark.thorough

EVERYWHERE = "services:\n  proxy:\n    image: berth/demo\n    deploy: {mode: global}\n"
CHECKED = "healthcheck: {test: [CMD, 'true']}"
JOB = "services:\n  once:\n    image: berth/demo\n    deploy: {mode: replicated-job, replicas: 2}\n"


def nodes_of(app: App) -> Counter[str]:
    return Counter(container.node_id for container in live(app))


# -- global services


def test_a_global_service_runs_once_on_each_node_also_on_one_that_comes_later(
    access: Access, world: World, agents: MakeAgents
) -> None:
    made = agents(3)
    app, operation = deploy(access, EVERYWHERE)
    world.run(5)
    assert nodes_of(app) == dict.fromkeys((agent.node for agent in made), 1)
    assert state_of(operation) == "succeeded"
    late = FakeAgent(add_node(name="late", actor="test").node.id, world.wire)
    late.connect()
    world.run(10)
    assert nodes_of(app) == dict.fromkeys((*(agent.node for agent in made), late.node), 1)


def test_a_global_service_keeps_to_its_constraints(access: Access, world: World, agents: MakeAgents) -> None:
    first, second, _third = agents(3)
    for agent in (first, second):
        Node.objects.filter(pk=agent.node).update(labels={"edge": "yes"})
    placement = "{mode: global, placement: {constraints: [node.labels.edge == yes]}}"
    app, _operation = deploy(access, EVERYWHERE.replace("{mode: global}", placement))
    world.run(5)
    assert nodes_of(app) == {first.node: 1, second.node: 1}
    Node.objects.filter(pk=second.node).update(labels={})
    world.run(10)
    assert nodes_of(app) == {first.node: 1}


def test_an_operators_label_counts_at_the_next_step_and_outlasts_the_agents_word(
    access: Access, world: World, agents: MakeAgents
) -> None:
    access.user.is_staff = True
    first, _second = agents(2)
    placement = "{placement: {constraints: [node.labels.disk == ssd]}}"
    app, _operation = deploy(access, f"services:\n  web:\n    image: berth/demo\n    deploy: {placement}\n")
    world.run(5)
    assert "label disk=ssd" in str(remedies_of(app))
    change_node(access, Node.objects.get(pk=first.node), labels={"disk": "ssd"})
    world.run(1)
    assert [one.node_id for one in Container.objects.filter(app=app)] == [first.node]
    first.labels = {"disk": "hdd"}
    first.connect()
    world.run(2)
    node = Node.objects.get(pk=first.node)
    assert (node.observed_labels, node.all_labels) == ({"disk": "hdd"}, {"disk": "ssd"})


def test_a_global_service_leaves_a_node_that_is_drained_and_returns_to_it(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    access.user.is_staff = True
    app, _operation = deploy(access, EVERYWHERE)
    world.run(5)
    set_draining(access, Node.objects.get(pk=first.node), draining=True)
    world.run(10)
    assert (nodes_of(app), first.containers) == ({second.node: 1}, {})
    set_draining(access, Node.objects.get(pk=first.node), draining=False)
    world.run(10)
    assert nodes_of(app) == {first.node: 1, second.node: 1}


def test_a_cordoned_node_keeps_what_a_global_service_has_there(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, _second = agents(2)
    access.user.is_staff = True
    app, _operation = deploy(access, EVERYWHERE)
    world.run(5)
    before = {container.pk for container in live(app)}
    set_cordoned(access, Node.objects.get(pk=first.node), cordoned=True)
    world.run(10)
    assert {container.pk for container in live(app)} == before


def test_a_global_service_that_is_stopped_runs_nowhere(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    app, _operation = deploy(access, EVERYWHERE)
    world.run(5)
    services.set_stopped(access, app, app.services.get(), stopped=True)
    world.run(5)
    assert (first.containers, second.containers) == ({}, {})


def test_slots_of_a_global_service_know_their_node(access: Access, world: World, agents: MakeAgents) -> None:
    made = agents(2)
    app, _operation = deploy(access, EVERYWHERE)
    world.run(5)
    held = {container.slot_id: container.node_id for container in live(app)}
    assert {slot.id: slot.node_id for slot in Slot.objects.filter(service__app=app)} == held
    assert set(held.values()) == {agent.node for agent in made}


# -- jobs


def test_a_job_runs_to_its_end_once_per_release(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    app, operation = deploy(access, JOB)
    world.run(5)
    assert state_of(operation) == "running"
    for slot, generation in list(agent.containers):
        agent.end(slot, generation, 0)
    world.run(10)
    assert (state_of(operation), agent.containers, len(agent.starts)) == ("succeeded", {}, 2)
    world.run(30)
    assert len(agent.starts) == 2
    services.create_release(access, app, compose=JOB.replace("berth/demo\n", "berth/demo\n    init: true\n"))
    world.run(5)
    assert len(agent.starts) == 4


# -- depends_on


def test_a_service_waits_until_what_it_depends_on_is_healthy(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.health["db"] = "starting"
    compose = (
        f"services:\n  db:\n    image: berth/demo\n    {CHECKED}\n"
        "  web:\n    image: berth/demo\n    depends_on: {db: {condition: service_healthy}}\n"
    )
    _app, operation = deploy(access, compose)
    world.run(10)
    assert agent.starts == ["shop/db.1"]
    assert state_of(operation) == "running"
    assert operation.steps[-1]["text"].endswith("web: 0 of 1 well (waits until db is healthy)")
    assert progress_of(operation) == {"done": 0, "wanted": 2}
    [key] = agent.containers
    agent.change(key, health="healthy")
    world.run(5)
    assert agent.starts == ["shop/db.1", "shop/web.1"]
    assert state_of(operation) == "succeeded"


def test_a_service_waits_until_a_job_is_done(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    compose = (
        "services:\n  migrate:\n    image: berth/demo\n    deploy: {mode: replicated-job}\n"
        "  web:\n    image: berth/demo\n    depends_on:\n"
        "      migrate: {condition: service_completed_successfully}\n"
    )
    app, operation = deploy(access, compose)
    world.run(10)
    assert agent.starts == ["shop/migrate.1"]
    [key] = agent.containers
    agent.end(*key, 0)
    world.run(10)
    assert (agent.starts, state_of(operation)) == (["shop/migrate.1", "shop/web.1"], "succeeded")
    assert Container.objects.filter(app=app, state="running").count() == 1


ONE_SHOT = "services:\n  migrate:\n    image: berth/demo\n    restart: 'no'\n"


@pytest.mark.parametrize("compose", [ONE_SHOT, JOB.replace("replicas: 2", "replicas: 1")])
def test_what_is_done_is_not_done_again_when_its_node_is_removed(
    access: Access, world: World, agents: MakeAgents, compose: str
) -> None:
    access.user.is_staff = True
    made = agents(2)
    app, _operation = deploy(access, compose)
    world.run(5)
    [where] = [agent for agent in made if agent.containers]
    [key] = where.containers
    where.end(*key, 0)
    world.run(5)
    node = Node.objects.get(pk=where.node)
    set_draining(access, node, draining=True)
    world.run(5)
    remove_node(access, node)
    world.run(30)
    assert sum(len(agent.starts) for agent in made) == 1
    record = Container.objects.get(app=app)
    assert (record.state, record.exit_code, record.node, record.node_name) == ("exited", 0, None, node.name)


def test_what_was_lost_with_a_node_that_is_removed_keeps_its_record(
    access: Access, world: World, agents: MakeAgents
) -> None:
    access.user.is_staff = True
    first, second = agents(2)
    app, _operation = deploy(access, EVERYWHERE)
    world.run(5)
    first.silence = 0.1
    world.run(14)
    remove_node(access, Node.objects.get(pk=first.node))
    world.run(5)
    assert nodes_of(app) == {second.node: 1}
    lost = Container.objects.get(app=app, node=None)
    assert (lost.state, lost.removed_at is not None, lost.node_name) == ("lost", True, "node-1")
