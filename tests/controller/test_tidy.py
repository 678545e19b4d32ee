"""Old images: which of them the console has nodes remove, when, and what is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.accounts.enums import Role
from console.cluster.enums import HoldState
from console.cluster.models import Hold, Job, Node
from console.common.models import Event
from console.controller import tidy
from console.controller.tidy import Image, first_wait, unwanted, wanted
from console.workloads import services
from console.workloads.models import App, Container, Release, Rollout
from nodeagent import protocol
from tests import factories
from tests.controller.conftest import MakeAgents
from tests.controller.fakes import DEMO, FakeAgent, World
from tests.controller.test_disk import disk
from tests.controller.test_loop import deploy, state_of

WEB = "services:\n  web:\n    image: %s\n"


def name(letter: str) -> str:
    return f"registry.test/{letter}@sha256:{letter * 64}"


def image(letter: str, *, pulled: bool = True) -> protocol.ImageFact:
    return protocol.ImageFact(
        id=f"sha256:{letter * 63}0", digests=(name(letter),), size=3 << 20, pulled=pulled
    )


def has(agent: FakeAgent, *images: protocol.ImageFact) -> None:
    agent.images = (DEMO, *images)
    agent.wire.push(agent, protocol.Images(images=agent.images))


def asked(world: World) -> list[tuple[tuple[str, ...], float]]:
    found = [job for _node, job in world.wire.sent if isinstance(job, protocol.Tidy)]
    world.wire.sent.clear()
    return [(job.images, job.unused) for job in found]


def told(kind: str = "node.images") -> list[tuple[str, str, object]]:
    found = Event.objects.filter(kind=kind).order_by("id")
    return [(event.team_id, event.message, event.data) for event in found]


def later(world: World, **time: float) -> None:
    world.now += timedelta(**time)
    world.run(1)


def release(access: Access, world: World, app: App, letter: str) -> None:
    operation = services.create_release(access, app, compose=WEB % name(letter))
    world.run(10)
    assert state_of(operation) == "succeeded"


@pytest.fixture
def agent(agents: MakeAgents) -> FakeAgent:
    [agent] = agents(1)
    return agent


@pytest.fixture
def app(access: Access, world: World, agent: FakeAgent) -> App:
    """Of three releases with an image each; the third runs."""
    app, operation = deploy(access, WEB % name("a"))
    world.run(10)
    assert state_of(operation) == "succeeded"
    release(access, world, app, "b")
    release(access, world, app, "c")
    return app


def test_what_is_wanted_is_told_by_content_under_whatever_name() -> None:
    images: list[Image] = [
        {"id": "i1", "digests": ["mirror/app@sha256:1"], "pulled": True},
        {"id": "i2", "digests": ["r/app@sha256:2", "s/app@sha256:3"], "pulled": True},
        {"id": "i4", "digests": ["r/app@sha256:4"], "pulled": True},
        {"id": "i5", "digests": ["r/app@sha256:5"], "pulled": False},
        {"id": "i6", "tags": ["loaded:1"]},
        {"id": "i7", "digests": ["r/app@sha256:7"], "pulled": True},
    ]
    assert unwanted(images, {"sha256:1", "sha256:3", "i4"}) == ["i7"]


def test_images_of_releases_long_past_are_removed(
    access: Access, world: World, agent: FakeAgent, app: App, settings: Settings
) -> None:
    settings.IMAGES_RELEASES = 2
    has(agent, image("a"), image("b"), image("c"), image("d"), image("e", pulled=False))
    later(world, hours=1)
    # Nobody has a release with d; e was put there by somebody else.
    assert asked(world) == [((image("a").id, image("d").id), 24 * 3600.0)]
    assert agent.images == (DEMO, image("b"), image("c"), image("e", pulled=False))
    world.run(1)
    total = "Node node-1 removed 2 images that no app needs any more (up to 6 MiB)"
    assert told() == [
        ("", total, {"count": 2, "bytes": 6 << 20}),
        (app.team_id, "Node node-1 removed registry.test/a@aaaaaaaaaaaa", {"images": [name("a")]}),
    ]
    assert Job.objects.get(kind="tidy").ok


def test_a_team_hears_of_its_own_images_alone(
    access: Access, world: World, agent: FakeAgent, app: App, settings: Settings
) -> None:
    other = factories.join(factories.make_user(), factories.make_team(), Role.OWNER)
    theirs = factories.make_app(other, compose=WEB % name("d"))
    Release.objects.filter(app=theirs).update(state="failed", images={"web": {"image": name("d")}})
    Rollout.objects.filter(app=theirs).update(state="failed")
    settings.IMAGES_RELEASES = 1
    has(agent, *map(image, "abcd"))
    later(world, hours=1)
    world.run(1)
    by_team = {team: data for team, _message, data in told()}
    assert by_team[app.team_id] == {"images": [name("a"), name("b")]}
    assert by_team[other.team.id] == {"images": [name("d")]}
    assert "registry.test" not in next(message for team, message, _data in told() if not team)


def test_each_team_hears_the_name_that_it_gave_itself(
    access: Access, world: World, agent: FakeAgent, app: App, settings: Settings
) -> None:
    """One content under two names: what one team calls it is not the other's to know."""
    mine, theirs = name("a"), "secret.test/plan-x@sha256:" + "a" * 64
    other = factories.join(factories.make_user(), factories.make_team(), Role.OWNER)
    theirs_app = factories.make_app(other, compose=WEB % theirs)
    Release.objects.filter(app=theirs_app).update(state="failed", images={"web": {"image": theirs}})
    Rollout.objects.filter(app=theirs_app).update(state="failed")
    settings.IMAGES_RELEASES = 1
    both = msgspec.structs.replace(image("a"), digests=(theirs, mine))
    has(agent, both, image("c"))
    later(world, hours=1)
    world.run(1)
    by_team = {team: (message, data) for team, message, data in told() if team}
    assert by_team == {
        app.team_id: ("Node node-1 removed registry.test/a@aaaaaaaaaaaa", {"images": [mine]}),
        other.team.id: ("Node node-1 removed secret.test/plan-x@aaaaaaaaaaaa", {"images": [theirs]}),
    }


def test_a_team_whose_name_for_it_is_not_the_nodes_first_hears_of_it(
    world: World, agent: FakeAgent, app: App, settings: Settings
) -> None:
    """An engine may list another digest of the same image before the one that was asked for."""
    settings.IMAGES_RELEASES = 1
    has(agent, msgspec.structs.replace(image("a"), digests=(name("f"), name("a"))))
    later(world, hours=1)
    world.run(1)
    assert [data for team, _message, data in told() if team == app.team_id] == [{"images": [name("a")]}]


def test_whose_images_they_were_is_read_once_for_all_nodes(
    world: World, agents: MakeAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = tidy._names

    def counted() -> dict[str, set[tuple[str, str]]]:
        reads.append(1)
        return read()

    monkeypatch.setattr(tidy, "_names", counted)
    several = agents(3)
    for agent in several:
        agent.holding = True
        has(agent, image("a"))
    later(world, hours=1)
    for agent in several:
        agent.let_go()
    world.run(1)
    assert (len(told()), len(reads)) == (3, 1)


def test_what_a_rollback_went_back_to_is_wanted(
    access: Access, world: World, agent: FakeAgent, app: App, settings: Settings
) -> None:
    settings.IMAGES_RELEASES = 1
    services.roll_back(access, app, to=Release.objects.get(app=app, number=1))
    world.run(10)
    has(agent, image("a"), image("b"), image("c"))
    later(world, hours=1)
    assert asked(world) == [((image("b").id, image("c").id), 24 * 3600.0)]


def test_what_runs_and_what_rolls_out_is_wanted(
    access: Access, world: World, agent: FakeAgent, app: App, settings: Settings
) -> None:
    settings.IMAGES_RELEASES = 1
    agent.holding = True
    services.create_release(access, app, compose=WEB % name("d"))
    world.run(3)
    has(agent, image("a"), image("b"), image("c"), image("d"))
    agent.holding = False
    later(world, hours=1)
    # c runs, d is on its way.
    assert asked(world) == [((image("a").id, image("b").id), 24 * 3600.0)]


def test_a_failed_release_leaves_the_one_before_it_wanted(
    access: Access, world: World, agent: FakeAgent, app: App, settings: Settings
) -> None:
    settings.IMAGES_RELEASES = 1
    agent.broken["web"] = protocol.Result(job="", ok=False, code="invalid", message="bad", fatal=True)
    operation = services.create_release(access, app, compose=WEB % name("d"))
    world.run(20)
    assert state_of(operation) == "failed"
    services.set_stopped(access, app, stopped=True)
    world.run(10)
    has(agent, image("b"), image("c"), image("d"))
    later(world, hours=1)
    assert asked(world) == [((image("b").id,), 24 * 3600.0)]


def there(old: Release, agent: FakeAgent) -> None:
    made = factories.make_container(old.app, Node.objects.get(pk=agent.node), index=7, state="exited")
    Container.objects.filter(pk=made.pk).update(release=old)


def moving(old: Release, agent: FakeAgent) -> None:
    Rollout.objects.filter(release=old).update(state="running", ended_at=None)


def paused(old: Release, agent: FakeAgent) -> None:
    moving(old, agent)
    Rollout.objects.filter(release=old).update(state="paused")


def fetching(old: Release, agent: FakeAgent) -> None:
    Job.objects.create(
        id="j1", node_id=agent.node, kind="pull", release_id=old.id, payload={}, created_at=old.created_at
    )


def preparing(old: Release, agent: FakeAgent) -> None:
    Release.objects.filter(pk=old.pk).update(state="preparing")


@pytest.mark.parametrize("use", [there, moving, paused, fetching, preparing])
def test_an_old_release_that_never_went_well_is_wanted_while_it_is_used(
    agent: FakeAgent, app: App, settings: Settings, use: Callable[[Release, FakeAgent], None]
) -> None:
    """By a container of it, by its rollout, by a fetch for it, or by its release command."""
    settings.IMAGES_RELEASES = 1
    old = Release.objects.get(app=app, number=1)
    Rollout.objects.filter(release=old).update(state="failed")
    assert wanted() == {"sha256:" + "c" * 64}
    use(old, agent)
    assert wanted() == {"sha256:" + "c" * 64, "sha256:" + "a" * 64}
    Container.objects.filter(release=old).update(removed_at=old.created_at)
    Rollout.objects.filter(release=old).update(state="failed")
    Job.objects.update(done_at=old.created_at)
    Release.objects.filter(pk=old.pk).update(state="failed")
    assert wanted() == {"sha256:" + "c" * 64}


def test_of_a_deleted_app_nothing_is_wanted(access: Access, world: World, agent: FakeAgent, app: App) -> None:
    has(agent, image("a"), image("b"), image("c"))
    later(world, hours=1)
    assert asked(world) == []
    services.delete_app(access, app, delete_volumes=False)
    world.run(10)
    assert not App.objects.exists()
    later(world, hours=1)
    assert asked(world) == [(tuple(image(letter).id for letter in "abc"), 24 * 3600.0)]


def test_once_an_hour_and_more_often_while_the_disk_is_low(
    world: World, agent: FakeAgent, settings: Settings
) -> None:
    agent.wire.lose_jobs = True
    has(agent, image("a"))
    later(world, hours=1)
    assert asked(world) == [((image("a").id,), 24 * 3600.0)]
    Job.objects.update(done_at=world.now, ring_at=None)
    later(world, minutes=50)
    assert asked(world) == []
    agent.filesystem = disk(1)
    later(world, seconds=1)
    assert asked(world) == [((image("a").id,), 3600.0)]
    Job.objects.update(done_at=world.now, ring_at=None)
    later(world, minutes=10)
    assert asked(world) == [((image("a").id,), 3600.0)]


def test_the_first_turns_of_nodes_are_spread_over_the_hour_and_stay_where_they_are() -> None:
    hour = timedelta(hours=1)
    seen = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
    waits = [first_wait(f"node{number}", seen, hour) for number in range(600)]
    assert all(timedelta(0) <= wait < hour for wait in waits)
    in_each_minute = Counter(wait // timedelta(minutes=1) for wait in waits)
    assert len(in_each_minute) > 50
    assert max(in_each_minute.values()) < 30
    # Who is seen again by another controller comes no later for it.
    assert all(
        first_wait(f"node{number}", seen + wait / 2, hour) == wait - wait / 2
        for number, wait in enumerate(waits)
    )


def test_a_node_comes_first_in_its_own_time_of_the_hour(world: World, agent: FakeAgent) -> None:
    has(agent, image("a"))
    wait = first_wait(agent.node, world.now, timedelta(hours=1))
    world.now += wait - timedelta(seconds=2)
    world.run(1)
    assert asked(world) == []
    later(world, seconds=4)
    assert len(asked(world)) == 1


def test_a_node_whose_disk_is_low_comes_at_once(world: World, agent: FakeAgent) -> None:
    agent.filesystem = disk(1)
    has(agent, image("a"))
    world.run(3)
    assert [unused for _images, unused in asked(world)][:1] == [3600.0]


def test_one_such_job_is_open_at_a_time(world: World, agent: FakeAgent) -> None:
    agent.holding = True
    has(agent, image("a"))
    later(world, hours=1)
    later(world, hours=1)
    assert Job.objects.filter(kind="tidy").count() == 1
    assert len(asked(world)) > 1
    agent.let_go()
    world.run(1)
    assert len(told()) == 1


def test_an_operator_may_have_all_kept(world: World, agent: FakeAgent, settings: Settings) -> None:
    settings.IMAGES_UNUSED_HOURS = 0
    has(agent, image("a"))
    agent.filesystem = disk(0.1)
    later(world, hours=2)
    assert asked(world) == []


def test_an_older_agent_never_meets_the_job(world: World, agent: FakeAgent) -> None:
    has(agent, image("a", pulled=False), image("b", pulled=False))
    later(world, hours=2)
    assert asked(world) == []


def test_a_node_whose_assignment_is_in_doubt_is_not_asked(world: World, agent: FakeAgent) -> None:
    has(agent, image("a"))
    Hold.objects.create(node_id=agent.node, state=HoldState.HELD, at=world.now)
    later(world, hours=1)
    assert asked(world) == []
    Hold.objects.all().delete()
    world.run(1)
    assert len(asked(world)) == 1


def test_nothing_is_told_of_what_a_node_was_not_asked_for(world: World, agent: FakeAgent) -> None:
    agent.holding = True
    has(agent, image("a"))
    later(world, hours=1)
    [job] = [job for _node, job in world.wire.sent if isinstance(job, protocol.Tidy)][:1]
    agent.wire.push(agent, protocol.Result(job=job.id, ok=True, removed=(image("b"),)))
    world.run(1)
    assert told() == []


def test_a_failure_is_no_trouble(world: World, agent: FakeAgent) -> None:
    agent.failing[protocol.Tidy] = 99
    has(agent, image("a"))
    later(world, hours=1)
    world.run(60)
    job = Job.objects.get(kind="tidy")
    assert (job.ok, job.message) == (False, "The engine does not answer in time.")
    assert told("node.trouble") == []


def test_a_name_that_no_database_takes_is_told_all_the_same(world: World, agent: FakeAgent) -> None:
    bad = msgspec.structs.replace(image("a"), digests=("registry.test/\0@sha256:" + "a" * 64,))
    agent.images = (DEMO, bad)
    has(agent, image("a"))
    agent.holding = True
    later(world, hours=1)
    [job] = [job for _node, job in world.wire.sent if isinstance(job, protocol.Tidy)][:1]
    agent.wire.push(agent, protocol.Result(job=job.id, ok=True, removed=(bad,)))
    world.run(1)
    assert len(told()) == 1
