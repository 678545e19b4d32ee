"""What stays with the record of a container: its code, its last lines, memory, and whether its log was kept."""

from __future__ import annotations

import pytest

from console.accounts.access import Access
from console.common.models import Event
from console.workloads.models import Container
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import FakeAgent, World
from tests.controller.test_loop import DEMO, deploy


@pytest.fixture
def agent(access: Access, world: World, agents: MakeAgents) -> FakeAgent:
    [made] = agents(1)
    deploy(access, DEMO % 1)
    world.run(5)
    return made


def _warnings() -> list[str]:
    return list(Event.objects.filter(kind="container", warning=True).values_list("message", flat=True))


def test_a_childs_end_for_lack_of_memory_is_told_each_time_and_the_container_runs_on(
    world: World, agent: FakeAgent
) -> None:
    [key] = agent.containers
    for count in (1, 1, 3, 0, 1):
        agent.change(key, oom_events=count)
        world.run(2)
    container = Container.objects.get()
    assert (container.state, container.oom, container.oom_events) == ("running", False, 1)
    text = f"A process in {container.name} was killed for lack of memory; the container runs on"
    assert _warnings() == [text] * 3


def test_an_end_for_lack_of_memory_is_told_once(world: World, agent: FakeAgent) -> None:
    [key] = agent.containers
    agent.change(
        key, state="exited", exit_code=137, oom=True, oom_events=1, running_for=None, last_lines=("bye",)
    )
    world.run(2)
    container = Container.objects.order_by("generation")[0]
    assert (container.exit_code, container.oom, container.last_lines) == (137, True, ["bye"])
    assert _warnings() == [f"{container.name} failed with code 137 (out of memory)"]


@pytest.mark.parametrize("removed", [False, True], ids=["before its removal", "after it"])
def test_a_log_that_was_not_kept_is_told_and_stays_with_the_record(
    world: World, agent: FakeAgent, removed: bool
) -> None:
    [(slot, generation)] = agent.containers
    if removed:
        Container.objects.update(removed_at=world.now, state="exited")
    reason = "the disk is full\0"
    agent.wire.push(agent, protocol.LogNotKept(slot=slot, generation=generation, reason=reason))
    agent.wire.push(agent, protocol.LogNotKept(slot="no-such-slot", generation=1, reason=reason))
    world.run(1)
    container = Container.objects.get(slot=slot, generation=generation)
    assert container.log_lost == "the disk is full\ufffd"
    assert _warnings() == [f"The log of {container.name} was not kept: the disk is full\ufffd"]
