"""Free disk, as nodes tell it: where hardly any is left nothing new goes, and what runs there stays."""

from __future__ import annotations

from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.cluster.models import Node
from console.common.models import Event
from console.workloads.models import Slot, Volume
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import DEMO, deploy, live

GIB = 2**30
WITH_VOLUME = "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: }\n"
EVERYWHERE = "services:\n  each:\n    image: berth/demo\n    deploy: {mode: global}\n"


def disk(free: float, total: float = 100) -> protocol.Disk:
    return protocol.Disk(total=int(total * GIB), free=int(free * GIB))


def told() -> list[str]:
    return list(Event.objects.filter(kind="node.disk").order_by("id").values_list("message", flat=True))


def test_nothing_new_goes_where_hardly_any_disk_is_free(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    each, _operation = deploy(access, EVERYWHERE, name="each")
    world.run(5)
    first.filesystem, second.filesystem = disk(1.5), disk(40)
    world.run(1)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    assert {one.node_id for one in live(app)} == {second.node}
    # What runs there stays.
    assert {one.node_id for one in live(each)} == {first.node, second.node}
    assert told() == ["Node node-1: 1.5 GiB of 100 GiB are free on its disk: nothing new is placed there"]


def test_what_waits_for_disk_says_so_and_goes_on_once_there_is_enough(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.filesystem = disk(0.4, 5)
    world.run(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(3)
    slot = Slot.objects.get(service__app=app)
    assert slot.pending == "0 of 1 node fits: 1 has hardly any disk free"
    assert slot.explanation is not None
    assert "Free disk on node-1" in slot.explanation.remedies
    # A little more than the limit, which is a tenth of a small disk, is not enough yet.
    agent.filesystem = disk(0.55, 5)
    world.run(3)
    assert live(app) == []
    agent.filesystem = disk(0.7, 5)
    world.run(3)
    assert len(live(app)) == 1
    assert told()[1:] == ["Node node-1: 716.7 MiB of 5 GiB are free on its disk again"]


def test_what_has_its_data_there_goes_there_all_the_same(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent, *_others] = agents(2)
    app, _operation = deploy(access, WITH_VOLUME)
    world.run(5)
    home = Volume.objects.get(app=app).node_id
    agent = next(one for one in world.wire.agents.values() if one.node == home)
    agent.filesystem = disk(0.1)
    world.run(1)
    [container] = live(app)
    agent.end(container.slot_id, container.generation, 1)
    world.run(20)
    assert [(one.node_id, one.generation) for one in live(app)] == [(home, 2)]


def test_an_operator_may_let_it_not_count(
    access: Access, world: World, agents: MakeAgents, settings: Settings
) -> None:
    [agent] = agents(1)
    agent.filesystem = disk(0.1)
    world.run(1)
    assert Node.objects.get().disk_low
    settings.DISK_LOW_MIB = 0
    world.run(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    assert len(live(app)) == 1


def test_it_is_written_when_it_changed_by_a_hundredth(world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    for free, seen in ((50, 50), (49.5, 50), (49, 49), (30, 30)):
        agent.filesystem = disk(free)
        world.run(1)
        node = Node.objects.get()
        assert (node.disk_total, node.disk_free) == (100 * GIB, seen * GIB)
    agent.filesystem = None
    world.run(1)
    assert Node.objects.get().disk_free == 30 * GIB
