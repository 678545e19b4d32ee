"""What a step looks at, and how much of it: apps in batches, reports in halves, deadlines that follow progress."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.accounts.access import Access
from console.cluster.models import Node
from console.cluster.services import remove_node, set_draining
from console.common.models import Dirty, Event
from console.controller import intake, loop, rows, work
from console.controller.resolve import digests
from console.workloads import compose, services
from console.workloads.models import App, Container, Explanation, Rollout, Slot
from nodeagent import protocol
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import World
from tests.controller.test_loop import DEMO, deploy, live, state_of

pytestmark = pytest.mark.thorough

EVERYWHERE = "services:\n  agent:\n    image: berth/demo\n    deploy: {mode: global}\n"


def test_more_apps_than_a_step_takes_are_for_the_next_one(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "MOST_APPS", 2)
    agents(1)
    apps = [deploy(access, DEMO % 1, name=f"app-{n}")[0] for n in range(5)]
    world.now += timedelta(seconds=1)
    assert world.controller.step(world.now) is True
    assert Dirty.objects.count() == 3
    world.run(5)
    assert [len(live(app)) for app in apps] == [1] * 5
    assert not Dirty.objects.exists()


def test_one_bad_report_among_many_costs_nobody_elses(
    access: Access, world: World, agents: MakeAgents, caplog: pytest.LogCaptureFixture
) -> None:
    good = agents(3)
    bad = good.pop()
    app, _operation = deploy(access, DEMO % 9)
    Node.objects.filter(pk=bad.node).update(cordoned=True)
    world.run(0.5)
    bad.cpu = 2**63
    bad.connect()
    for agent in good:
        for key in list(agent.containers):
            agent.change(key, health="healthy")
    world.run(1)
    assert {container.health for container in live(app)} == {"healthy"}
    assert Node.objects.get(pk=bad.node).cpu == 4000
    told = [one.message for one in caplog.records if one.name == intake.__name__]
    assert sum(text.endswith("cannot be taken in") for text in told) == 1


def test_a_slot_that_need_not_go_elsewhere_any_more_waits_no_more(
    access: Access, world: World, agents: MakeAgents
) -> None:
    agents(1)
    app, _operation = deploy(access, DEMO % 1)
    world.run(5)
    node = Node.objects.get()
    access.user.is_staff = True
    set_draining(access, node, draining=True)
    world.run(3)
    assert Slot.objects.get().pending
    set_draining(access, node, draining=False)
    world.run(3)
    assert (Slot.objects.get().pending, Explanation.objects.count(), len(live(app))) == ("", 0, 1)


def test_a_dead_node_of_a_global_service_can_be_forgotten(
    access: Access, world: World, agents: MakeAgents
) -> None:
    first, second = agents(2)
    app, operation = deploy(access, EVERYWHERE)
    world.run(15)
    first.silence = 0.1
    world.run(14)
    node = Node.objects.get(pk=first.node)
    assert node.state == "down"
    access.user.is_staff = True
    remove_node(access, node)
    world.run(3)
    slots = Slot.objects.filter(service__app=app, retired=False)
    assert [slot.node_id for slot in slots] == [second.node]
    assert (len(live(app)), state_of(operation)) == (1, "succeeded")


def test_each_slot_that_comes_up_gives_the_rollout_its_time_again(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """Twenty replicas, one at a time and a minute apart, take longer than a rollout's time."""
    agents(2)
    slow = "      update_config: {parallelism: 1, delay: 60s}\n"
    text = f"services:\n  web:\n    image: berth/demo\n    deploy:\n      replicas: 20\n{slow}"
    app, _operation = deploy(access, text)
    world.run(5)
    operation = services.create_release(access, app, compose=text + "    environment: {A: b}\n")
    first = Rollout.objects.get(app=app, release__number=2).deadline
    world.run(1100, tick=5)
    assert (state_of(operation), world.now > first) == ("running", True)
    assert Rollout.objects.get(app=app, release__number=2).deadline > world.now
    world.run(400, tick=5)
    assert state_of(operation) == "succeeded"
    assert {container.release.number for container in live(app)} == {2}


def test_a_rollout_without_progress_ends_at_its_deadline(
    access: Access, world: World, agents: MakeAgents
) -> None:
    [agent] = agents(1)
    agent.holding = True
    _app, operation = deploy(access, DEMO % 2)
    world.run(650, tick=10)
    assert state_of(operation) == "failed"
    assert "when the time of 600 s was up" in operation.error


def test_what_restarts_with_another_service_changes_with_it() -> None:
    text = (
        "services:\n"
        "  db: {image: a, environment: {X: '%s'}}\n"
        "  api: {image: a, depends_on: {db: {condition: service_started, restart: true}}}\n"
        "  web: {image: a, depends_on: {api: {condition: service_started, restart: true}}}\n"
        "  other: {image: a, depends_on: [db]}\n"
    )
    images = dict.fromkeys(("db", "api", "web", "other"), "sha256:1")
    before, after = (digests(compose.load(text % value), images) for value in "12")
    assert {name for name in images if before[name] != after[name]} == {"db", "api", "web"}


def test_texts_of_many_rows_are_saved_each_in_its_own(world: World, agents: MakeAgents) -> None:
    agents(3)
    wanted = {node.id: f"{node.name}'s" for node in Node.objects.all()}
    rows.save_texts(Node, "digest", wanted)
    assert dict(Node.objects.values_list("id", "digest")) == wanted


def test_many_reports_are_one_line_of_history(access: Access, world: World, agents: MakeAgents) -> None:
    made = agents(2)
    app, _operation = deploy(access, DEMO % 8)
    world.run(5)
    for agent in made:
        for slot, generation in list(agent.containers):
            agent.end(slot, generation, 1)
    before = Event.objects.latest("id").id
    world.run(0.5)
    told = Event.objects.filter(app_id=app.id, id__gt=before, message__contains="failed")
    assert [(one.message, one.warning) for one in told] == [("web: 8 containers failed on 2 nodes", True)]


def test_a_result_and_its_receipt_in_one_step_end_the_job(
    access: Access, world: World, agents: MakeAgents
) -> None:
    """Both touch the same row; the receipt's word must not come last."""
    from console.cluster.models import Job

    [agent] = agents(1)
    deploy(access, DEMO % 1)
    agent.holding = True
    world.run(0.5)
    [job] = agent.held
    assert isinstance(job, protocol.Ensure)
    agent.let_go()
    world.run(0.5)
    row = Job.objects.get(pk=job.id)
    assert (row.ok, row.ring_at, row.done_at) == (True, None, world.now)


@pytest.fixture
def swamped(access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app of three slots that is to have four, while more reports wait than some steps take in."""
    [agent] = agents(1)
    app, _operation = deploy(access, DEMO % 3)
    world.run(5)
    monkeypatch.setattr(loop, "BATCH", 1)
    services.scale(access, app.services.get(), replicas=4)
    for _number in range(loop.MOST_PUT_OFF + 2):
        agent.hello()
    return app


def test_apps_wait_while_more_reports_do_and_not_for_long(world: World, swamped: App) -> None:
    for _number in range(loop.MOST_PUT_OFF):
        assert world.controller.step(world.now) is True
        assert Slot.objects.count() == 3
        assert Dirty.objects.filter(app_id=swamped.pk).exists()
    world.controller.step(world.now)
    assert Slot.objects.count() == 4


@pytest.mark.usefixtures("swamped")
def test_apps_wait_for_two_seconds_at_most(world: World) -> None:
    assert world.controller.step(world.now) is True
    assert Slot.objects.count() == 3
    assert world.controller.step(world.now + loop.LONGEST_PUT_OFF) is True
    assert Slot.objects.count() == 4


def test_room_that_came_while_apps_were_put_off_is_not_forgotten(
    access: Access, world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    [agent] = agents(1)
    whole = "services:\n  web:\n    image: berth/demo\n    restart: 'no'\n    cpus: 4\n"
    first, _operation = deploy(access, whole, name="first")
    world.run(5)
    second, _operation = deploy(access, whole, name="second")
    world.run(5)
    assert (len(live(first)), len(live(second))) == (1, 0)
    monkeypatch.setattr(loop, "BATCH", 1)
    [key] = agent.containers
    agent.change(key, state="exited", exit_code=0)
    agent.hello()
    assert world.controller.step(world.now) is True
    assert not Container.objects.filter(app=second).exists()
    assert not Dirty.objects.filter(app_id=second.pk).exists()
    world.run(1)
    assert Container.objects.filter(app=second).count() == 1
