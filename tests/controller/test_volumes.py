"""Volumes that people delete, and those that outlive their apps."""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.cluster.models import Node
from console.common.errors import Conflict
from console.common.models import Event
from console.workloads import services
from console.workloads.models import App, Container, Operation, Volume
from console.workloads.volumes import delete_volume, find_volume, volumes_of, volumes_of_app
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import deploy, live, state_of

DATA = "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: {}}\n"
NONE = "services:\n  db:\n    image: berth/demo\n"


def stop(world: World, access: Access, app: App) -> None:
    services.set_stopped(access, app, stopped=True)
    world.run(6)


def removals(world: World) -> list[tuple[str, ...]]:
    return [job.volumes for _node, job in world.wire.sent if isinstance(job, protocol.Remove) and job.volumes]


def test_a_volume_in_use_or_wanted_is_not_deleted(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    app, _operation = deploy(access, DATA)
    world.run(5)
    [found] = volumes_of_app(access, app)
    assert (found.volume.app_name, found.services, found.containers) == ("shop", ["db"], ["shop/db.1"])
    with pytest.raises(Conflict, match=r"shop/db\.1 still has it") as refused:
        delete_volume(access, found.volume)
    assert refused.value.code == "volume_in_use"
    db = app.services.get()
    services.set_stopped(access, app, db, stopped=True)
    world.run(6)
    with pytest.raises(Conflict, match="release mounts it") as refused:
        delete_volume(access, found.volume)
    assert (refused.value.code, refused.value.data["services"]) == ("volume_wanted", ["db"])
    assert removals(world) == []


def test_a_stopped_apps_volume_is_deleted_and_made_anew_at_its_start(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, DATA)
    world.run(5)
    stop(world, access, app)
    volume = Volume.objects.get()
    operation = delete_volume(access, volume)
    assert delete_volume(access, volume).pk == operation.pk
    world.run(3)
    assert removals(world) == [(volume.engine_name,)]
    assert (state_of(operation), Volume.objects.count()) == ("succeeded", 0)
    kinds = list(Event.objects.filter(kind__startswith="volume").order_by("id").values_list("kind", "actor"))
    assert kinds == [("volume.delete", access.actor), ("volume.deleted", "controller")]
    services.set_stopped(access, app, stopped=False)
    world.run(6)
    assert len(live(app)) == 1
    assert Volume.objects.get().pk != volume.pk


def test_a_volume_that_no_release_mounts_any_more_is_deleted_while_the_app_runs(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, DATA)
    world.run(5)
    services.create_release(access, app, compose=NONE)
    world.run(20)
    operation = delete_volume(access, Volume.objects.get())
    world.run(3)
    assert (state_of(operation), Volume.objects.count(), len(live(app))) == ("succeeded", 0, 1)


def test_a_kept_volume_outlives_its_app_and_can_be_deleted(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DATA)
    world.run(5)
    engine_name = Volume.objects.get().engine_name
    services.delete_app(access, app, delete_volumes=False)
    world.run(10)
    assert not App.objects.exists()
    [kept] = volumes_of(access)
    assert (kept.kept, kept.volume.engine_name, kept.volume.node_id, kept.why_not) == (
        True,
        engine_name,
        agent.node,
        "",
    )
    assert kept.volume.kept_at is not None
    assert Event.objects.get(kind="volume.kept").message == "Kept of shop: data on node-1"
    again, _operation = deploy(access, DATA)
    world.run(5)
    assert [each.engine_name for each in Volume.objects.filter(app=again)] != [engine_name]
    operation = delete_volume(access, kept.volume)
    world.run(3)
    assert removals(world) == [(engine_name,)]
    assert (state_of(operation), Volume.objects.count()) == ("succeeded", 1)


def test_a_deletion_waits_for_its_node_to_come_back(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DATA)
    world.run(5)
    stop(world, access, app)
    agent.silence = 0.5
    operation = delete_volume(access, Volume.objects.get())
    world.run(12)
    assert (state_of(operation), Volume.objects.count()) == ("running", 1)
    agent.connect()
    world.run(5)
    assert (state_of(operation), Volume.objects.count()) == ("succeeded", 0)


def test_an_app_that_starts_first_calls_the_deletion_off(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """The engine says that the volume is in use, and it is wanted after all."""
    [agent] = agents(1)
    app, _operation = deploy(access, DATA)
    world.run(5)
    stop(world, access, app)
    agent.in_use = {Volume.objects.get().engine_name}
    operation = delete_volume(access, Volume.objects.get())
    services.set_stopped(access, app, stopped=False)
    world.run(6)
    assert state_of(operation) == "failed"
    assert Volume.objects.get().deleting is False
    assert Event.objects.filter(kind="volume.kept", warning=True).count() == 1
    assert len(live(app)) == 1


def test_a_volume_that_is_deleted_under_a_starting_app_stays_bound(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, DATA)
    world.run(5)
    stop(world, access, app)
    operation = delete_volume(access, Volume.objects.get())
    services.set_stopped(access, app, stopped=False)
    world.run(6)
    assert state_of(operation) == "succeeded"
    volume, container = Volume.objects.get(), Container.objects.get(removed_at=None)
    assert (volume.deleting, volume.node_id) == (False, container.node_id)


def test_a_dead_nodes_volume_can_only_be_forgotten(access: Access, world: World, agents: MakeAgents) -> None:
    first, _second = agents(2)
    app, _operation = deploy(access, DATA)
    world.run(5)
    holder = next(agent for agent in world.wire.agents.values() if agent.containers)
    volume = Volume.objects.get()
    access.user.is_staff = True
    with pytest.raises(Conflict, match="Its node answers"):
        delete_volume(access, volume, forget=True)
    services.delete_app(access, app, delete_volumes=False)
    world.run(10)
    holder.silence = 0.5
    world.run(12)
    assert Node.objects.get(pk=holder.node).state == "down"
    assert find_volume(access, volume.pk).lost
    operation = delete_volume(access, volume, forget=True)
    world.run(2)
    assert (state_of(operation), Volume.objects.count(), removals(world)) == ("succeeded", 0, [])
    del first


def test_what_nodes_measure_is_taken_in_for_their_own_volumes(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    deploy(access, DATA)
    world.run(5)
    volume = Volume.objects.get()
    here, there = (first, second) if volume.node_id == first.node else (second, first)

    def tell(agent: object, size: int) -> None:
        facts = (
            protocol.VolumeFact(name=volume.engine_name, bytes=size),
            protocol.VolumeFact(name="berth-x-y", bytes=1),
        )
        world.wire.push(agent, protocol.Volumes(volumes=facts))  # type: ignore[arg-type]
        world.run(0.5)
        volume.refresh_from_db()

    tell(there, 5)
    assert [volume.bytes] == [None]
    tell(here, 4096)
    assert [volume.bytes, volume.measured_at] == [4096, world.now]
    tell(here, 2**63)
    assert [volume.bytes] == [2**62]
    assert Operation.objects.filter(state="failed").count() == 0
