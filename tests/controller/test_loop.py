"""The whole loop over the real database, with a fake wire and a fake clock."""

from __future__ import annotations

from collections import Counter

import pytest

from console.accounts.access import Access
from console.cluster.models import Job, Node
from console.common.models import Event
from console.workloads import services
from console.workloads.enums import AppState
from console.workloads.models import App, Container, Operation, Release, Rollout, Slot, Volume
from console.workloads.operations import progress_of
from console.workloads.summaries import summary
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World

DEMO = "services:\n  web:\n    image: berth/demo\n    deploy: {replicas: %d}\n"


def deploy(access: Access, compose: str, name: str = "shop") -> tuple[App, Operation]:
    operation = services.create_app(access, name=name, compose=compose)
    return App.objects.get(pk=operation.app_id), operation


def state_of(operation: Operation) -> str:
    operation.refresh_from_db()
    return operation.state


def live(app: App) -> list[Container]:
    return list(Container.objects.filter(app=app, state="running"))


def test_six_replicas_run_two_on_each_of_three_nodes(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(3)
    app, operation = deploy(access, DEMO % 6)
    world.run(5)
    assert sorted(Counter(container.node_name for container in live(app)).values()) == [2, 2, 2]
    assert state_of(operation) == "succeeded"
    assert progress_of(operation) == {"done": 6, "wanted": 6}
    assert Rollout.objects.get(app=app).state == "succeeded"
    assert summary(app).state is AppState.RUNNING


def test_what_is_deployed_before_a_node_is_there_runs_once_it_comes(
    access: Access, world: World, agents: MakeAgents
) -> None:
    app, _operation = deploy(access, DEMO % 1)
    world.run(2)
    agents(1)
    world.run(3)
    assert len(live(app)) == 1


def test_scaling_down_stops_the_highest_and_up_again_goes_on_from_its_generation(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    web = app.services.get()
    services.scale(access, web, replicas=1)
    world.run(5)
    assert [str(container.slot) for container in live(app)] == ["web.1"]
    operation = services.scale(access, web, replicas=2)
    world.run(5)
    assert state_of(operation) == "succeeded"
    assert Slot.objects.get(service=web, index=2).generation == 2


def test_a_new_release_replaces_what_changed_and_keeps_what_did_not(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    compose = "services:\n  web:\n    image: berth/demo\n  db:\n    image: berth/demo\n"
    app, _operation = deploy(access, compose)
    world.run(5)
    database = Container.objects.get(app=app, slot__service__name="db", state="running")
    operation = services.create_release(
        access, app, compose=compose.replace("  db:", "    environment: {A: b}\n  db:")
    )
    world.run(10)
    assert state_of(operation) == "succeeded"
    assert Container.objects.get(app=app, slot__service__name="db", state="running").pk == database.pk
    web = Container.objects.get(app=app, slot__service__name="web", state="running")
    assert (web.generation, web.release.number) == (2, 2)


def test_rolling_back_is_a_new_release_with_the_old_content(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    first = live(app)[0].digest
    services.create_release(access, app, compose=(DEMO % 1) + "    environment: {A: b}\n")
    world.run(10)
    operation = services.roll_back(access, app, to=Release.objects.get(app=app, number=1))
    world.run(10)
    assert state_of(operation) == "succeeded"
    assert [(container.digest, container.release.number) for container in live(app)] == [(first, 3)]


def test_deleting_leaves_nothing_on_the_node_and_frees_the_name_at_once(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    operation = services.delete_app(access, app, delete_volumes=False)
    again, _other = deploy(access, DEMO % 1)
    world.run(10)
    assert not App.objects.filter(pk=app.pk).exists()
    assert state_of(operation) == "succeeded"
    assert [one.identity.app for one in agent.containers.values()] == [again.id]


def test_deleting_while_the_node_is_away_is_finished_at_its_return(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    agent.silence = 0.1
    world.run(20)
    services.delete_app(access, app, delete_volumes=False)
    world.run(5)
    assert App.objects.get(pk=app.pk).deleting
    agent.connect()
    world.run(10)
    assert not App.objects.filter(pk=app.pk).exists()
    assert agent.containers == {}


def test_volumes_are_deleted_when_asked_for(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    compose = "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: {}}\n"
    app, _operation = deploy(access, compose)
    world.run(5)
    name = Volume.objects.get(app=app).engine_name
    services.delete_app(access, app, delete_volumes=True)
    world.run(10)
    assert not App.objects.filter(pk=app.pk).exists()
    asked = [job for _node, job in world.wire.sent if isinstance(job, protocol.Remove) and job.volumes]
    assert [job.volumes for job in asked] == [(name,)]


def test_lost_jobs_are_rung_again(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    world.wire.lose_jobs = True
    app, _operation = deploy(access, DEMO % 1)
    world.run(3)
    assert live(app) == []
    world.wire.lose_jobs = False
    world.run(10)
    assert len(live(app)) == 1


def test_a_wiped_redis_loses_nothing(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 3)
    world.run(1)
    world.wire.wipe()
    world.run(10)
    assert len(live(app)) == 3
    assert sorted(agent.starts) == ["shop/web.1", "shop/web.2", "shop/web.3"]


def test_a_restarted_controller_goes_on(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    app, _operation = deploy(access, DEMO % 3)
    world.restart_controller()
    world.run(5)
    assert len(live(app)) == 3


def test_a_dead_node_is_replaced_elsewhere_and_cleans_up_when_it_is_back(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, _second, _third = agents(3)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    first.silence = 0.1
    world.run(14)
    assert Node.objects.get(pk=first.node).state == "down"
    assert {container.node_id for container in live(app)} == world.wire.agents.keys() - {first.node}
    assert len(live(app)) == 3
    first.connect()
    world.run(5)
    assert first.containers == {}
    assert Node.objects.get(pk=first.node).state == "ready"


def test_the_only_node_keeps_its_containers_through_silence(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    before = live(app)
    agent.silence = 0.1
    world.run(30)
    agent.connect()
    world.run(5)
    assert live(app) == before
    assert len(agent.starts) == 1


def test_a_volume_bound_container_is_not_replaced_for_lack_of_contact(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(2)
    compose = "services:\n  db:\n    image: berth/demo\n    volumes: [data:/data]\nvolumes: {data: {}}\n"
    app, _operation = deploy(access, compose)
    world.run(5)
    [container] = live(app)
    world.wire.agents[container.node_id].silence = 0.1
    world.run(30)
    assert live(app) == [container]


def test_a_blind_console_replaces_nothing(access: Access, world: World, agents: MakeAgents) -> None:
    agents(2)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    before = live(app)
    world.wire.blind = True
    world.run(30)
    assert live(app) == before
    assert set(Node.objects.values_list("state", flat=True)) == {"ready"}


def test_an_image_that_nobody_knows_fails_the_release_and_leaves_nothing(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, operation = deploy(access, "services:\n  web:\n    image: nobody/knows:1\n")
    world.run(5)
    assert state_of(operation) == "failed"
    assert operation.error == "The registry does not know nobody/knows:1."
    assert summary(app).state is AppState.DEGRADED or summary(app).state is AppState.FAILED
    assert (agent.containers, Container.objects.count(), Slot.objects.count()) == ({}, 0, 0)


def test_an_image_of_a_registry_is_pinned_to_its_digest(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.registry["nginx:1"] = "nginx@sha256:" + "a" * 64
    app, _operation = deploy(access, "services:\n  web:\n    image: nginx:1\n")
    world.run(5)
    assert [container.image for container in live(app)] == ["nginx@sha256:" + "a" * 64]


def test_a_command_that_exits_at_once_fails_the_rollout_with_its_code(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    _app, operation = deploy(access, "services:\n  web:\n    image: berth/demo\n    restart: 'no'\n")
    world.run(1)
    key = next(iter(agent.containers))
    agent.end(*key, 3)
    world.run(5)
    assert state_of(operation) == "failed"
    assert "web.1 exited with code 3" in operation.error
    assert agent.containers == {}


def test_a_crash_loop_ends_in_a_failed_rollout_and_backs_off(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, operation = deploy(access, DEMO % 1)
    for _round in range(20):
        world.run(1)
        for key, seen in list(agent.containers.items()):
            if seen.state == "running":
                agent.change(key, restarts=seen.restarts + 3, exit_code=1)
    world.run(1)
    assert state_of(operation) == "failed"
    assert Slot.objects.get(service__app=app).failures >= 3
    assert len(agent.starts) < 8


POLICY = "services:\n  web:\n    image: berth/demo\n    deploy: {restart_policy: {%s}}\n"


def test_a_delay_is_waited_for_by_the_controller_and_not_left_to_the_engine(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, POLICY % "delay: 20s")
    world.run(5)
    [ensure] = [job for _node, job in world.wire.sent if isinstance(job, protocol.Ensure)]
    assert ensure.spec.restart == "no"
    for code in (0, 1):
        agent.end(*next(iter(agent.containers)), code)
        world.run(18)
        assert live(app) == []
        world.run(5)
        assert len(live(app)) == 1


def test_failures_before_a_container_that_stayed_up_for_the_window_are_forgotten(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, POLICY % "delay: 1s, window: 30s")
    for up, failures in ((5, 1), (10, 2), (40, 1), (10, 2)):
        world.run(up)
        agent.end(*next(iter(agent.containers)), 1)
        world.run(3)
        assert Slot.objects.get(service__app=app).failures == failures
        assert len(live(app)) == 1


def test_a_slot_whose_attempts_are_used_up_is_left_until_somebody_asks_again(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, POLICY % "condition: on-failure, delay: 1s, max_attempts: 2")
    world.run(5)
    for tries in range(3):
        assert len(live(app)) == 1, tries
        agent.end(*next(iter(agent.containers)), 1)
        world.run(6)
    world.run(60)
    assert live(app) == []
    assert Event.objects.filter(app_id=app.id, message__contains="was the last try").count() == 1
    services.restart(access, app)
    app.services.update(restart_at=world.now)
    world.run(5)
    assert len(live(app)) == 1


def test_a_failed_rollout_leaves_the_old_generation_serving(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    broken = protocol.Result(job="", ok=False, code="start", message="no such program", fatal=True)
    agent.broken["web"] = broken
    operation = services.create_release(access, app, compose=(DEMO % 3) + "    command: [nothing]\n")
    world.run(20)
    assert state_of(operation) == "failed"
    assert operation.error == "web.1 cannot start: no such program"
    assert sorted(container.release.number for container in live(app)) == [1, 1, 1]


def test_what_its_engine_keeps_restarting_is_not_well(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, operation = deploy(access, DEMO % 1)
    world.run(1)
    agent.change(next(iter(agent.containers)), state="restarting", restarts=1, exit_code=1, running_for=None)
    world.run(8)
    assert state_of(operation) == "running"
    assert (summary(app).well, Container.objects.get().health) == (0, "restarting")


def test_what_no_node_can_hold_now_waits_with_a_sentence_and_starts_when_there_is_room(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    compose = "services:\n  web:\n    image: berth/demo\n    mem_limit: 5g\n    deploy: {replicas: 2}\n"
    app, operation = deploy(access, compose)
    world.run(5)
    waiting = Slot.objects.exclude(pending="").get(service__app=app)
    assert waiting.pending.startswith("0 of 1 node fit")
    assert state_of(operation) == "running"
    services.scale(access, app.services.get(), replicas=1)
    world.run(5)
    assert not Slot.objects.filter(service__app=app, retired=False).exclude(pending="").exists()


def test_a_container_removed_behind_our_back_is_replaced(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    agent.vanish(next(iter(agent.containers)))
    world.run(5)
    assert [container.generation for container in live(app)] == [2]


def test_a_restart_replaces_each_container_once(access: Access, world: World, agents: MakeAgents) -> None:
    agents(1)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    operation = services.restart(access, app)
    app.services.update(restart_at=world.now)
    world.run(20)
    assert state_of(operation) == "succeeded"
    assert sorted(container.generation for container in live(app)) == [2, 2]


def test_an_older_session_changes_nothing(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    [key] = agent.containers
    agent.session -= 1
    agent.vanish(key)
    agent.session += 1
    world.run(1)
    assert len(live(app)) == 1


def test_stopping_and_starting_an_app(access: Access, world: World, agents: MakeAgents) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 2)
    world.run(5)
    stop = services.set_stopped(access, app, stopped=True)
    world.run(5)
    app.refresh_from_db()
    assert (state_of(stop), agent.containers, summary(app).state) == ("succeeded", {}, AppState.STOPPED)
    start = services.set_stopped(access, app, stopped=False)
    world.run(5)
    assert (state_of(start), len(live(app))) == ("succeeded", 2)


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_is_left_open_once_all_is_well(
    access: Access, world: World, agents: MakeAgents, count: int
) -> None:
    agents(count)
    deploy(access, DEMO % 4)
    world.run(10)
    sent = len(world.wire.sent)
    events = Event.objects.count()
    world.run(30)
    assert Job.objects.filter(done_at=None).count() == 0
    assert (len(world.wire.sent), Event.objects.count()) == (sent, events)


def test_an_engine_that_does_not_answer_is_looked_at_again_when_its_time_is_over(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    world.run(10)
    assert world.controller.idle == 1.0
    agent.engine_ok = False
    world.run(2, tick=1.0)
    assert (Node.objects.get().state, world.controller.idle) == ("suspect", 1.0)
    world.run(1.5, tick=1.5)
    assert (Node.objects.get().state, world.controller.idle) == ("suspect", 0.5)
    world.run(0.5)
    assert (Node.objects.get().state, world.controller.idle) == ("down", 1.0)


def test_slots_of_a_deleted_app_are_forgotten_by_its_nodes_in_their_next_sessions(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 2)
    other, _operation = deploy(access, DEMO % 1, name="other")
    world.run(5)
    gone = sorted(Slot.objects.filter(service__app=app).values_list("id", flat=True))
    kept = set(Slot.objects.filter(service__app=other).values_list("id", flat=True))
    services.scale(access, other.services.get(), replicas=0)
    services.delete_app(access, app, delete_volumes=False)
    world.run(10)
    assert set(agent.fence) == {*gone, *kept}
    agent.connect()
    world.run(2)
    [sync] = [job for _node, job in world.wire.sent if isinstance(job, protocol.Sync)][-1:]
    assert sync.forget == tuple(gone)
