from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from nodeagent.observer import Observer
from nodeagent.protocol import Close, Credit, LogFrame, LogLine, OpenLogs
from nodeagent.runtime.base import Runtime
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.streams import MAX_STREAMS, LogStream, Streams
from nodeagent.vault import Shown, Vault
from tests.nodeagent.builders import CLUSTER, identity, shell
from tests.nodeagent.fake import FakeRuntime

NAME = identity().engine_name


class Reader:
    """What the link's thread does with streams."""

    def __init__(self, runtime: Runtime) -> None:
        self.awake = threading.Event()
        self.observer = Observer(runtime, lambda: CLUSTER, lambda: None, lambda well: None)
        self.observer.start()
        self.streams = Streams(runtime, self.observer, self.awake.set)
        self.frames: list[LogFrame] = []
        """Those that say something."""
        self.numbers: list[int] = []
        """Of all."""

    def open(
        self, stream: str = "x", credit: int = 1000, follow: bool = True, tail: int = 100, after: str = ""
    ) -> None:
        request = OpenLogs(
            stream=stream, slot="s1", generation=1, follow=follow, tail=tail, after=after, credit=credit
        )
        self.streams.open(request)

    def until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            frame = self.streams.next_frame()
            if frame:
                self.numbers.append(frame.number)
                if frame.lines or frame.dropped or frame.end:
                    self.frames.append(frame)
                continue
            assert time.monotonic() < deadline, f"it did not come to pass: {self.frames}"
            due = self.streams.due()
            self.awake.wait(0.05 if due is None else min(due, 0.05))
            self.awake.clear()

    @property
    def texts(self) -> list[str]:
        return [line.text for frame in self.frames for line in frame.lines]

    @property
    def ended(self) -> bool:
        return bool(self.frames and self.frames[-1].end)


@pytest.fixture
def reader(fake: FakeRuntime) -> Iterator[Reader]:
    fake.create(identity(), shell("sleep 1000"))
    fake.start(NAME)
    made = Reader(fake)
    yield made
    made.streams.close_all()
    made.observer.stop()


def test_a_log_that_is_withheld_says_why(reader: Reader, fake: FakeRuntime, tmp_path: Path) -> None:
    fake.say(NAME, "the password is correct horse")
    fake.redactor = lambda name, _shown: Vault(tmp_path).redactor(name, Shown(others=True))
    reader.open()
    reader.until(lambda: reader.ended)
    assert reader.texts == []
    assert "stays on its node" in reader.frames[-1].error


def test_lines_follow_until_the_container_ends(reader: Reader, fake: FakeRuntime) -> None:
    fake.say(NAME, "old")
    reader.open()
    reader.until(lambda: reader.texts == ["old"])
    fake.say(NAME, "new", "stderr")
    reader.until(lambda: reader.texts == ["old", "new"])
    assert reader.frames[-1].lines[0].source == "stderr"
    fake.end(NAME, 0)
    reader.until(lambda: reader.ended)
    assert reader.frames[-1].error == ""
    assert reader.streams.next_frame() is None


def test_a_restarted_container_is_read_on_without_a_gap_or_a_double(
    reader: Reader, fake: FakeRuntime
) -> None:
    reader.open()
    fake.say(NAME, "before")
    reader.until(lambda: reader.texts == ["before"])
    fake.end(NAME, 1)
    fake.change(NAME, state="restarting", exit_code=None)
    fake.say(NAME, "between")
    fake.change(NAME, state="running", restarts=1, tell="start")
    fake.say(NAME, "after")
    reader.until(lambda: len(reader.texts) >= 3)
    assert reader.texts == ["before", "between", "after"]


def test_without_credit_nothing_goes(reader: Reader, fake: FakeRuntime) -> None:
    for number in range(250):
        fake.say(NAME, str(number))
    reader.open(credit=1, tail=-1)
    reader.until(lambda: len(reader.frames) == 1)
    time.sleep(0.1)
    assert reader.streams.next_frame() is None
    reader.streams.credit(Credit(stream="x", frames=10))
    reader.until(lambda: len(reader.texts) == 250)
    assert reader.texts == [str(number) for number in range(250)]
    assert max(len(frame.lines) for frame in reader.frames) <= 100


def test_an_open_stream_says_so_at_once_and_when_it_is_asked(reader: Reader, fake: FakeRuntime) -> None:
    reader.open(credit=0)
    reader.until(lambda: reader.numbers == [1])
    fake.say(NAME, "held back")
    reader.streams.credit(Credit(stream="x", frames=0))
    reader.until(lambda: reader.numbers == [1, 2])
    assert reader.frames == []
    reader.streams.credit(Credit(stream="x", frames=1))
    reader.until(lambda: reader.texts == ["held back"])
    assert reader.numbers == [1, 2, 3]


def test_a_reader_goes_on_after_the_line_it_saw_last(reader: Reader, fake: FakeRuntime) -> None:
    for text in ("one", "two", "three"):
        fake.say(NAME, text)
        time.sleep(0.001)
    reader.open("first", follow=False)
    reader.until(lambda: reader.ended)
    seen = reader.frames[0].lines[1].at
    reader.frames.clear()
    reader.open("second", tail=-1, after=seen)
    fake.say(NAME, "four")
    reader.until(lambda: reader.texts == ["three", "four"])


def line(text: str) -> LogLine:
    return LogLine(at="2026-01-01T00:00:00Z", source="stdout", text=text)


def test_a_full_buffer_drops_the_oldest_and_says_how_many() -> None:
    stream = LogStream(OpenLogs(stream="x", slot="s1", generation=1, credit=0), lambda: None)
    for number in range(200):
        stream.push(line(f"{number} " + "x" * 10_000))
    stream.finish()
    stream.add_credit(100)
    assert stream.take(0.0) == LogFrame(stream="x", number=1)
    frames: list[LogFrame] = []
    while not frames or not frames[-1].end:
        frames.append(stream.take(0.0))
    kept = [int(item.text.split()[0]) for frame in frames for item in frame.lines]
    assert frames[0].dropped == 200 - len(kept) > 0
    assert kept == list(range(200 - len(kept), 200))
    assert sum(frame.dropped for frame in frames[1:]) == 0


def test_reading_what_is_there_waits_for_room_instead() -> None:
    stream = LogStream(OpenLogs(stream="x", slot="s1", generation=1, credit=1000, follow=False), lambda: None)

    def fill() -> None:
        for number in range(300):
            stream.push(line(f"{number} " + "x" * 10_000))
        stream.finish()

    threading.Thread(target=fill, daemon=True).start()
    kept: list[int] = []
    frame = LogFrame(stream="x")
    while not frame.end:
        while stream.due(1e9) is None:
            time.sleep(0.005)
        frame = stream.take(0.0)
        assert frame.dropped == 0
        kept += [int(item.text.split()[0]) for item in frame.lines]
    assert kept == list(range(300))


def test_a_closed_stream_is_silent(reader: Reader, fake: FakeRuntime) -> None:
    reader.open()
    fake.say(NAME, "one")
    reader.until(lambda: reader.texts == ["one"])
    reader.streams.close(Close(stream="x"))
    fake.say(NAME, "two")
    time.sleep(0.1)
    assert reader.streams.next_frame() is None


def test_a_container_that_is_not_here_ends_the_stream_with_the_reason(reader: Reader) -> None:
    reader.streams.open(OpenLogs(stream="y", slot="none", generation=1))
    reader.until(lambda: reader.ended)
    assert "berth-none-g1" in reader.frames[-1].error


def test_a_container_of_another_cluster_shows_no_log(reader: Reader, fake: FakeRuntime) -> None:
    fake.create(identity("theirs", cluster="other"), shell("echo secret"))
    fake.start("berth-theirs-g1")
    for slot in ("theirs", "x/../y"):
        reader.streams.open(OpenLogs(stream=slot, slot=slot, generation=1))
        reader.until(lambda: reader.ended)
        assert reader.frames.pop().error
    assert reader.texts == []


def test_too_many_streams_are_refused(reader: Reader) -> None:
    for number in range(MAX_STREAMS + 1):
        reader.open(stream=str(number), tail=0)
    reader.until(lambda: reader.ended)
    assert reader.frames[-1].stream == str(MAX_STREAMS)
    assert "opens no more" in reader.frames[-1].error


@pytest.mark.engine
def test_a_real_line_arrives_soon_after_it_was_written(docker_runtime: DockerRuntime) -> None:
    script = "n=0; while [ $n -lt 10 ]; do n=$((n + 1)); echo line$n; sleep 0.1; done"
    docker_runtime.create(identity(), shell(script))
    docker_runtime.start(NAME)
    reader = Reader(docker_runtime)
    reader.open()
    ages: list[float] = []

    def note_and_ask_for_the_end() -> bool:
        written = [item.at for frame in reader.frames for item in frame.lines]
        ages.extend(time.time() - datetime.fromisoformat(at).timestamp() for at in written[len(ages) :])
        return reader.ended

    reader.until(note_and_ask_for_the_end)
    assert reader.texts == [f"line{number}" for number in range(1, 11)]
    late = sorted(ages)[len(ages) // 2]
    assert late < 0.1
    reader.observer.stop()


@pytest.mark.engine
def test_a_real_restart_is_read_on(docker_runtime: DockerRuntime) -> None:
    wanted = shell("echo run; sleep 0.2; exit 1", restart="on-failure", restart_max=2)
    docker_runtime.create(identity(), wanted)
    docker_runtime.start(NAME)
    reader = Reader(docker_runtime)
    reader.open(tail=-1)
    reader.until(lambda: reader.ended, timeout=20)
    assert reader.texts == ["run"] * 3
    reader.observer.stop()


@pytest.mark.engine
def test_a_real_terminals_output_is_read(docker_runtime: DockerRuntime) -> None:
    docker_runtime.create(identity(), shell("echo one; echo two >&2; exit 0", tty=True))
    docker_runtime.start(NAME)
    reader = Reader(docker_runtime)
    reader.open(tail=-1)
    reader.until(lambda: reader.ended)
    assert reader.texts == ["one", "two"]
    reader.observer.stop()
