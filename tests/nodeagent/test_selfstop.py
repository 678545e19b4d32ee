"""Out of contact for too long, an agent stops what is exclusive, and that alone."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from nodeagent.observer import Observer
from nodeagent.protocol import Observed
from nodeagent.runtime.base import EngineError
from nodeagent.runtime.payload import create_body
from nodeagent.selfstop import ALONE, REASON, SelfStop
from tests.nodeagent.builders import CLUSTER, ensure, identity, shell
from tests.nodeagent.fake import FakeRuntime


@dataclass
class Scene:
    runtime: FakeRuntime
    silence: float = 0.0

    def __post_init__(self) -> None:
        self.observer = Observer(self.runtime, lambda: CLUSTER, lambda: None, lambda _well: None)
        self.halted: list[tuple[str, int, float]] = []
        self.refuses = False

    def halt(self, slot: str, generation: int, grace: float) -> None:
        self.halted.append((slot, generation, grace))
        if self.refuses:
            raise EngineError("The engine does not answer.")
        self.runtime.stop(f"berth-{slot}-g{generation}", grace)

    def run(self, slot: str, *, exclusive: bool) -> None:
        wanted = msgspec.structs.replace(shell("sleep 1000"), exclusive=exclusive, stop_grace=4.0)
        self.runtime.create(identity(slot), wanted)
        self.runtime.start(f"berth-{slot}-g1")

    def look(self) -> None:
        self.observer.refresh()
        SelfStop(lambda: self.silence, self.observer.running, self.halt, self.observer.note).look()

    def known(self) -> dict[str, Observed]:
        self.observer.refresh()
        observed, _images, _digest = self.observer.hello()
        return {one.identity.slot: one for one in observed}


@pytest.fixture
def scene(fake: FakeRuntime) -> Scene:
    made = Scene(fake)
    made.run("only", exclusive=True)
    made.run("web", exclusive=False)
    return made


def test_in_contact_nothing_is_stopped(scene: Scene) -> None:
    scene.silence = ALONE - 0.1
    scene.look()
    assert scene.halted == []


def test_out_of_contact_what_is_exclusive_is_stopped_within_its_grace_and_says_why(scene: Scene) -> None:
    scene.silence = ALONE
    scene.look()
    assert [(slot, generation) for slot, generation, _grace in scene.halted] == [("only", 1)]
    known = scene.known()
    assert (known["only"].state, known["only"].error) == ("exited", REASON)
    assert (known["web"].state, known["web"].error) == ("running", "")
    scene.look()
    assert len(scene.halted) == 1


def test_one_that_cannot_be_stopped_is_tried_again_and_blamed_for_nothing(scene: Scene) -> None:
    scene.silence, scene.refuses = ALONE, True
    scene.look()
    scene.look()
    assert len(scene.halted) == 2
    assert scene.known()["only"].error == ""


def test_the_mark_is_in_the_engines_labels() -> None:
    job = ensure()
    body = create_body(job.identity, msgspec.structs.replace(job.spec, exclusive=True), 1000)
    assert body["Labels"]["berth.exclusive"] == "1"
    assert "berth.exclusive" not in create_body(job.identity, job.spec, 1000)["Labels"]
