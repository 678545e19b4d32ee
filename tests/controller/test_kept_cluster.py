"""The cluster that the controller keeps between steps is, after any history, the one that the database tells."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from console.accounts.access import Access
from console.cluster.models import Node
from console.cluster.services import set_draining
from console.common.errors import BerthError
from console.controller import load
from console.controller.requests import Releases
from console.workloads import services
from console.workloads.models import App, Release
from nodeagent import protocol
from scheduler.placement import Cluster
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import DEMO, deploy, live

pytestmark = pytest.mark.thorough

COMPOSES = (
    DEMO % 5,
    "services:\n  web:\n    image: berth/demo\n    ports: ['80', '8080:80']\n    deploy: {replicas: 2}\n",
    "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: {}}\n",
    "services:\n  agent:\n    image: berth/demo\n    deploy: {mode: global}\n",
    "services:\n  web:\n    image: berth/demo\n    mem_limit: 3g\n    x-berth: {priority: 9}\n"
    "    deploy: {replicas: 3, update_config: {order: start-first, failure_action: rollback}}\n",
    "services:\n  ml:\n    image: berth/demo\n    x-berth: {disk: 10g}\n    deploy:\n      replicas: 3\n"
    "      resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]}}\n",
    "services:\n  once:\n    image: berth/demo\n    deploy: {mode: replicated-job, replicas: 2}\n",
)
PORT_TAKEN = protocol.Result(
    job="", ok=False, code="port-taken", message="port 8080 is already in use", fatal=True
)
RESOURCES = ["cpu_free", "memory_free", "pids_free", "disk_free", "load", "unready"]


def told(cluster: Cluster) -> dict[str, object]:
    """Everything that placement goes by. What is held for slots that wait for room is not in the database."""
    cluster = cluster.copy()
    for node in cluster.nodes:
        for each in cluster.on(node.id):
            if each.container.startswith("claim "):
                cluster.free(each.container)
    columns = cluster.columns
    held = [each for node in cluster.nodes for each in cluster.on(node.id)]
    return {
        "nodes": cluster.nodes,
        "held": {each.container: each for each in held},
        "amounts": {name: getattr(columns, name).tolist() for name in RESOURCES},
        "services": {
            key: columns.service(*key).rows
            for key in {(one.request.app, one.request.service) for one in held}
        },
        "room": {kind: column.tolist() for kind, column in columns.ports.room.items()},
        "units": {kind: units.free.tolist() for kind, units in columns.units.items()},
        "volumes": columns.volumes,
        "teams": {team: used for team, used in columns.teams.items() if used[0]},
    }


def assert_kept(world: World) -> None:
    assert told(world.controller.live.cluster) == told(load.read_cluster(world.now, Releases()))


@dataclass
class Story:
    """Things that happen, chosen by a seeded generator."""

    access: Access
    world: World
    agents: list[FakeAgent]
    random: random.Random
    happened: list[str] = field(default_factory=list)
    made: int = 0

    def happen(self) -> None:
        acts = [self.deploy, self.deploy, self.scale, self.scale, self.release, self.stop, self.delete]
        acts += [self.end, self.end, self.vanish, self.silence, self.connect, self.hold, self.let_go]
        acts += [self.change_node, self.drain, self.lose, self.take_port, self.spoil]
        act: Callable[[], None] = self.random.choice(acts)
        self.happened.append(act.__name__)
        act()

    def app(self) -> App | None:
        apps = list(App.objects.filter(deleting=False).order_by("name"))
        return self.random.choice(apps) if apps else None

    def agent(self) -> FakeAgent:
        return self.random.choice(self.agents)

    def deploy(self) -> None:
        self.made += 1
        deploy(self.access, self.random.choice(COMPOSES), name=f"app-{self.made}")

    def scale(self) -> None:
        if app := self.app():
            service = self.random.choice(list(app.services.order_by("name")))
            try:
                services.scale(self.access, service, replicas=self.random.randint(0, 6))
            except BerthError:
                """It is a global service."""

    def release(self) -> None:
        if app := self.app():
            services.create_release(self.access, app, compose=self.random.choice(COMPOSES))

    def stop(self) -> None:
        if app := self.app():
            services.set_stopped(self.access, app, stopped=not app.stopped)

    def delete(self) -> None:
        if app := self.app():
            services.delete_app(self.access, app, delete_volumes=self.random.random() < 0.5)

    def _running(self) -> tuple[FakeAgent, tuple[str, int]] | None:
        found = [
            (agent, key)
            for agent in self.agents
            if agent.linked
            for key, one in agent.containers.items()
            if one.state == "running"
        ]
        return self.random.choice(found) if found else None

    def end(self) -> None:
        if found := self._running():
            agent, (slot, generation) = found
            agent.end(slot, generation, self.random.choice([0, 1]))

    def vanish(self) -> None:
        if found := self._running():
            found[0].vanish(found[1])

    def silence(self) -> None:
        self.agent().silence = 0.1

    def connect(self) -> None:
        agent = self.agent()
        agent.cpu = self.random.choice([4000, 4000, 8000])
        agent.resources = self.random.choice([{"gpu": 2}, {"gpu": 2}, {}])
        agent.connect()

    def hold(self) -> None:
        self.agent().holding = True

    def let_go(self) -> None:
        for agent in self.agents:
            agent.let_go()

    def change_node(self) -> None:
        fields: dict[str, str | bool] = self.random.choice(
            [{"zone": "a"}, {"zone": ""}, {"cordoned": True}, {"cordoned": False}]
        )
        Node.objects.filter(pk=self.agent().node).update(**fields)

    def drain(self) -> None:
        node = Node.objects.get(pk=self.agent().node)
        set_draining(self.access, node, draining=not node.draining)

    def lose(self) -> None:
        self.world.wire.lose_jobs = not self.world.wire.lose_jobs

    def take_port(self) -> None:
        agent = self.agent()
        agent.broken = {} if agent.broken else {"web": PORT_TAKEN}

    def spoil(self) -> None:
        """A release that cannot be read, for a while: its app's part of the step is undone."""
        releases = list(Release.objects.filter(app__deleting=False).order_by("app", "number"))
        if releases:
            release = self.random.choice(releases)
            Release.objects.filter(pk=release.pk).update(digests={})
            self.world.run(1)
            Release.objects.filter(pk=release.pk).update(digests=release.digests)


@pytest.mark.parametrize("seed", range(8))
def test_after_any_history(access: Access, world: World, agents: MakeAgents, seed: int) -> None:
    made = agents(4)
    access.user.is_staff = True
    for agent in made:
        agent.resources, agent.disk = {"gpu": 2}, 100 << 30
        agent.connect()
    story = Story(access, world, made, random.Random(seed))
    for _act in range(40):
        story.happen()
        world.run(story.random.choice([0.5, 0.5, 1, 3]))
        assert_kept(world)
    assert len(set(story.happened)) > 10


@pytest.mark.parametrize("delete_volumes", [False, True])
def test_volumes_that_are_gone_are_bound_no_more(
    access: Access, world: World, agents: MakeAgents, delete_volumes: bool
) -> None:
    """While the node of one of them holds its jobs back, that one is still there."""
    made = agents(2)
    service = "  %s:\n    image: berth/demo\n    volumes: ['%s:/data']\n    mem_limit: 5g\n"
    services_text = service % ("db", "rows") + service % ("web", "files")
    compose = f"services:\n{services_text}volumes: {{rows: {{}}, files: {{}}}}\n"
    app, _operation = deploy(access, compose)
    world.run(5)
    assert len(world.controller.live.cluster.columns.volumes) == 2
    services.delete_app(access, app, delete_volumes=delete_volumes)
    while made[0].containers or made[1].containers:
        world.run(0.5)
        assert_kept(world)
    made[0].holding = True
    for _second in range(5):
        world.run(1)
        assert_kept(world)
    assert len(world.controller.live.cluster.columns.volumes) == delete_volumes
    made[0].let_go()
    world.run(10)
    assert not App.objects.exists()
    assert world.controller.live.cluster.columns.volumes == {}
    assert_kept(world)


def test_what_has_to_make_room_is_leaving(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    compose = "services:\n  web:\n    image: berth/demo\n    mem_limit: 6g\n    x-berth: {priority: %d}\n"
    low, _operation = deploy(access, compose % 0, name="low")
    world.run(5)
    agent.holding = True
    deploy(access, compose % 5, name="high")
    world.run(2)
    assert [one.leaving for one in world.controller.live.cluster.on(agent.node)] == [True, False]
    assert_kept(world)
    agent.let_go()
    world.run(10)
    assert live(low) == []
    assert_kept(world)


def test_ports_that_were_found_taken_are_given_out_again_after_a_while(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.broken["web"] = PORT_TAKEN
    compose = "services:\n  web:\n    image: berth/demo\n    ports: ['80']\n"
    first, _operation = deploy(access, compose, name="first")
    second, _operation = deploy(access, compose, name="second")
    world.run(2)
    assert_kept(world)
    assert world.controller.live.cluster.on(agent.node) != ()
    services.delete_app(access, first, delete_volumes=False)
    services.set_stopped(access, second, stopped=True)
    world.run(5)
    assert_kept(world)
    world.run(150, tick=5)
    assert world.controller.live.cluster.on(agent.node) == ()
    assert_kept(world)


def test_a_part_that_fails_leaves_nothing_of_itself(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its containers were decided, and then undone with its savepoint."""
    agents(2)
    good, _operation = deploy(access, DEMO % 2, name="good")
    world.run(5)
    from console.controller import jobs

    whole = jobs.for_containers

    def fails(step: object, containers: list[object]) -> None:
        if len(containers) == 3:
            raise RuntimeError("a fault")
        whole(step, containers)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "for_containers", fails)
    bad, _operation = deploy(access, DEMO % 3, name="bad")
    world.run(1)
    assert (len(live(good)), len(live(bad))) == (2, 0)
    assert_kept(world)
    monkeypatch.undo()
    world.run(15)
    assert len(live(bad)) == 3
    assert_kept(world)


def test_a_step_that_fails_is_forgotten(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents(2)
    app, _operation = deploy(access, DEMO % 2)
    from console.controller import send

    def fails(_step: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(send, "collect", fails)
    with pytest.raises(RuntimeError, match="a fault"):
        world.run(0.5)
    world.controller.rebuild()
    monkeypatch.undo()
    world.run(5)
    assert len(live(app)) == 2
    assert_kept(world)


def test_steps_in_which_nothing_changes_read_no_containers_for_the_cluster(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents(2)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    reads: Counter[str] = Counter()
    whole = load.held

    def counted(*arguments: object) -> object:
        reads["held"] += 1
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(load, "held", counted)
    services.scale(access, app.services.get(), replicas=5)
    world.run(10)
    assert (len(live(app)), reads["held"]) == (5, 0)
    world.controller.rebuild()
    world.run(1)
    assert reads["held"] == 1
