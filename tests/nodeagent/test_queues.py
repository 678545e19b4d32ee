from __future__ import annotations

import threading
from functools import partial

import pytest

from nodeagent.protocol import Ensure, Remove, Stop
from nodeagent.queues import FEWEST_STARTS, MOST_STARTS, OTHERS, SlotJob, SlotQueues, starts_at_once
from tests.nodeagent.builders import ensure
from tests.nodeagent.test_dispatch import until

STARTS = 2


class Carrier:
    """Carries out jobs, and holds starts and stops up until they may go on."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.may_start, self.may_stop = threading.Event(), threading.Event()
        self.may_stop.set()
        self.queues = SlotQueues(self.carry_out, starts=STARTS)

    def carry_out(self, job: SlotJob, ticket: int) -> None:
        self.begun.append(job.id)
        if isinstance(job, Ensure):
            assert self.may_start.wait(5)
        else:
            assert self.may_stop.wait(5)
        self.done.append(job.id)

    def put(self, *jobs: SlotJob) -> None:
        for job in jobs:
            self.queues.put(job, 1)


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


def test_few_containers_are_started_at_a_time(carrier: Carrier) -> None:
    jobs = [ensure(f"s{number}") for number in range(5)]
    carrier.put(*jobs)
    until(lambda: len(carrier.begun) == STARTS)
    assert not carrier.done
    carrier.may_start.set()
    until(lambda: len(carrier.done) == len(jobs))
    assert set(carrier.begun) == {job.id for job in jobs}


def test_stops_and_removals_do_not_wait_for_starts(carrier: Carrier) -> None:
    carrier.put(*(ensure(f"s{number}") for number in range(2 * STARTS)))
    carrier.put(Stop(id="stop", slot="other", generation=1), Remove(id="remove", slot="other", generation=1))
    until(lambda: carrier.done == ["stop", "remove"])
    carrier.may_start.set()


def test_starts_do_not_wait_for_stops_that_take_their_grace(carrier: Carrier) -> None:
    carrier.may_stop.clear()
    carrier.may_start.set()
    carrier.put(*(Stop(id=f"stop-{number}", slot=f"o{number}", generation=1) for number in range(2 * OTHERS)))
    first = ensure("s1")
    carrier.put(first)
    until(lambda: carrier.done == [first.id])
    carrier.may_stop.set()
    until(lambda: len(carrier.done) == 1 + 2 * OTHERS)


def test_starts_outside_of_their_slots_order_take_their_turn_and_are_waited_for(carrier: Carrier) -> None:
    begun: list[int] = []

    def start(number: int) -> None:
        begun.append(number)
        assert carrier.may_start.wait(5)

    for number in range(2 * STARTS):
        carrier.queues.start(partial(start, number))
    until(lambda: len(begun) == STARTS)
    calm = threading.Thread(target=carrier.queues.await_calm, args=(60.0,), daemon=True)
    calm.start()
    calm.join(0.1)
    assert (len(begun), calm.is_alive()) == (STARTS, True)
    carrier.may_start.set()
    calm.join(5.0)
    assert (len(begun), calm.is_alive()) == (2 * STARTS, False)


def test_a_slots_jobs_keep_their_order_from_one_kind_to_the_next(carrier: Carrier) -> None:
    first, last = ensure("s1"), ensure("s1", generation=2)
    carrier.put(first, Stop(id="stop", slot="s1", generation=1), last)
    until(lambda: carrier.begun == [first.id])
    carrier.may_start.set()
    until(lambda: carrier.done == [first.id, "stop", last.id])


def test_it_is_calm_once_no_start_is_left(carrier: Carrier) -> None:
    carrier.put(*(ensure(f"s{number}") for number in range(2 * STARTS)))
    calm = threading.Thread(target=carrier.queues.await_calm, args=(60.0,), daemon=True)
    calm.start()
    until(lambda: len(carrier.begun) == STARTS)
    assert calm.is_alive()
    carrier.may_start.set()
    calm.join(5.0)
    assert (len(carrier.done), calm.is_alive()) == (2 * STARTS, False)


@pytest.mark.parametrize(
    ("cores", "starts"), [(None, FEWEST_STARTS), (1, FEWEST_STARTS), (3, 6), (64, MOST_STARTS)]
)
def test_starts_at_once_follow_the_cores(cores: int | None, starts: int) -> None:
    assert starts_at_once(cores) == starts
