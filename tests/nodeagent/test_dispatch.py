from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.public import PublicKey, SealedBox

from nodeagent.assignment import Assignment
from nodeagent.dispatch import Dispatcher
from nodeagent.errors import Waiting
from nodeagent.fence import Fence
from nodeagent.fetched import Fetched
from nodeagent.outgoing import Kept, Outgoing
from nodeagent.overlay import OverlayPart
from nodeagent.protocol import Batch, ImageFact, Job, Pull, Receipt, Remove, Result, Stop, Sync, Tidy, Welcome
from nodeagent.pulls import PULLERS, Images
from nodeagent.runtime.base import ContainerFacts
from nodeagent.seal import NodeKey
from nodeagent.session import Session
from nodeagent.step import Stepper
from nodeagent.tidy import Tidier
from nodeagent.vault import Vault
from tests.nodeagent.builders import CLUSTER, ensure, shell, spec
from tests.nodeagent.fake import FakeRuntime

REMOTE = "registry.example.org/team/app:1"


class Desk:
    """A dispatcher and everything it said."""

    def __init__(self, runtime: FakeRuntime, folder: Path) -> None:
        self.runtime = runtime
        self.session = Session(folder)
        self.session.begin(Welcome(node="n1", cluster=CLUSTER, session=1))
        fence = Fence(folder / "fence.json")
        self.outgoing = Outgoing()
        self.key = NodeKey(folder)
        vault = Vault(folder / "vault")
        stepper = Stepper(runtime, fence, self.session, vault)
        self.logs_of: list[tuple[str, int]] = []
        self.seen: list[ContainerFacts | None] = []
        self.may_remove = threading.Event()
        self.may_remove.set()
        assignment = Assignment(runtime, stepper, fence, self.session, self.keep_log, vault)
        self.now = 1e9
        fetched = Fetched(folder / "fetched.json", lambda: self.now)
        images = Images(runtime, self.key, fetched)
        self.dispatcher = Dispatcher(
            *(self.session, stepper, assignment, images, self.outgoing, self.keep_log),
            self.seen.append,
            OverlayPart("", None, self.key, self.session, lambda: None),
            Tidier(runtime, fetched, lambda: self.now).run,
        )
        self.said: list[Kept] = []

    def keep_log(self, slot: str, generation: int, patience: float = 60.0) -> None:
        self.logs_of.append((slot, generation))
        assert self.may_remove.wait(5)
        if generation == 13:
            raise Waiting("The link was lost.")

    def send(self, *jobs: Job) -> None:
        self.dispatcher.accept(Batch(node="n1", jobs=jobs))

    def result(self, job: str) -> Result:
        """Waits for the end of this job."""

        def done() -> bool:
            while (message := self.outgoing.first()) is not None:
                self.outgoing.sent(message)
                self.said.append(message)
            return any(isinstance(item, Result) and item.job == job for item in self.said)

        until(done)
        found = [item for item in self.said if isinstance(item, Result) and item.job == job]
        self.said = [item for item in self.said if item not in found]
        assert len(found) == 1
        return found[0]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


@pytest.fixture
def desk(fake: FakeRuntime, tmp_path: Path) -> Desk:
    return Desk(fake, tmp_path)


SYNC = Sync(id="sync", session=1, keep=())


def test_before_the_sync_everything_but_a_pull_waits(desk: Desk) -> None:
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))
    jobs: tuple[Job, ...] = (
        ensure(),
        Stop(id="stop", slot="s2", generation=1),
        Remove(id="remove", slot="s3", generation=1),
    )
    desk.send(*jobs, Pull(id="pull", image=REMOTE))
    for job in jobs:
        result = desk.result(job.id)
        assert (result.ok, result.code, result.fatal) == (False, "waiting", False)
    assert desk.result("pull") == Result(job="pull", ok=True, image=desk.runtime.registry[REMOTE])
    assert desk.runtime.containers == {}


def test_a_sync_lets_the_jobs_beside_it_run(desk: Desk) -> None:
    desk.send(ensure(), SYNC)
    assert desk.result("ensure-s1-1").ok
    assert desk.result("sync").ok
    assert desk.runtime.containers["berth-s1-g1"].facts.state == "running"


def test_all_jobs_are_receipted_first(desk: Desk) -> None:
    desk.send(ensure(), SYNC)
    desk.result("sync")
    assert desk.said[0] == Receipt(jobs=("ensure-s1-1", "sync"))


def test_jobs_of_one_slot_keep_their_order(desk: Desk) -> None:
    desk.send(SYNC)
    desk.result("sync")
    stops = Stop(id="stop-1", slot="s1", generation=1, grace=0.0)
    desk.send(ensure(), stops, Remove(id="remove-1", slot="s1", generation=1), ensure(generation=2))
    assert [desk.result(name).ok for name in ("ensure-s1-1", "stop-1", "remove-1", "ensure-s1-2")] == [
        True
    ] * 4
    assert set(desk.runtime.containers) == {"berth-s1-g2"}


def test_a_stops_outcome_is_taken_in_before_its_result(desk: Desk) -> None:
    desk.send(SYNC, ensure())
    assert desk.result("ensure-s1-1").ok
    desk.send(Stop(id="stop", slot="s1", generation=1))
    assert desk.result("stop").ok
    assert [(facts.name, facts.state) for facts in desk.seen if facts] == [("berth-s1-g1", "exited")]


def test_a_log_that_is_handed_over_holds_up_its_removal_alone(desk: Desk) -> None:
    desk.send(SYNC, ensure())
    assert desk.result("ensure-s1-1").ok
    desk.may_remove.clear()
    desk.send(Stop(id="stop", slot="s1", generation=1), Remove(id="remove", slot="s1", generation=1))
    desk.send(*(Remove(id=f"remove-{number}", slot=f"t{number}", generation=1) for number in range(20)))
    desk.send(ensure(generation=2))
    assert desk.result("ensure-s1-2").ok
    assert set(desk.runtime.containers) == {"berth-s1-g1", "berth-s1-g2"}
    desk.may_remove.set()
    assert desk.result("remove").ok
    assert desk.result("remove-19").ok
    assert set(desk.runtime.containers) == {"berth-s1-g2"}
    assert len(desk.logs_of) == 21


def test_a_removal_whose_log_could_not_be_handed_over_is_answered_and_repeated(desk: Desk) -> None:
    desk.send(SYNC, ensure(generation=13))
    assert desk.result("ensure-s1-13").ok
    desk.send(Stop(id="stop", slot="s1", generation=13), Remove(id="remove", slot="s1", generation=13))
    assert desk.result("remove").code == "waiting"
    assert set(desk.runtime.containers) == {"berth-s1-g13"}


def test_slots_do_not_wait_for_each_other(desk: Desk) -> None:
    desk.send(SYNC)
    desk.result("sync")
    gate = threading.Event()
    slow = threading.Event()

    def hold(call: str) -> None:
        if call == "start" and not slow.is_set():
            slow.set()
            gate.wait(5)

    desk.runtime.before = hold
    desk.send(ensure("s1"))
    slow.wait(5)
    desk.send(*(ensure(f"t{number}") for number in range(7)))
    for number in range(7):
        assert desk.result(f"ensure-t{number}-1").ok
    gate.set()
    assert desk.result("ensure-s1-1").ok


def test_a_job_under_way_is_not_begun_again(desk: Desk) -> None:
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))
    desk.runtime.pull_may_end.clear()
    for _ in range(3):
        desk.send(Pull(id="pull", image=REMOTE))
    desk.runtime.pull_started.wait(5)
    desk.runtime.pull_may_end.set()
    assert desk.result("pull").ok
    assert desk.runtime.calls.count("pull") == 1


def test_one_pull_serves_all_who_ask(desk: Desk) -> None:
    desk.send(SYNC)
    desk.result("sync")
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))
    desk.runtime.pull_may_end.clear()
    desk.send(*(ensure(slot, wanted=spec(image=REMOTE)) for slot in ("s1", "s2", "s3")))
    desk.runtime.pull_started.wait(5)
    until(lambda: desk.runtime.calls.count("create") >= 3)
    desk.runtime.pull_may_end.set()
    assert [desk.result(f"ensure-{slot}-1").ok for slot in ("s1", "s2", "s3")] == [True] * 3
    assert desk.runtime.calls.count("pull") == 1
    progress = desk.outgoing.take_progress()
    assert progress is None or progress.text == "Downloading"


def test_a_removal_lets_the_starts_beside_it_go_first(desk: Desk) -> None:
    desk.send(SYNC, ensure("s1", wanted=shell("exit 0")))
    desk.result("ensure-s1-1")
    going, go = threading.Event(), threading.Event()

    def slow(call: str) -> None:
        if call == "start":
            going.set()
            go.wait(5)

    desk.runtime.before = slow
    desk.send(ensure("s2"))
    assert going.wait(5)
    desk.send(Remove(id="remove", slot="s1", generation=1))
    time.sleep(0.2)
    assert "berth-s1-g1" in desk.runtime.containers
    go.set()
    assert desk.result("remove").ok
    assert list(desk.runtime.containers) == ["berth-s2-g1"]


def test_a_removal_waits_neither_for_images_nor_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.send(SYNC, *(ensure(slot, wanted=shell("exit 0")) for slot in ("s1", "s2")))
    for slot in ("s1", "s2"):
        desk.result(f"ensure-{slot}-1")
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))
    desk.runtime.pull_may_end.clear()
    desk.send(ensure("s3", wanted=spec(image=REMOTE)))
    assert desk.runtime.pull_started.wait(5)
    desk.send(Remove(id="during-a-pull", slot="s1", generation=1))
    assert desk.result("during-a-pull").ok
    desk.runtime.pull_may_end.set()
    desk.result("ensure-s3-1")
    monkeypatch.setattr("nodeagent.dispatch.YIELD", 0.2)
    going, go = threading.Event(), threading.Event()

    def hang(call: str) -> None:
        if call == "start":
            going.set()
            go.wait(5)

    desk.runtime.before = hang
    desk.send(ensure("s4"))
    assert going.wait(5)
    desk.send(Remove(id="during-a-start", slot="s2", generation=1))
    assert desk.result("during-a-start").ok
    go.set()
    assert desk.result("ensure-s4-1").ok


def test_an_image_that_is_gone_again_after_its_pull_is_told(desk: Desk) -> None:
    desk.send(SYNC)
    desk.result("sync")
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))

    def lose(call: str) -> None:
        if call == "create":
            desk.runtime.local_images.pop(REMOTE, None)

    desk.runtime.before = lose
    desk.send(ensure(wanted=spec(image=REMOTE)))
    end = desk.result("ensure-s1-1")
    assert (end.ok, end.code, end.fatal) == (False, "image-missing", True)


def test_those_who_wait_for_one_image_hold_up_neither_another_nor_a_question(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, slow = REMOTE.replace("app", "other"), [REMOTE.replace("app", f"slow{n}") for n in range(PULLERS)]
    for name in (REMOTE, other, *slow):
        desk.runtime.registry[name] = ImageFact(id=f"sha256:{name}", tags=(name,))
    may_land, pull = threading.Event(), desk.runtime.pull

    def held(image: str, *rest: Any) -> ImageFact:
        assert image == other or may_land.wait(5)
        return pull(image, *rest)

    monkeypatch.setattr(desk.runtime, "pull", held)
    desk.send(SYNC)
    desk.result("sync")
    replicas = [ensure(f"s{number}", wanted=spec(image=REMOTE)) for number in range(2 * PULLERS)]
    desk.send(*replicas)
    until(lambda: desk.runtime.calls.count("create") >= len(replicas))
    desk.send(Pull(id="other", image=other))
    assert desk.result("other").ok
    # All threads that fetch are busy now.
    desk.send(*(Pull(id=name, image=name) for name in slow))
    desk.send(Pull(id="asked", image=other, resolve=True))
    assert desk.result("asked").ok
    may_land.set()
    assert all(desk.result(id_).ok for id_ in (*slow, *(job.id for job in replicas)))
    assert len(desk.runtime.containers) == len(replicas)


def test_a_stop_gets_through_while_its_image_is_pulled(desk: Desk) -> None:
    desk.send(SYNC)
    desk.result("sync")
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))
    desk.runtime.pull_may_end.clear()
    desk.send(ensure(wanted=spec(image=REMOTE)))
    desk.runtime.pull_started.wait(5)
    desk.send(Stop(id="stop", slot="s1", generation=1))
    assert desk.result("stop").ok
    desk.runtime.pull_may_end.set()
    late = desk.result("ensure-s1-1")
    assert (late.ok, late.code, late.fatal) == (False, "stale", True)
    assert desk.runtime.containers == {}


def test_a_job_of_a_former_session_is_not_carried_out_in_the_next(desk: Desk) -> None:
    """Its image was being pulled when the link was lost; its slot was filled elsewhere meanwhile."""
    desk.send(SYNC)
    desk.result("sync")
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))
    desk.runtime.pull_may_end.clear()
    desk.send(ensure(wanted=spec(image=REMOTE)))
    desk.runtime.pull_started.wait(5)
    desk.session.end()
    desk.session.begin(Welcome(node="n1", cluster=CLUSTER, session=2))
    desk.send(Sync(id="sync-2", session=2, keep=()))
    assert desk.result("sync-2").ok
    desk.runtime.pull_may_end.set()
    late = desk.result("ensure-s1-1")
    assert (late.ok, late.code, late.fatal) == (False, "waiting", False)
    assert desk.runtime.containers == {}


@pytest.mark.parametrize("timeout", [1e300, float("inf"), float("nan"), -1.0])
def test_no_pull_goes_on_for_ever(desk: Desk, timeout: float, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def pull(image: str, login: object, progress: object, limit: float) -> ImageFact:
        limits.append(limit)
        return ImageFact(id="sha256:1")

    monkeypatch.setattr(desk.runtime, "pull", pull)
    desk.send(Pull(id="pull", image=REMOTE, timeout=timeout))
    assert desk.result("pull").ok
    assert 1.0 <= limits[0] <= 3600.0


def test_a_pull_that_cannot_work_says_what_to_do(desk: Desk) -> None:
    desk.send(Pull(id="pull", image=REMOTE))
    result = desk.result("pull")
    assert (result.ok, result.code, result.fatal) == (False, "image-missing", True)
    assert "store registry credentials" in result.message
    desk.send(Pull(id="local", image="sha256:" + "0" * 64))
    result = desk.result("local")
    assert (result.code, result.fatal) == ("image-missing", True)
    assert "docker load" in result.message
    assert desk.runtime.calls.count("pull") == 1


def test_resolving_a_name(desk: Desk) -> None:
    local = desk.runtime.local_images["berth/demo:latest"]
    desk.send(Pull(id="local", image="berth/demo:latest", resolve=True))
    assert desk.result("local") == Result(job="local", ok=True, image=local)
    assert desk.runtime.calls.count("resolve") == 0
    remote = ImageFact(id="", digests=(f"{REMOTE}@sha256:1",))
    desk.runtime.registry[REMOTE] = remote
    desk.send(Pull(id="remote", image=REMOTE, resolve=True))
    assert desk.result("remote") == Result(job="remote", ok=True, image=remote)
    desk.runtime.registry.clear()
    present = ImageFact(id="sha256:2", tags=(REMOTE,), digests=(f"{REMOTE}@sha256:0",))
    desk.runtime.local_images[REMOTE] = present
    desk.send(Pull(id="away", image=REMOTE, resolve=True))
    result = desk.result("away")
    assert (result.ok, result.code, result.image) == (True, "present-copy", present)
    assert "copy on this node" in result.message


def test_credentials_are_opened_here_and_nowhere_named(desk: Desk) -> None:
    desk.runtime.registry[REMOTE] = ImageFact(id="sha256:1", tags=(REMOTE,))
    plain = json.dumps({"username": "u", "password": "hunter2"}).encode()
    sealed = SealedBox(PublicKey(desk.key.public_key)).encrypt(plain)
    desk.send(Pull(id="pull", image=REMOTE, auth=sealed))
    assert desk.result("pull").ok
    desk.send(Pull(id="broken", image=REMOTE, auth=sealed[:-1]))
    result = desk.result("broken")
    assert (result.ok, result.code) == (False, "seal")
    unreadable = SealedBox(PublicKey(desk.key.public_key)).encrypt(b'{"password": "hunter2"}')
    desk.send(Pull(id="unreadable", image=REMOTE, auth=unreadable))
    result = desk.result("unreadable")
    assert not result.ok
    assert "hunter2" not in result.message


def test_an_unforeseen_failure_is_answered_too(desk: Desk) -> None:
    desk.send(SYNC)
    desk.result("sync")

    def fail(call: str) -> None:
        raise ZeroDivisionError

    desk.runtime.before = fail
    desk.send(ensure())
    result = desk.result("ensure-s1-1")
    assert (result.ok, result.code, result.fatal) == (False, "internal", False)
    desk.runtime.before = lambda call: None
    desk.send(ensure())
    assert desk.result("ensure-s1-1").ok


OLD = ImageFact(
    id="sha256:" + "a" * 64, digests=("registry.example.org/team/app@sha256:" + "b" * 64,), size=7
)


def test_an_image_that_was_fetched_goes_once_nothing_wants_it(desk: Desk) -> None:
    [name] = OLD.digests
    desk.runtime.registry[name] = OLD
    old = Tidy(id="too-soon", images=(OLD.id,), unused=3600.0)
    desk.send(Pull(id="pull", image=name), old)
    assert desk.result("pull").ok
    assert desk.result("too-soon").code == "waiting"
    desk.send(SYNC, msgspec.structs.replace(old, id="young"))
    assert desk.result("young") == Result(job="young", ok=True)
    desk.now += 3601
    desk.send(msgspec.structs.replace(old, id="now"))
    assert desk.result("now") == Result(job="now", ok=True, removed=(OLD,))
    assert OLD not in desk.runtime.local_images.values()
    desk.send(msgspec.structs.replace(old, id="again"))
    assert desk.result("again") == Result(job="again", ok=True)


def test_a_tidying_ends_with_its_session(desk: Desk) -> None:
    others = [
        ImageFact(id=f"sha256:{n:064}", digests=(f"registry.example.org/o{n}@sha256:{n:064}",), size=1)
        for n in range(3)
    ]
    for image in others:
        desk.runtime.registry[image.digests[0]] = image
    desk.send(SYNC, *(Pull(id=f"pull-{image.id}", image=image.digests[0]) for image in others))
    assert all(desk.result(f"pull-{image.id}").ok for image in others)
    desk.now += 3601

    def lose(call: str) -> None:
        if call == "remove_image":
            desk.session.end()

    desk.runtime.before = lose
    desk.send(Tidy(id="tidy", images=tuple(image.id for image in others), unused=3600.0))
    result = desk.result("tidy")
    assert (result.ok, len(result.removed)) == (True, 1)
    assert len(set(others) & set(desk.runtime.local_images.values())) == 2


def test_a_start_that_finds_its_image_gone_fetches_it_again(desk: Desk) -> None:
    [name] = OLD.digests
    desk.runtime.registry[name] = OLD
    desk.send(SYNC, Pull(id="pull", image=name))
    assert desk.result("pull").ok
    desk.now += 3601
    desk.send(Tidy(id="tidy", images=(OLD.id,), unused=3600.0))
    assert desk.result("tidy").removed == (OLD,)
    job = ensure()
    desk.send(msgspec.structs.replace(job, spec=msgspec.structs.replace(job.spec, image=name)))
    assert desk.result(job.id).ok
    assert desk.runtime.calls.count("pull") == 2
