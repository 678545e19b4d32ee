"""Programs run inside containers over the link, with what the link's thread does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nodeagent.exec import Bounds, ExecStreams
from nodeagent.observer import Observer
from nodeagent.protocol import MOST_EXEC_BYTES, Close, Credit, ExecFrame, ExecInput, ExecResize, OpenExec
from nodeagent.runtime.base import EngineUnavailable, Runtime
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.terminal import BUFFER_BYTES, INPUT_CREDIT
from tests.nodeagent.builders import CLUSTER, identity, shell
from tests.nodeagent.fake import FakeRuntime

NAME = identity().engine_name


class Reader:
    """The link's end of the streams: takes what comes until something is so."""

    def __init__(self, runtime: Runtime, bounds: Bounds | None = None) -> None:
        self.awake = threading.Event()
        self.observer = Observer(runtime, lambda: CLUSTER, lambda: None, lambda well: None)
        self.observer.start()
        self.streams = ExecStreams(runtime, self.observer, self.awake.set, bounds)
        self.frames: list[ExecFrame] = []
        self.inputs = 0
        self._said = 0

    def open(self, *command: str, **changes: Any) -> None:
        values = {
            "stream": "x",
            "slot": "s1",
            "generation": 1,
            "command": command,
            "credit": 1000,
            "tty": False,
        }
        self.streams.open(OpenExec(**{**values, **changes}))

    def say(self, data: bytes = b"", *, end: bool = False) -> None:
        self._said += 1
        self.streams.input(ExecInput(stream="x", number=self._said, data=data, end=end))

    def until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            message = self.streams.next_frame()
            if isinstance(message, Credit):
                self.inputs += message.frames
            elif message:
                self.frames.append(message)
            else:
                assert time.monotonic() < deadline, f"it did not come to pass: {self.frames[-20:]}"
                self.awake.wait(0.05)
                self.awake.clear()

    def heard(self, source: str = "stdout") -> bytes:
        return b"".join(frame.data for frame in self.frames if frame.source == source)

    @property
    def last(self) -> ExecFrame | None:
        return self.frames[-1] if self.frames and self.frames[-1].end else None

    def to_the_end(self) -> ExecFrame:
        self.until(lambda: self.last is not None)
        assert self.last is not None
        return self.last

    def stop(self) -> None:
        self.streams.close_all()
        assert self.streams.wait(10)
        self.observer.stop()


@pytest.fixture
def reader(fake: FakeRuntime) -> Iterator[Reader]:
    fake.create(identity(), shell("sleep 1000"))
    fake.start(NAME)
    made = Reader(fake)
    yield made
    made.stop()
    assert not any(process.alive for process in fake.processes)


def test_output_by_source_and_the_exit_code(reader: Reader) -> None:
    reader.open("sh", "-c", "echo one; echo two >&2; exit 3")
    last = reader.to_the_end()
    assert (reader.heard(), reader.heard("stderr")) == (b"one\n", b"two\n")
    assert (last.exit_code, last.error) == (3, "")
    assert [frame.number for frame in reader.frames] == list(range(1, len(reader.frames) + 1))
    assert reader.streams.next_frame() is None


def test_a_terminal_echoes_what_is_typed(reader: Reader) -> None:
    reader.open("sh", "-c", "read x; stty size; exit 4", tty=True, width=50, height=20)
    reader.streams.resize(ExecResize(stream="x", width=61, height=21))
    reader.say(b"he")
    reader.say(b"llo\n")
    last = reader.to_the_end()
    assert (reader.heard(), last.exit_code) == (b"hello\r\n21 61\r\n", 4)
    assert reader.inputs == INPUT_CREDIT + 2


def test_input_ends_and_the_program_answers(reader: Reader) -> None:
    reader.open("cat")
    for part in (b"one ", b"two\n"):
        reader.say(part)
    reader.say(end=True)
    assert (reader.to_the_end().exit_code, reader.heard()) == (0, b"one two\n")


def test_a_slow_reader_holds_the_program_back_and_nothing_is_lost(reader: Reader) -> None:
    reader.open(
        "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo $i $0; i=$((i+1)); done", "x" * 1000, credit=0
    )
    reader.until(lambda: reader.inputs > 0)
    time.sleep(0.3)
    assert reader.streams.next_frame() is None
    [terminal] = reader.streams._open.values()
    assert BUFFER_BYTES <= terminal._bytes < 2 * BUFFER_BYTES
    for _ in range(4):  # a frame may hold a single line
        reader.streams.credit(Credit(stream="x", frames=1000))
    assert reader.to_the_end().exit_code == 0
    assert [int(line.split()[0]) for line in reader.heard().splitlines()] == list(range(3000))
    assert max(len(frame.data) for frame in reader.frames) == MOST_EXEC_BYTES


def test_a_program_that_reads_nothing_holds_the_input_back(reader: Reader) -> None:
    reader.open("sleep", "1000")
    for _ in range(INPUT_CREDIT):
        reader.say(b"x" * MOST_EXEC_BYTES)
    reader.until(lambda: reader.inputs > INPUT_CREDIT)
    time.sleep(0.2)
    while reader.streams.next_frame():
        continue
    assert reader.inputs < 2 * INPUT_CREDIT


@pytest.mark.parametrize("how", ["too much", "lost"])
def test_input_beyond_the_credit_or_with_a_gap_ends_the_program(reader: Reader, how: str) -> None:
    reader.open("sleep", "1000")
    reader.until(lambda: reader.inputs > 0)
    if how == "lost":
        reader._said += 1
    for _ in range(2 * INPUT_CREDIT if how == "too much" else 1):
        reader.say(b"x" * MOST_EXEC_BYTES)
    assert "Input got lost" in reader.to_the_end().error


def test_a_program_ends_with_its_stream(reader: Reader, fake: FakeRuntime) -> None:
    reader.open("sh", "-c", "trap '' HUP; while :; do sleep 1; done", tty=True)
    reader.until(lambda: reader.inputs > 0)
    reader.streams.close(Close(stream="x"))
    assert reader.streams.wait(10)
    assert [process.alive for process in fake.processes] == [False]
    assert reader.streams.next_frame() is None


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("bounds", "changes", "words"),
    [
        (Bounds(), {"lease": 0.3}, "has not asked"),
        (Bounds(idle=0.3), {}, "was idle"),
        (Bounds(total=0.3), {}, "was open for"),
    ],
)
def test_time_bounds(fake: FakeRuntime, bounds: Bounds, changes: dict[str, float], words: str) -> None:
    """Also of a program that neither reads nor writes; a renewed lease lets it live."""
    fake.create(identity(), shell("sleep 1000"))
    fake.start(NAME)
    reader = Reader(fake, bounds)
    reader.open("sleep", "1000", **changes)
    begun = time.monotonic()
    while time.monotonic() - begun < 0.6 and "lease" in changes:
        reader.streams.credit(Credit(stream="x", frames=0))
        assert reader.last is None
        reader.streams.next_frame()
        time.sleep(0.05)
    assert words in reader.to_the_end().error
    reader.stop()
    assert [process.alive for process in fake.processes] == [False]


def test_a_node_runs_so_many_terminals_and_no_more(fake: FakeRuntime) -> None:
    fake.create(identity(), shell("sleep 1000"))
    fake.start(NAME)
    reader = Reader(fake, Bounds(terminals=1))
    reader.open("sleep", "1000")
    reader.open("sleep", "1000", stream="y")
    assert "opens no more" in reader.to_the_end().error
    reader.streams.close(Close(stream="x"))
    assert reader.streams.wait(10)
    reader.frames.clear()
    reader.open("true", stream="z")
    assert reader.to_the_end().exit_code == 0
    reader.stop()


def test_what_is_not_ours_or_does_not_run_runs_nothing(reader: Reader, fake: FakeRuntime) -> None:
    fake.create(identity("theirs", cluster="other"), shell("sleep 1000"))
    fake.start("berth-theirs-g1")
    fake.create(identity("idle"), shell("sleep 1000"))
    for slot in ("theirs", "idle", "none", "x/../y"):
        reader.open("true", stream=slot, slot=slot)
        last = reader.to_the_end()
        assert (last.exit_code, bool(last.error)) == (None, True)
        reader.frames.clear()
    assert fake.processes == []


def test_a_program_that_is_not_there_is_said(reader: Reader) -> None:
    reader.open("/missing/program")
    assert "no such program" in reader.to_the_end().error


def test_an_engine_that_goes_away_is_said(reader: Reader, fake: FakeRuntime) -> None:
    def gone(call: str) -> None:
        if call == "execute":
            raise EngineUnavailable("the engine is gone")

    fake.before = gone
    reader.open("true")
    assert reader.to_the_end().error == "the engine is gone"


@pytest.mark.engine
def test_a_real_terminal(docker_runtime: DockerRuntime) -> None:
    docker_runtime.create(identity(), shell("sleep 1000"))
    docker_runtime.start(NAME)
    reader = Reader(docker_runtime)
    reader.open("sh", tty=True)
    reader.say(b"echo $((6 * 7))\n")
    reader.until(lambda: b"\r\n42\r\n" in reader.heard())
    reader.say(b"exit 5\n")
    assert reader.to_the_end().exit_code == 5
    reader.stop()


@pytest.mark.engine
def test_a_real_flood_is_held_back_without_loss_and_ended(docker_runtime: DockerRuntime) -> None:
    docker_runtime.create(identity(), shell("sleep 1000"))
    docker_runtime.start(NAME)
    reader = Reader(docker_runtime)
    reader.open("sh", "-c", "i=0; while :; do echo $i; i=$((i + 1)); done", credit=20)
    reader.until(lambda: len(reader.frames) == 20)
    time.sleep(0.5)
    assert reader.streams.next_frame() is None
    reader.streams.credit(Credit(stream="x", frames=60))
    reader.until(lambda: len(reader.frames) == 80)
    numbers = [int(line) for line in reader.heard().split(b"\n")[:-1]]
    assert numbers == list(range(len(numbers)))
    reader.stop()
    top = docker_runtime._engine.json("GET", f"/containers/{NAME}/top")
    assert len(top["Processes"]) == 1
