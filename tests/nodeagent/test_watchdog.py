"""A part that hangs ends the agent; a machine that slept blames no part."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from nodeagent.queuewatch import UNTAKEN_FOR, QueueWatch
from nodeagent.watchdog import ASLEEP, EXIT_WEDGED, LOOK_EVERY, Pulse, Watchdog


@dataclass
class Scene:
    now: float = 100.0
    ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pulse = Pulse("a part", 10.0, clock=self.clock)
        self.dog = Watchdog(self.pulse, end=self.ended.append, clock=self.clock)

    def clock(self) -> float:
        return self.now

    def watch(self, seconds: float, *, beating: bool) -> None:
        for _second in range(int(seconds)):
            self.now += LOOK_EVERY
            if beating:
                self.pulse.beat()
            self.dog.look()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_part_that_has_not_begun_is_waited_for(scene: Scene) -> None:
    scene.watch(100, beating=False)
    assert scene.ended == []


def test_a_part_that_moves_is_left_alone_and_one_that_hangs_ends_the_agent(scene: Scene) -> None:
    scene.watch(60, beating=True)
    scene.watch(10, beating=False)
    assert scene.ended == []
    scene.watch(1, beating=False)
    assert scene.ended == [EXIT_WEDGED]


def test_after_a_sleep_every_part_has_its_time_anew(scene: Scene) -> None:
    scene.watch(5, beating=True)
    scene.now += 40.0
    scene.dog.look()
    scene.watch(10, beating=False)
    assert scene.ended == []
    scene.watch(1, beating=False)
    assert scene.ended == [EXIT_WEDGED]


def test_a_late_look_is_no_sleep(scene: Scene) -> None:
    scene.watch(1, beating=True)
    for _look in range(5):
        scene.now += LOOK_EVERY + ASLEEP
        scene.dog.look()
    assert scene.ended == [EXIT_WEDGED] * 3


def test_a_real_process_that_hangs_ends_by_itself_with_its_code() -> None:
    """The main thread holds a lock for ever, as a deadlock would."""
    script = (
        "import threading, nodeagent.watchdog as w\n"
        "w.LOOK_EVERY = 0.05\n"
        "pulse = w.Pulse('the link', 0.2); pulse.beat(); w.Watchdog(pulse).start()\n"
        "lock = threading.Lock(); lock.acquire(); lock.acquire()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], timeout=20, capture_output=True, text=True, check=False
    )
    assert done.returncode == EXIT_WEDGED
    assert "the link has not moved" in done.stderr


# -- the queue


def queue(waiting: list[int | Exception], taken: list[int]) -> list[float]:
    """Looks once for each pair; how long the pulse was silent after each, on a clock that goes on by 15 s."""
    now = [0.0]

    def ask() -> int:
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = QueueWatch(ask, lambda: taken.pop(0))
    watch.pulse = Pulse("queue", UNTAKEN_FOR, clock=lambda: now[0])
    silent = []
    while waiting:
        now[0] += 15.0
        watch.look()
        silent.append(watch.pulse.silent_for)
    return silent


def test_jobs_that_wait_and_are_not_taken_are_a_hanging_consumer() -> None:
    assert queue([0, 2, 2, 2, 2, 2], [5, 5, 5, 5, 5, 5]) == [0.0, 15.0, 30.0, 45.0, 60.0, 75.0]


def test_a_busy_consumer_and_a_broker_that_is_away_are_none() -> None:
    assert queue([3, 3, 3, 3], [1, 2, 3, 4]) == [0.0] * 4
    assert queue([1, OSError(), 1, OSError()], [1, 1, 1, 1]) == [0.0, 0.0, 15.0, 0.0]
