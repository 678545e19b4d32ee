"""A log is handed over before its container goes: to consoles that store, that do not, and that go away."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.processes import wait_until
from nodeagent import lastlog
from nodeagent.errors import Waiting
from nodeagent.lastlog import WINDOW, LastLogs
from nodeagent.protocol import LogLine, LogNotKept, LogSegment, LogStored, Outcome, Secret, Welcome
from nodeagent.runtime.base import EngineError, EngineTimeout, EngineUnavailable, Runtime
from nodeagent.runtime.engine import DockerRuntime
from nodeagent.session import Session
from nodeagent.vault import Bind, Private, Vault
from tests.nodeagent.builders import CLUSTER, identity, shell
from tests.nodeagent.fake import FakeRuntime

NAME = identity().engine_name
Answer = Callable[[LogSegment], LogStored | None]


def stored(segment: LogSegment) -> LogStored:
    return _answer(segment, "stored")


def _answer(segment: LogSegment, outcome: Outcome, error: str = "") -> LogStored:
    return LogStored(
        slot=segment.slot,
        generation=segment.generation,
        number=segment.number,
        outcome=outcome,
        error=error,
    )


class House:
    """The part under test, and a link whose far end answers as `answer` says."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.session = Session(folder)
        self.session.begin(Welcome(node="n1", cluster=CLUSTER, session=1))
        self.told: list[LogNotKept] = []
        self.sent: list[LogSegment] = []
        self.answer: Answer = stored
        self.most_under_way = 0
        self._awake = threading.Event()
        self._over = threading.Event()
        self.logs = LastLogs(runtime, self.session, self._awake.set, self.told.append)
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def _carry(self) -> None:
        while not self._over.is_set():
            self._awake.wait(0.02)
            self._awake.clear()
            taken: list[LogSegment] = []
            while (segment := self.logs.next_segment()) is not None:
                taken.append(segment)
            self.sent += taken
            self.most_under_way = max(self.most_under_way, len(taken))
            for each in taken:
                answer = self.answer(each)
                if answer is not None:
                    self.logs.stored(answer)

    def ended(self, *lines: str) -> None:
        assert isinstance(self.runtime, FakeRuntime)
        self.runtime.create(identity(), shell("sleep 1000"))
        self.runtime.start(NAME)
        for line in lines:
            self.runtime.say(NAME, line)
        self.runtime.end(NAME, 0)

    @property
    def text(self) -> str:
        return "".join(gzip.decompress(each.data).decode() for each in self.sent)

    def stop(self) -> None:
        self._over.set()
        self.thread.join(5)


@pytest.fixture
def house(fake: FakeRuntime, tmp_path: Path) -> House:
    return House(fake, tmp_path)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lastlog, "RETRY", 0.05)


def test_the_whole_log_is_there_when_it_returns(house: House) -> None:
    house.ended("one", "two")
    house.logs.keep("s1", 1)
    [segment] = house.sent
    assert (segment.number, segment.lines, segment.end, segment.cut) == (1, 2, True, 0)
    assert [line.split(" ", 1)[1] for line in house.text.splitlines()] == ["o one", "o two"]
    assert house.text.splitlines()[0].split()[0] == segment.first
    assert house.told == []


def test_what_has_no_log_is_let_go_at_once(house: House, fake: FakeRuntime) -> None:
    house.answer = lambda segment: None
    house.logs.keep("s1", 1)
    house.ended()
    house.logs.keep("s1", 1)
    fake.create(identity("created"), shell("echo x"))
    house.logs.keep("created", 1)
    fake.create(identity("theirs", cluster="other"), shell("echo secret; exit 0"))
    fake.start(identity("theirs").engine_name)
    house.logs.keep("theirs", 1)
    assert (house.sent, house.told) == ([], [])


@pytest.mark.thorough
def test_few_segments_are_under_way(house: House, fake: FakeRuntime) -> None:
    house.ended()
    fake.containers[NAME].lines = _noise(6_000_000)
    house.logs.keep("s1", 1)
    numbers = [segment.number for segment in house.sent]
    assert len(numbers) > 4
    assert numbers == list(range(1, len(numbers) + 1))
    assert house.most_under_way <= WINDOW
    assert [segment.end for segment in house.sent] == [False] * (len(numbers) - 1) + [True]


def _noise(size: int) -> list[LogLine]:
    from random import Random

    random, lines = Random(1), []
    while size > 0:
        text = random.randbytes(1000).hex()
        size -= len(text)
        lines.append(LogLine(at="2026-01-01T00:00:00.1Z", source="stdout", text=text))
    return lines


def test_an_unwanted_log_is_let_go_in_silence(house: House) -> None:
    house.answer = lambda segment: _answer(segment, "unwanted")
    house.ended("one")
    house.logs.keep("s1", 1)
    assert house.told == []


def test_what_could_not_be_stored_is_sent_again(house: House) -> None:
    answers: Iterator[Outcome] = iter(("failed", "failed", "stored"))
    house.answer = lambda segment: _answer(segment, next(answers), "the disk is full")
    house.ended("one")
    house.logs.keep("s1", 1)
    assert [segment.number for segment in house.sent] == [1, 1, 1]
    assert house.told == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda segment: None, "the console did not say within 0 s that it is stored"),
        (lambda segment: _answer(segment, "failed", "the disk is full"), "the disk is full"),
    ],
    ids=["silence", "refusals"],
)
def test_a_console_that_stores_nothing_is_given_up(house: House, answer: Answer, reason: str) -> None:
    house.answer = answer
    house.ended("one")
    house.logs.keep("s1", 1, patience=0.2)
    assert house.told == [LogNotKept(slot="s1", generation=1, reason=reason)]


def test_the_next_ones_do_not_wait_as_long_until_it_stores_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lastlog, "PROBE", 0.05)
    house.answer = lambda segment: None
    house.ended("one")
    house.logs.keep("s1", 1, patience=0.2)
    began = time.monotonic()
    house.logs.keep("s1", 1)
    assert time.monotonic() - began < lastlog.PATIENCE / 2
    house.answer = stored
    house.logs.keep("s1", 1)
    assert len(house.told) == 2


def test_a_lost_link_ends_it_and_the_job_is_repeated(house: House) -> None:
    def lose(segment: LogSegment) -> None:
        house.session.end()
        house.logs.link_lost()

    house.answer = lose
    house.ended("one")
    with pytest.raises(Waiting):
        house.logs.keep("s1", 1)
    with pytest.raises(Waiting):
        house.logs.keep("s1", 1)
    house.session.begin(Welcome(node="n1", cluster=CLUSTER, session=2))
    house.answer = stored
    house.logs.keep("s1", 1)
    assert [segment.number for segment in house.sent] == [1, 1]
    assert house.told == []


def test_an_engine_that_is_away_is_an_error_and_a_log_that_cannot_be_read_is_told(
    house: House, fake: FakeRuntime
) -> None:
    house.ended("one")
    for error in (EngineError("the log is broken"), EngineTimeout("no answer")):
        fake.before = _raise(error)
        house.logs.keep("s1", 1)
    assert [told.reason for told in house.told] == ["the log is broken", "no answer"]
    fake.before = _raise(EngineUnavailable("the engine is away"))
    with pytest.raises(EngineUnavailable):
        house.logs.keep("s1", 1)


def test_a_log_whose_secrets_nobody_knows_any_more_stays_here_and_that_is_told(
    house: House, fake: FakeRuntime, tmp_path: Path
) -> None:
    wanted = shell("sleep 1000", secrets=(Secret(name="password", version="v1", target="/run/secrets/p"),))
    private = Private("/run/berth/n1/" + NAME, (Bind(f"/run/berth/n1/{NAME}/0", "/run/secrets/p"),))
    fake.create(identity(), wanted, private)
    fake.start(NAME)
    fake.say(NAME, "the password is correct horse")
    fake.end(NAME, 1)
    fake.redactor = Vault(tmp_path / "emptied").redactor
    house.logs.keep("s1", 1)
    assert house.sent == []
    (told,) = house.told
    assert "the values of its secrets are not there any more" in told.reason


def _raise(error: Exception) -> Callable[[str], None]:
    def before(call: str) -> None:
        if call == "logs":
            raise error

    return before


@pytest.mark.engine
def test_a_real_engines_whole_log_is_handed_over(docker_runtime: DockerRuntime, tmp_path: Path) -> None:
    script = "seq 1 20000; echo oops >&2; exit 3"
    docker_runtime.create(identity(), shell(script))
    docker_runtime.start(NAME)
    assert wait_until(lambda: (facts := docker_runtime.inspect(NAME)) is not None and facts.ended, 20)
    house = House(docker_runtime, tmp_path)
    house.logs.keep("s1", 1)
    found = [line.split(" ", 2)[1:] for line in house.text.splitlines()]
    assert [text for source, text in found if source == "o"] == [str(number) for number in range(1, 20001)]
    assert [text for source, text in found if source == "e"] == ["oops"]
    assert house.told == []
