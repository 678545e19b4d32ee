"""Rolling updates by update_config: order, parallelism, pause, rollback."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings

from console.accounts.access import Access
from console.common.models import Event
from console.workloads import rollouts, services
from console.workloads.models import App, Container, Operation, Release, Rollout, Slot
from nodeagent import protocol
from scheduler import rehearsal
from scheduler.model import AppView, Plan
from scheduler.reconcile import reconcile
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import deploy, live, state_of

pytestmark = pytest.mark.thorough

WEB = "services:\n  web:\n    image: berth/demo\n    deploy: {replicas: %d, update_config: {%s}}\n"
CHANGED = "    environment: {A: b}\n"
BROKEN = protocol.Result(job="", ok=False, code="start", message="no such program", fatal=True)


def running_in_each_step(world: World, app: App, seconds: float) -> list[int]:
    """How many containers ran after each step."""
    seen = []
    for _step in range(int(seconds / 0.5)):
        world.run(0.5)
        seen.append(len(live(app)))
    return seen


def test_start_first_never_has_less_than_wanted(access: Access, world: World, agents: MakeAgents) -> None:
    agents(2)
    compose = WEB % (2, "order: start-first")
    app, _operation = deploy(access, compose)
    world.run(5)
    operation = services.create_release(access, app, compose=compose + CHANGED)
    seen = running_in_each_step(world, app, 15)
    assert state_of(operation) == "succeeded"
    assert (min(seen), max(seen)) == (2, 3)
    assert sorted((one.release.number, one.generation) for one in live(app)) == [(2, 2), (2, 2)]


def test_the_loop_wakes_when_a_container_has_been_up_for_long_enough(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """Nobody reports that: waiting for a report, or for the second to be over, would hold up who comes next. An end
    that comes to be known a little late is waited for."""
    agents(1)
    deploy(access, WEB % (1, "monitor: 1300ms"))
    idle = []
    for _step in range(12):
        world.run(0.25, tick=0.25)
        idle.append(round(world.controller.idle, 2))
    assert idle[0] == 1.0
    waits = [each for each in idle if each < 1.0]
    assert 0.5 <= min(waits) <= 0.75
    assert waits == sorted(waits, reverse=True)
    assert idle[-1] == 1.0


def test_what_an_earlier_generation_reports_counts_nothing_against_the_slot(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    compose = WEB % (1, "order: start-first, monitor: 60s")
    app, _operation = deploy(access, compose)
    world.run(70)
    services.create_release(access, app, compose=compose + CHANGED)
    world.run(5)
    assert sorted(generation for _slot, generation in agent.containers) == [1, 2]
    [slot] = Slot.objects.filter(service__app=app)
    agent.end(slot.id, 1, 3)
    world.run(5)
    slot.refresh_from_db()
    assert (slot.failures, slot.generation) == (0, 2)
    assert [one.generation for one in live(app)] == [2]


def test_a_session_that_begins_while_two_generations_run_keeps_both(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    compose = WEB % (1, "order: start-first, monitor: 60s")
    app, _operation = deploy(access, compose)
    world.run(70)
    services.create_release(access, app, compose=compose + CHANGED)
    world.run(5)
    agent.connect()
    world.run(5)
    assert sorted(generation for _slot, generation in agent.containers) == [1, 2]


def test_as_many_at_once_as_parallelism_allows(access: Access, world: World, agents: MakeAgents) -> None:
    agents(2)
    compose = WEB % (4, "order: stop-first, parallelism: 2")
    app, _operation = deploy(access, compose)
    world.run(5)
    operation = services.create_release(access, app, compose=compose + CHANGED)
    seen = running_in_each_step(world, app, 20)
    assert (min(seen), state_of(operation)) == (2, "succeeded")


def test_between_batches_it_waits_for_the_delay(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    compose = WEB % (2, "delay: 20s")
    app, _operation = deploy(access, compose)
    world.run(30)
    operation = services.create_release(access, app, compose=compose + CHANGED)
    world.run(15)
    assert sorted(one.release.number for one in live(app)) == [1, 2]
    world.run(40)
    assert sorted(one.release.number for one in live(app)) == [2, 2]
    assert state_of(operation) == "succeeded"


def test_a_failed_update_goes_back_by_itself_when_asked_to(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    compose = WEB % (2, "failure_action: rollback")
    app, _operation = deploy(access, compose)
    world.run(5)
    first = live(app)[0].digest
    agent.broken["web"] = BROKEN
    operation = services.create_release(access, app, compose=compose + CHANGED)
    world.run(1)
    agent.broken.clear()
    world.run(15)
    failed, back = Rollout.objects.filter(app=app, release__number__gte=2).order_by("started_at")
    assert (failed.state, back.state, back.rollback) == ("rolled_back", "succeeded", True)
    assert (back.release.number, back.release.rolled_back_from) == (3, 1)
    assert back.release.digests == Release.objects.get(app=app, number=1).digests
    assert state_of(operation) == "failed"
    assert "rolled back to release 1" in operation.error
    assert back.operation is not None
    assert (back.operation.kind, back.operation.state) == ("rollback", "succeeded")
    assert [one.digest for one in live(app)] == [first, first]
    assert Event.objects.filter(app_id=app.id, message__contains="rolled back to release 1").exists()


def test_without_an_earlier_release_that_went_well_a_failed_update_just_fails(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.broken["web"] = BROKEN
    app, operation = deploy(access, WEB % (1, "failure_action: rollback"))
    world.run(15)
    assert state_of(operation) == "failed"
    assert [one.state for one in Rollout.objects.filter(app=app)] == ["failed"]
    assert Release.objects.filter(app=app).count() == 1


def test_a_rollback_that_fails_ends_there(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    compose = WEB % (1, "order: stop-first, failure_action: rollback")
    app, _operation = deploy(access, compose)
    world.run(5)
    agent.broken["web"] = BROKEN
    services.create_release(access, app, compose=compose + CHANGED)
    world.run(60)
    assert sorted(one.state for one in Rollout.objects.filter(app=app, release__number__gte=2)) == [
        "failed",
        "rolled_back",
    ]
    assert Release.objects.filter(app=app).count() == 3


def test_a_paused_rollout_replaces_nothing_and_its_deadline_stands_still(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    compose = WEB % (3, "delay: 5s")
    app, _operation = deploy(access, compose)
    world.run(20)
    operation = services.create_release(access, app, compose=compose + CHANGED)
    world.run(2)
    rollouts.pause_rollout(access, app)
    Rollout.objects.filter(app=app, state="paused").update(paused_at=world.now)
    world.run(5)
    there = sorted(one.release.number for one in live(app))
    assert 1 in there
    world.run(60)
    Rollout.objects.filter(app=app, state="paused").update(deadline=world.now - timedelta(seconds=1))
    world.run(5)
    assert sorted(one.release.number for one in live(app)) == there
    assert state_of(operation) == "running"
    Rollout.objects.filter(app=app, state="paused").update(deadline=world.now + timedelta(seconds=300))
    rollouts.resume_rollout(access, app)
    world.run(60)
    assert sorted(one.release.number for one in live(app)) == [2, 2, 2]
    assert state_of(operation) == "succeeded"


def test_when_it_became_healthy_is_kept_while_it_is(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    agent.health["web"] = "starting"
    compose = "services:\n  web:\n    image: berth/demo\n    healthcheck: {test: [CMD, 'true']}\n"
    app, _operation = deploy(access, compose)
    world.run(5)
    [key] = agent.containers
    assert Container.objects.get(app=app).healthy_at is None
    agent.change(key, health="healthy")
    world.run(0.5)
    since = world.now
    agent.change(key, health="healthy", restarts=1)
    world.run(3)
    assert Container.objects.get(app=app).healthy_at == since
    agent.change(key, health="unhealthy")
    world.run(1)
    assert Container.objects.get(app=app).healthy_at is None


def test_a_superseded_rollout_is_told_by_its_operation(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    compose = WEB % (1, "failure_action: rollback")
    app, operation = deploy(access, compose)
    world.run(5)
    agent.holding = True
    second = services.create_release(access, app, compose=compose + CHANGED)
    world.run(2)
    third = rollouts.cancel_rollout(access, app)
    agent.let_go()
    world.run(10)
    assert [Operation.objects.get(pk=one.pk).state for one in (operation, second, third)] == [
        "succeeded",
        "superseded",
        "succeeded",
    ]


@override_settings(ROLLOUT_DEADLINE=10)
def test_a_scale_for_which_there_is_no_room_fails_when_its_time_is_up(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, "services:\n  web:\n    image: berth/demo\n    mem_limit: 6g\n")
    world.run(5)
    began = services.scale(access, app.services.get(), replicas=2).pk
    # Services take the machine's clock, and the world has one of its own.
    Operation.objects.filter(pk=began).update(created_at=world.now)
    world.run(9)
    assert Operation.objects.get(pk=began).state == "running"
    world.run(2)
    operation = Operation.objects.get(pk=began)
    assert (operation.state, operation.error) == (
        "failed",
        "web.2 waits: 0 of 1 node fits: 1 lacks memory (free 2 GiB, asked 6 GiB) when its time was up",
    )


@override_settings(ROLLOUT_DEADLINE=10)
def test_a_restart_whose_time_is_up_leaves_the_rest(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, WEB % (3, ""))
    world.run(5)
    agent.holding = True
    first, second = services.restart(access, app), services.restart(access, app)
    # Services take the machine's clock, and the world has one of its own.
    app.services.update(restart_at=world.now)
    Operation.objects.filter(pk=first.pk).update(created_at=world.now - timedelta(seconds=1))
    Operation.objects.filter(pk=second.pk).update(created_at=world.now)
    world.run(9.5)
    assert (state_of(first), state_of(second)) == ("failed", "running")
    assert app.services.get().restart_at is not None, "it was asked to again since"
    world.run(2)
    assert (state_of(second), app.services.get().restart_at) == ("failed", None)
    agent.let_go()
    world.run(20)
    generations = sorted(container.generation for container in live(app))
    assert (len(generations), generations[0]) == (3, 1)


def test_a_pause_that_comes_while_a_step_is_under_way_holds(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents(1)
    app, operation = deploy(access, WEB % (1, ""))
    world.run(1)

    def pausing(view: AppView, now: float) -> Plan:
        plan = reconcile(view, now)
        if plan.rollout is not None:
            Rollout.objects.update(state="paused")
        return plan

    monkeypatch.setattr(rehearsal, "reconcile", pausing)
    world.run(10)
    assert (Rollout.objects.get(app=app).state, state_of(operation)) == ("paused", "running")
