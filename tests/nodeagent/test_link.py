from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nodeagent.fence import MOST_SLOTS
from nodeagent.names import MAX_GENERATION
from nodeagent.protocol import (
    MAX_MESSAGE_BYTES,
    VERSION,
    Batch,
    Close,
    Credit,
    Delta,
    Ensure,
    Heartbeat,
    Hello,
    ImageFact,
    Images,
    LogFrame,
    LogLine,
    OpenLogs,
    Progress,
    Pull,
    Receipt,
    Remove,
    Resend,
    Result,
    Samples,
    Stop,
    Sync,
    Welcome,
)
from nodeagent.runtime.base import EngineUnavailable
from tests.nodeagent.builders import DEMO, ensure, identity, shell
from tests.nodeagent.fake import FakeRuntime
from tests.nodeagent.rig import Rig

pytestmark = pytest.mark.thorough

NAME = identity().engine_name


@pytest.fixture
def rig(fake: FakeRuntime, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(fake, tmp_path)
    yield made
    made.agent.stop()
    made.console.stop()


def test_hello_says_everything(rig: Rig, fake: FakeRuntime) -> None:
    fake.create(identity(), shell("sleep 1000"))
    hello = rig.start()
    assert rig.console.heard[0] is hello
    assert (hello.address, dict(hello.labels)) == ("10.0.0.1", {"zone": "a"})
    assert (hello.capacity.cpu, hello.capacity.memory, hello.capacity.port_last) == (4000, 1 << 30, 30010)
    assert hello.engine is not None
    assert hello.engine.version == "fake"
    assert [item.identity for item in hello.containers] == [identity()]
    assert hello.images == (fake.local_images[DEMO],)
    assert len(hello.public_key) == 32


def test_what_the_engine_is_asked_for_a_container_from_start_to_removal(rig: Rig, fake: FakeRuntime) -> None:
    """Each call costs it as much as it costs the agent: whoever adds one has to say why."""
    rig.start()

    def done(job: Sync | Ensure | Stop | Remove) -> list[str]:
        fake.calls.clear()
        rig.agent.dispatcher.accept(Batch(version=VERSION, node="n1", jobs=(job,)))
        assert rig.console.hear(Result, lambda result: result.job == job.id).ok
        time.sleep(0.1)
        return [call for call in fake.calls if call != "stats"]

    done(Sync(id="sync", session=1, keep=()))
    done(ensure("s1", wanted=shell("sleep 1000", network="berth-a1")))
    # The runtime remembers the network; the look is at the event of its start, and of its end with its last lines.
    started = done(ensure("s2", wanted=shell("sleep 1000", network="berth-a1")))
    assert started == ["network_exists", "create", "start", "inspect"]
    assert done(Stop(id="stop", slot="s2", generation=1)) == ["stop", "inspect", "logs"]
    removed = done(Remove(id="remove", slot="s2", generation=1, network="berth-a1"))
    assert removed == ["logs", "remove"]


def test_the_first_hello_knows_the_engine_though_the_link_was_quicker(rig: Rig) -> None:
    """The welcome of a new cluster makes the link's thread look before the observer's own has begun."""
    rig.agent.link.start()
    hello = rig.console.hear(Hello)
    assert hello.engine is not None
    assert hello.capacity.cpu == 4000


def test_heartbeats_carry_the_digest_of_what_was_told(rig: Rig, fake: FakeRuntime) -> None:
    hello = rig.start()
    assert rig.console.hear(Heartbeat).digest == hello.digest
    assert rig.console.hear(Heartbeat).waiting
    fake.create(identity(), shell("sleep 1000"))
    fake.start(NAME)
    delta = rig.console.hear(Delta, lambda item: bool(item.changed))
    mark = rig.mark()
    assert rig.console.hear(Heartbeat, since=mark).digest == delta.digest != hello.digest


def test_a_change_reaches_the_console_within_50_ms(rig: Rig, fake: FakeRuntime) -> None:
    fake.create(identity(), shell("sleep 1000"))
    rig.start()
    began = time.monotonic()
    fake.start(NAME)
    rig.console.hear(Delta, lambda item: bool(item.changed) and item.changed[0].state == "running")
    assert time.monotonic() - began < 0.05


def test_resend_brings_another_hello(rig: Rig) -> None:
    first = rig.start()
    mark = rig.mark()
    rig.console.send(Resend())
    assert rig.console.hear(Hello, since=mark).digest == first.digest


def test_a_lost_link_is_redialled_and_begins_with_a_hello(rig: Rig, fake: FakeRuntime) -> None:
    rig.start()
    rig.agent.session.open_gate(1)
    mark = rig.mark()
    began = time.monotonic()
    rig.console.hang_up()
    rig.console.hear(Hello, since=mark)
    assert time.monotonic() - began < 3
    assert rig.console.session == 2
    assert rig.agent.session.number == 2
    assert rig.console.hear(Heartbeat, since=mark + 1).waiting


def test_what_was_said_while_the_link_was_away_is_kept(rig: Rig, fake: FakeRuntime) -> None:
    rig.start()
    rig.console.hang_up()
    sent: list[Receipt | Result] = [
        Receipt(jobs=("a",)),
        Result(job="a", ok=True),
        Result(job="b", ok=False, code="x"),
    ]
    for message in sent:
        rig.agent.outgoing.put(message)
    rig.console.hear(Result, lambda item: item.job == "b")
    assert [item for item in rig.console.heard if isinstance(item, Receipt | Result)] == sent


def test_without_acknowledgements_the_link_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodeagent.link.SILENCE", 0.8)
    rig.console.acks = False
    rig.start()
    rig.console.hear(Hello, since=1, timeout=8)
    assert rig.console.session == 2


def test_a_refused_token_is_said_and_not_hammered(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.console.token = "another"
    rig.agent.link.start()
    time.sleep(3)
    assert rig.console.refused == 1
    assert "Make a new one for node n1" in caplog.text


def test_another_nodes_welcome_is_not_taken(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.console.node = "n2"
    rig.agent.link.start()
    time.sleep(0.5)
    assert rig.console.heard == []
    assert "This token is of node n2" in caplog.text


def test_an_engine_that_dies_is_said_at_once_and_its_return_too(rig: Rig, fake: FakeRuntime) -> None:
    rig.start()

    def gone(call: str) -> None:
        raise EngineUnavailable("the engine is gone")

    fake.before = gone
    mark = rig.mark()
    began = time.monotonic()
    fake.die()
    beat = rig.console.hear(Heartbeat, lambda item: not item.engine_ok, since=mark)
    assert beat.engine_error == "the engine is gone"
    assert time.monotonic() - began < 0.15
    fake.before = lambda call: None
    hello = rig.console.hear(Hello, since=mark)
    assert hello.engine is not None


def test_an_agent_whose_engine_is_away_says_so(rig: Rig, fake: FakeRuntime) -> None:
    def gone(call: str) -> None:
        raise EngineUnavailable("the engine is gone")

    fake.before = gone
    assert rig.start().engine is None
    assert rig.console.hear(Heartbeat).engine_ok is False


def test_logs_samples_progress_and_images_go_up(rig: Rig, fake: FakeRuntime) -> None:
    fake.create(identity(), shell("sleep 1000"))
    fake.start(NAME)
    rig.start()
    fake.say(NAME, "hello")
    rig.console.send(OpenLogs(stream="x", slot="s1", generation=1, credit=1))
    frame = rig.console.hear(LogFrame, lambda frame: frame.number == 2)
    assert [line.text for line in frame.lines] == ["hello"]
    fake.say(NAME, "again")
    mark = rig.mark()
    rig.console.send(Credit(stream="x", frames=1))
    assert [line.text for line in rig.console.hear(LogFrame, since=mark).lines] == ["again"]
    rig.console.send(Close(stream="x"))
    rig.agent.outgoing.put_progress(Progress(job="p", text="Downloading"))
    assert rig.console.hear(Progress).job == "p"
    assert rig.console.hear(Samples).node_memory > 0
    fake.local_images["other:1"] = fake.local_images[DEMO]
    fake.tell_images()
    assert len(rig.console.hear(Images).images) == 2


def test_what_the_agent_fetched_is_told_apart(rig: Rig, fake: FakeRuntime) -> None:
    name = "registry.test/app@sha256:" + "a" * 64
    fake.registry[name] = ImageFact(id="sha256:" + "b" * 64, digests=(name,), size=7)
    fake.local_images["theirs"] = ImageFact(id="sha256:" + "c" * 64, digests=("x/y@sha256:" + "c" * 64,))
    assert not any(image.pulled for image in rig.start().images)
    rig.agent.dispatcher.accept(Batch(node="n1", jobs=(Pull(id="pull", image=name),)))
    rig.console.hear(Result)
    fake.tell_images()
    pulled = {image.id: image.pulled for image in rig.console.hear(Images).images}
    assert pulled == {image.id: image.digests == (name,) for image in fake.images()}
    mark = rig.mark()
    rig.console.send(Resend())
    hello = rig.console.hear(Hello, since=mark)
    assert {image.id: image.pulled for image in hello.images} == pulled


def test_nonsense_from_the_console_only_costs_the_session(rig: Rig) -> None:
    rig.start()
    assert rig.console._connection is not None
    mark = rig.mark()
    rig.console._connection.send(b"\xc1nonsense")
    rig.console.hear(Hello, since=mark)
    assert rig.console.session == 2


def test_a_heartbeat_says_what_is_free_on_the_engines_disk(
    rig: Rig, fake: FakeRuntime, tmp_path: Path
) -> None:
    fake.data_root = str(tmp_path)
    rig.start()
    seen = rig.console.hear(Heartbeat).disk
    assert seen is not None
    assert (seen.total, 0 < seen.free <= seen.total) == (shutil.disk_usage(tmp_path).total, True)


def test_a_message_that_cannot_be_written_does_not_stop_those_behind_it(rig: Rig) -> None:
    rig.start()
    rig.agent.outgoing.put(Receipt(jobs=("\ud800",)))
    rig.agent.outgoing.put(Receipt(jobs=("good",)))
    rig.console.hear(Receipt, lambda item: item.jobs == ("good",), timeout=3)
    assert rig.console.session == 1


def test_a_set_too_large_for_the_link_goes_without_its_last_lines(
    rig: Rig, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeagent.protocol.MAX_MESSAGE_BYTES", 10_000)
    for slot in ("s1", "s2"):
        fake.create(identity(slot), shell("exit 3"))
        fake.start(f"berth-{slot}-g1")
        fake.containers[f"berth-{slot}-g1"].lines = [
            LogLine(at="2026-01-01T00:00:00Z", source="stdout", text="x" * 1000) for _ in range(20)
        ]
    hello = rig.start()
    assert [(item.exit_code, item.last_lines) for item in hello.containers] == [(3, ())] * 2
    fake.create(identity("s3"), shell("sleep 1000"))
    name = identity("s3").engine_name
    for _ in range(20):
        fake.say(name, "x" * 1000)
    fake.change(name, state="running", tell="start")
    fake.end(name, 4)
    delta = rig.console.hear(Delta, lambda item: bool(item.changed) and item.changed[-1].exit_code == 4)
    assert delta.changed[-1].last_lines == ()


def test_a_hello_too_large_for_the_link_goes_without_the_past_and_then_without_images(
    fake: FakeRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeagent.protocol.MAX_MESSAGE_BYTES", 10_000)
    past = {"s1": (1, 0), **{f"gone-{number}": (1, 1) for number in range(2_000)}}
    (tmp_path / "fence.json").write_text(json.dumps(past))
    fake.create(identity("s1"), shell("sleep 1000"))
    fake.start("berth-s1-g1")
    rig = Rig(fake, tmp_path)
    try:
        first = rig.start()
        assert [item.identity.slot for item in first.containers] == ["s1"]
        assert (first.generations, len(first.images)) == ({"s1": 1}, 1)
        fake.local_images |= {f"x{n}": ImageFact(id=f"sha256:{n}", tags=("x" * 100,)) for n in range(100)}
        rig.agent.observer.refresh()
        mark = rig.mark()
        rig.agent.desk.say_hello()
        again = rig.console.hear(Hello, since=mark)
        assert (len(again.containers), again.images) == (1, ())
    finally:
        rig.agent.stop()
        rig.console.stop()


def test_the_longest_past_fits_the_link_many_times() -> None:
    past = {f"volumes-{number:016}": MAX_GENERATION for number in range(MOST_SLOTS)}
    assert len(msgspec.msgpack.encode(past)) < MAX_MESSAGE_BYTES / 4


def test_streams_of_a_former_session_are_closed_in_the_next(rig: Rig, fake: FakeRuntime) -> None:
    """The old session's reader may open one while its socket is being closed."""
    fake.create(identity(), shell("sleep 1000"))
    fake.start(NAME)
    rig.start()
    rig.agent.streams.open(OpenLogs(stream="x", slot="s1", generation=1, credit=1))
    rig.agent.desk.begin(Welcome(node="n1", cluster="c1", session=2))
    mark = rig.mark()
    fake.say(NAME, "late")
    time.sleep(0.3)
    assert not [item for item in rig.console.heard[mark:] if isinstance(item, LogFrame) and item.lines]
