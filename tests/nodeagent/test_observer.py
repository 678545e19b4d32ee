from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from lab.engine import Engine
from lab.processes import wait_until
from nodeagent.facts import Known, identity_of
from nodeagent.observer import Observer
from nodeagent.protocol import Delta, ImageFact, Observed
from nodeagent.runtime.base import EngineTimeout, EngineUnavailable, Listing
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.vault import Shown, Withheld
from tests.nodeagent.builders import CLUSTER, DEMO, identity, shell
from tests.nodeagent.fake import FakeRuntime


class Watch:
    """A started observer and what it told."""

    def __init__(self, runtime: FakeRuntime | DockerRuntime) -> None:
        self.engine: list[bool] = []
        self.woken = threading.Event()
        self.observer = Observer(runtime, lambda: CLUSTER, self.woken.set, self.engine.append)
        self.observer.start()
        assert self.observer.looked.wait(10)

    def until(self, condition: Callable[[Observed], bool], timeout: float = 10.0) -> Observed:
        """The first change that fits."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            delta = self.observer.take_delta()
            for observed in delta.changed if delta else ():
                if condition(observed):
                    return observed
            self.woken.wait(0.05)
            self.woken.clear()
        raise AssertionError("no such change was told")

    def delta(self, timeout: float = 5.0) -> Delta:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            delta = self.observer.take_delta()
            if delta:
                return delta
            time.sleep(0.005)
        raise AssertionError("nothing changed")

    def images(self, timeout: float = 5.0) -> tuple[ImageFact, ...]:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            images = self.observer.take_images()
            if images is not None:
                return images
            time.sleep(0.005)
        raise AssertionError("no images were told")


@pytest.fixture
def watch(fake: FakeRuntime) -> Iterator[Watch]:
    fake.create(identity("s1"), shell("sleep 1000"))
    fake.create(identity("theirs", cluster="other"), shell("sleep 1000"))
    made = Watch(fake)
    yield made
    made.observer.stop()


def test_the_first_look_is_the_full_set(watch: Watch, fake: FakeRuntime) -> None:
    containers, images, digest = watch.observer.hello()
    assert [item.identity for item in containers] == [identity("s1")]
    assert images == tuple(fake.local_images.values())
    assert watch.observer.foreign == 1
    assert watch.observer.told_digest() == digest
    assert watch.observer.take_delta() is None
    assert watch.engine == [True]


def test_a_change_is_a_delta_and_changes_the_digest(watch: Watch, fake: FakeRuntime) -> None:
    *_, before = watch.observer.hello()
    fake.start("berth-s1-g1")
    delta = watch.delta()
    assert [(item.identity.slot, item.state) for item in delta.changed] == [("s1", "running")]
    assert delta.changed[0].running_for == pytest.approx(0.0, abs=2)
    assert delta.digest != before
    assert delta.digest == watch.observer.told_digest()


def test_the_digest_is_of_the_facts_and_not_of_their_age(watch: Watch) -> None:
    *_, first = watch.observer.hello()
    time.sleep(0.01)
    watch.observer.refresh()
    assert watch.observer.hello()[2] == first
    assert watch.observer.take_delta() is None


def test_a_removed_container_is_told_by_name(watch: Watch, fake: FakeRuntime) -> None:
    watch.observer.hello()
    fake.remove("berth-s1-g1")
    delta = watch.delta()
    assert (delta.changed, delta.removed) == ((), (("s1", 1),))


def test_an_end_brings_its_code_and_last_lines(watch: Watch, fake: FakeRuntime) -> None:
    watch.observer.hello()
    fake.start("berth-s1-g1")
    for number in range(30):
        fake.say("berth-s1-g1", f"line {number}")
    fake.end("berth-s1-g1", 7)
    ended = watch.until(lambda item: item.state == "exited")
    assert ended.exit_code == 7
    assert ended.last_lines == tuple(f"line {number}" for number in range(10, 30))
    assert ended.ended_ago == pytest.approx(0.0, abs=2)


def test_health_and_engine_restarts_are_told(watch: Watch, fake: FakeRuntime) -> None:
    fake.start("berth-s1-g1")
    fake.change("berth-s1-g1", health="healthy", tell="health_status: healthy")
    watch.until(lambda item: item.health == "healthy")
    fake.change("berth-s1-g1", restarts=2, tell="start")
    assert watch.until(lambda item: item.restarts == 2).state == "running"


def test_a_childs_oom_is_told_until_the_next_start(watch: Watch, fake: FakeRuntime) -> None:
    fake.start("berth-s1-g1")
    fake.change("berth-s1-g1", tell="oom")
    fake.change("berth-s1-g1", tell="oom")
    seen = watch.until(lambda item: item.oom_events == 2)
    assert (seen.state, seen.oom) == ("running", False)
    fake.change("berth-s1-g1", restarts=1, tell="start")
    assert watch.until(lambda item: item.restarts == 1).oom_events == 0


def test_an_old_oom_does_not_spoil_a_good_end(watch: Watch, fake: FakeRuntime) -> None:
    fake.start("berth-s1-g1")
    facts = fake.inspect("berth-s1-g1")
    assert facts is not None
    found = identity_of(facts.labels)
    assert found is not None
    fake.end("berth-s1-g1", 0)
    ended = fake.inspect("berth-s1-g1")
    assert ended is not None
    killed = replace(ended, exit_code=137)
    assert [Known(found, each, oom_events=1).oom for each in (facts, ended, killed)] == [False, False, True]


def test_what_events_missed_a_full_look_finds(watch: Watch, fake: FakeRuntime) -> None:
    watch.observer.hello()
    fake.change("berth-s1-g1", state="running")
    del fake.containers["berth-theirs-g1"]
    watch.observer.refresh()
    assert [item.state for item in watch.delta().changed] == ["running"]
    assert watch.observer.foreign == 0


def test_an_older_look_does_not_overwrite_an_event(watch: Watch, fake: FakeRuntime) -> None:
    """The list was made before the container ended, and arrives after the event that told of it."""
    watch.observer.hello()
    fake.start("berth-s1-g1")
    watch.until(lambda item: item.state == "running")
    stale = fake.list_managed(CLUSTER)

    def end_meanwhile(*_: object) -> object:
        fake.end("berth-s1-g1", 3)
        watch.until(lambda item: item.state == "exited")
        return stale

    fake.list_managed = end_meanwhile  # type: ignore[method-assign, assignment]
    watch.observer.refresh()
    assert watch.observer.take_delta() is None
    assert [item.state for item in watch.observer.hello()[0]] == ["exited"]


def test_many_events_of_one_container_cost_one_look_more(watch: Watch, fake: FakeRuntime) -> None:
    fake.start("berth-s1-g1")
    watch.until(lambda item: item.state == "running")
    fake.calls.clear()
    looking, go = threading.Event(), threading.Event()

    def slow(call: str) -> None:
        if call == "inspect":
            looking.set()
            go.wait(5)

    fake.before = slow
    fake.change("berth-s1-g1", health="starting", tell="health_status: starting")
    assert looking.wait(5)
    for health in ("unhealthy", "starting", "healthy"):
        fake.change("berth-s1-g1", health=health, tell=f"health_status: {health}")
    go.set()
    watch.until(lambda item: item.health == "healthy")
    # The first look may have shown it already; the one that the events asked for comes all the same.
    assert wait_until(lambda: fake.calls.count("inspect") == 2, 5.0, every=0.01)


def test_last_lines_are_read_once_even_if_there_are_none(watch: Watch, fake: FakeRuntime) -> None:
    fake.start("berth-s1-g1")
    fake.end("berth-s1-g1", 0)
    watch.until(lambda item: item.state == "exited")
    watch.observer.refresh()
    watch.observer.look_at("berth-s1-g1")
    assert fake.calls.count("logs") == 1


def test_last_lines_that_are_withheld_say_so_and_come_once_they_may(watch: Watch, fake: FakeRuntime) -> None:
    def withhold(_name: str, _shown: Shown) -> None:
        raise Withheld("they stay here")

    fake.redactor = withhold
    fake.start("berth-s1-g1")
    fake.say("berth-s1-g1", "the password is correct horse")
    fake.end("berth-s1-g1", 1)
    ended = watch.until(lambda item: item.state == "exited")
    assert ended.last_lines == ("they stay here",)
    fake.redactor = lambda _name, _shown: lambda line: line.replace("correct horse", "•••")
    watch.observer.look_at("berth-s1-g1")
    ((again, *_), _, _) = watch.observer.hello()
    assert again.last_lines == ("the password is •••",)


def test_the_end_of_a_container_is_waited_for_and_not_asked_for(watch: Watch, fake: FakeRuntime) -> None:
    observer = watch.observer
    fake.start("berth-s1-g1")
    watch.until(lambda item: item.state == "running")
    assert [observer.find("s1", generation) for generation in (1, 2)] == [fake.inspect("berth-s1-g1"), None]
    fake.before = lambda call: time.sleep(0.1) if call == "inspect" else None
    fake.stop("berth-s1-g1", 1.0)
    fake.calls.clear()
    ended = observer.await_end("s1", 1)
    assert (ended is not None and ended.exit_code, fake.calls) == (143, ["inspect", "logs"])
    observer.saw(ended)
    assert observer.find("s1", 1) is ended
    assert fake.calls == ["inspect", "logs"]


@pytest.mark.thorough
def test_an_end_that_nobody_tells_of_is_not_waited_for_long(watch: Watch, fake: FakeRuntime) -> None:
    fake.start("berth-s1-g1")
    watch.until(lambda item: item.state == "running")
    began = time.monotonic()
    assert watch.observer.await_end("s1", 1) is None
    assert time.monotonic() - began < 2.0


def test_what_was_removed_is_forgotten_at_once_and_for_good(watch: Watch, fake: FakeRuntime) -> None:
    """A list that was made before it went does not bring it back."""
    watch.observer.hello()
    facts, stale, look = fake.inspect("berth-s1-g1"), fake.list_managed(CLUSTER), fake.list_managed
    assert facts is not None

    def remove_meanwhile(*_: object) -> object:
        fake.list_managed = look  # type: ignore[method-assign]
        watch.observer.removed(facts)
        return stale

    fake.list_managed = remove_meanwhile  # type: ignore[method-assign, assignment]
    watch.observer.refresh()
    assert watch.observer.find("s1", 1) is None
    assert watch.delta().removed == (("s1", 1),)


def test_a_container_that_was_made_anew_is_found_under_its_name(watch: Watch, fake: FakeRuntime) -> None:
    """Though a look at the one before it ends late, and so does its removal."""
    before = watch.observer.find("s1", 1)
    assert before is not None
    anew = replace(before, engine_id="anew")
    for seen in (anew, before, anew):
        watch.observer.saw(replace(seen))
        assert watch.observer.find("s1", 1) == seen
    watch.observer.removed(before)
    assert watch.observer.find("s1", 1) == anew


def test_looks_that_show_nothing_new_change_no_version(watch: Watch, fake: FakeRuntime) -> None:
    watch.observer.hello()
    before = watch.observer.version
    watch.observer.refresh()
    watch.observer.refresh(full=False)
    watch.observer.look_at("berth-s1-g1")
    assert watch.observer.version == before
    fake.start("berth-s1-g1")
    watch.delta()
    assert watch.observer.version > before


def test_whose_networks_these_are(watch: Watch, fake: FakeRuntime) -> None:
    fake.create(identity("s2"), shell("sleep 1000", network="berth-a1"))
    assert not watch.observer.on_network("berth-a1")
    fake.start("berth-s2-g1")
    watch.until(lambda item: item.identity.slot == "s2")
    assert [watch.observer.on_network(name) for name in ("berth-a1", "berth-a2")] == [True, False]
    facts = fake.inspect("berth-s2-g1")
    assert facts is not None
    watch.observer.removed(facts)
    assert not watch.observer.on_network("berth-a1")


def test_of_an_engine_that_is_not_heard_nothing_is_known(watch: Watch, fake: FakeRuntime) -> None:
    def gone(call: str) -> None:
        raise EngineUnavailable("the engine is gone")

    assert watch.observer.find("s1", 1) is not None
    fake.before = gone
    fake.die()
    assert wait_until(lambda: watch.observer.find("s1", 1) is None, 5.0, every=0.01)
    assert len(watch.observer.hello()[0]) == 1


@pytest.mark.thorough
def test_a_container_that_cannot_be_looked_at_is_no_sign_of_a_dead_engine(
    watch: Watch, fake: FakeRuntime
) -> None:
    """An engine with too much to do keeps who asks for one that it is at work on waiting; it answers lists."""
    watch.observer.hello()
    late = threading.Event()

    def slow(call: str) -> None:
        if call == "inspect" and not late.is_set():
            raise EngineTimeout("no answer in time")

    fake.before = slow
    fake.start("berth-s1-g1")
    assert wait_until(lambda: fake.calls.count("inspect") > 1, 5.0, every=0.01)
    assert (watch.engine, watch.observer.engine_ok) == ([True], True)
    late.set()
    watch.until(lambda item: item.state == "running")


def test_what_a_list_could_not_look_at_is_not_forgotten(
    watch: Watch, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = fake.inspect("berth-s1-g1")
    assert facts is not None
    silent = Listing((), 1, frozenset({facts.engine_id}))
    monkeypatch.setattr(fake, "list_managed", lambda *_: silent)
    watch.observer.refresh()
    assert watch.observer.find("s1", 1) is facts
    monkeypatch.setattr(fake, "list_managed", lambda *_: Listing((), 1))
    watch.observer.refresh()
    assert watch.observer.find("s1", 1) is None


def test_two_looks_at_once_do_not_undo_an_event(watch: Watch, fake: FakeRuntime) -> None:
    """The second one must not forget the event that the first one's older list has to yield to."""
    watch.observer.hello()
    fake.start("berth-s1-g1")
    watch.until(lambda item: item.state == "running")
    stale, look = fake.list_managed(CLUSTER), fake.list_managed
    began, go = threading.Event(), threading.Event()

    def slow(*_: object) -> object:
        fake.list_managed = look  # type: ignore[method-assign]
        began.set()
        go.wait(5)
        return stale

    fake.list_managed = slow  # type: ignore[method-assign, assignment]
    looks = [threading.Thread(target=watch.observer.refresh) for _ in range(2)]
    looks[0].start()
    assert began.wait(5)
    fake.end("berth-s1-g1", 3)
    watch.until(lambda item: item.state == "exited")
    looks[1].start()
    looks[1].join(0.3)
    go.set()
    for thread in looks:
        thread.join(5)
    assert [item.state for item in watch.observer.hello()[0]] == ["exited"]


def test_new_images_are_told_once(watch: Watch, fake: FakeRuntime) -> None:
    watch.observer.hello()
    assert watch.observer.take_images() is None
    fake.local_images["other:1"] = fake.local_images[DEMO]
    fake.tell_images()
    assert len(watch.images()) == 2
    assert watch.observer.take_images() is None


def test_of_many_images_that_go_a_list_or_two_is_made_and_containers_are_heard_of(
    watch: Watch, fake: FakeRuntime
) -> None:
    watch.observer.hello()
    listing, go = threading.Event(), threading.Event()

    def hold(call: str) -> None:
        if call == "images":
            listing.set()
            assert go.wait(5)

    before = fake.calls.count("images")
    fake.before = hold
    fake.tell_images()
    assert listing.wait(5)
    for _ in range(100):
        fake.tell_images()
    fake.local_images["other:1"] = fake.local_images[DEMO]
    fake.remove(identity("s1").engine_name)
    assert watch.delta().removed == (("s1", 1),)
    go.set()
    assert len(watch.images()) == 2
    assert fake.calls.count("images") - before <= 3


def test_an_image_list_that_timed_out_is_made_again(watch: Watch, fake: FakeRuntime) -> None:
    watch.observer.hello()
    late = [True, True]

    def hold(call: str) -> None:
        if call == "images" and late:
            late.pop()
            raise EngineTimeout("no answer in time")

    fake.before = hold
    fake.local_images["other:1"] = fake.local_images[DEMO]
    fake.tell_images()
    assert len(watch.images()) == 2
    assert watch.observer.engine_ok


def test_an_engine_that_goes_away_is_told_at_once_and_found_again(watch: Watch, fake: FakeRuntime) -> None:
    def gone(call: str) -> None:
        raise EngineUnavailable("the engine is gone")

    fake.before = gone
    fake.die()
    began = time.monotonic()
    while watch.engine != [True, False]:
        assert time.monotonic() - began < 0.5
        time.sleep(0.005)
    assert watch.observer.engine_error == "the engine is gone"
    assert len(watch.observer.hello()[0]) == 1
    fake.before = lambda call: None
    while watch.engine != [True, False, True]:
        assert time.monotonic() - began < 8
        time.sleep(0.01)
    assert watch.observer.engine_error == ""


@pytest.mark.engine
def test_a_real_engines_changes_are_told_within_a_blink(docker_runtime: DockerRuntime) -> None:
    name = identity().engine_name
    docker_runtime.create(identity(), shell("echo hello; sleep 0.3; exit 5"))
    docker_runtime.ensure_network("berth-a1", CLUSTER, "a1")
    watch = Watch(docker_runtime)
    watch.observer.hello()
    docker_runtime.start(name)
    watch.until(lambda item: item.state == "running")
    ended = watch.until(lambda item: item.state == "exited")
    assert (ended.exit_code, ended.last_lines) == (5, ("hello",))
    assert ended.ended_ago is not None
    assert ended.ended_ago < 0.5
    docker_runtime.remove(name)
    assert watch.delta().removed == (("s1", 1),)
    watch.observer.stop()


@pytest.mark.engine
def test_a_killed_engine_comes_back_with_its_containers(
    docker_runtime: DockerRuntime, engine: Engine
) -> None:
    docker_runtime.create(identity(), shell("sleep 1000"))
    docker_runtime.start(identity().engine_name)
    watch = Watch(docker_runtime)
    *_, before = watch.observer.hello()
    engine.kill()
    began = time.monotonic()
    while watch.engine != [True, False]:
        assert time.monotonic() - began < 2
        time.sleep(0.01)
    engine.start()
    while watch.engine != [True, False, True]:
        assert time.monotonic() - began < 30
        time.sleep(0.05)
    assert watch.observer.hello()[2] == before
    watch.observer.stop()


@pytest.mark.engine
def test_a_real_childs_oom_is_told_and_the_container_runs_on(docker_runtime: DockerRuntime) -> None:
    hog = "dd if=/dev/zero of=/dev/null bs=200M count=1; echo survived; sleep 1000"
    docker_runtime.create(identity(), shell(hog, memory=32 << 20))
    watch = Watch(docker_runtime)
    watch.observer.hello()
    docker_runtime.start("berth-s1-g1")
    seen = watch.until(lambda item: item.oom_events > 0, timeout=30)
    assert (seen.state, seen.oom) == ("running", False)
    watch.observer.stop()
