"""Who ran when, from made-up moments; and the same from a real engine that is killed meanwhile."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest

from lab.engine import Engine
from lab.eventlog import EventLog, Moment
from lab.look import Seen
from lab.processes import wait_until
from lab.runs import FOREVER, Run, doubled, runs_of
from nodeagent import protocol


def labels(slot: str, generation: int = 1) -> dict[str, str]:
    return {
        protocol.LABEL_CLUSTER: "c",
        protocol.LABEL_NAME: f"app/{slot}",
        protocol.LABEL_SLOT: slot,
        protocol.LABEL_GENERATION: str(generation),
    }


def start(at: float, id_: str, slot: str = "web.1", node: str = "n1", generation: int = 1) -> Moment:
    return Moment(at, node, "start", id_, labels(slot, generation))


def look(at: float, *seen: Seen, node: str = "n1") -> Moment:
    return Moment(at, node, "look", seen=seen)


def seen(id_: str, *, running: bool, started: float, finished: float = 0.0) -> Seen:
    return Seen(id_, labels("web.1"), running, started, finished)


def shape(moments: list[Moment]) -> list[tuple[str, float, float]]:
    return [(run.container, run.began, run.ended) for run in runs_of(moments)]


def test_a_run_lasts_from_start_to_die() -> None:
    assert shape([start(1, "a"), Moment(3, "n1", "die", "a"), start(5, "a")]) == [
        ("a", 1, 3),
        ("a", 5, FOREVER),
    ]


def test_a_look_ends_what_stopped_unheard() -> None:
    stopped = seen("a", running=False, started=1, finished=2.5)
    assert shape([start(1, "a"), look(9, stopped)]) == [("a", 1, 2.5)]
    assert shape([start(1, "a"), look(9)]) == [("a", 1, 9)]


def test_a_look_finds_what_started_unheard_or_started_again() -> None:
    assert shape([look(9, seen("a", running=True, started=4))]) == [("a", 4, FOREVER)]
    again = seen("a", running=True, started=6, finished=5)
    assert shape([start(1, "a"), look(9, again)]) == [("a", 1, 5), ("a", 6, FOREVER)]


def test_a_look_finds_what_came_and_went_unheard() -> None:
    gone = seen("a", running=False, started=4, finished=6)
    assert shape([look(9, gone), look(12, gone)]) == [("a", 4, 6)]


def test_a_look_at_what_is_known_changes_nothing() -> None:
    known = seen("a", running=True, started=0.9)
    assert shape([start(1, "a"), look(9, known), look(9, node="n2")]) == [("a", 1, FOREVER)]


def test_all_of_a_dark_host_ends_and_nothing_elsewhere() -> None:
    moments = [start(1, "a"), start(2, "b", "web.2", "n2"), Moment(4, "n1", "dark")]
    assert shape(moments) == [("a", 1, 4), ("b", 2, FOREVER)]


def test_runs_of_one_slot_at_once_are_found_anywhere() -> None:
    first = Run("app/db.1", "s", 1, "a", "n1", 1, 10)
    second = replace(first, generation=2, container="b", node="n2", began=3, ended=4)
    third = replace(first, generation=3, container="c", began=9, ended=FOREVER)
    elsewhere = replace(first, slot="t")
    assert doubled([first, elsewhere, second, third]) == [(first, second), (first, third)]
    assert doubled([first, replace(third, began=10)]) == []


@pytest.mark.engine
def test_nothing_is_missed_while_the_engine_is_dead(engine: Engine) -> None:
    log = EventLog({"n1": engine})
    log.start()
    try:
        with engine.client() as client:
            made = [
                client.containers.run(
                    "berth/demo", detach=True, name=f"c{number}", labels=labels(f"web.{number}"), init=True
                )
                for number in (1, 2, 3)
            ]
            made[0].kill()
            made[0].wait()
            made[1].reload()
        engine.kill()
        os.kill(made[1].attrs["State"]["Pid"], signal.SIGKILL)
        engine.start()
        assert wait_until(
            lambda: len([run for run in runs_of(log.moments()) if run.ended != FOREVER]) == 2, 20.0
        )
        # The engine's death did not end what ran through it, and what ended meanwhile did so once.
        runs = runs_of(log.moments())
        assert [run.slot for run in runs if run.ended == FOREVER] == ["web.3"]
        assert [run.slot for run in runs] == ["web.1", "web.2", "web.3"]
        assert all(run.began <= time.time() for run in runs)
    finally:
        log.stop()
