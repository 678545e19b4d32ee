"""Jobs under way in one life of an agent: nodeagent/dispatch.py with generators in the place of threads.

In order within a slot, freely between slots. A generator yields the seconds that its next part takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from nodeagent import protocol
from nodeagent.errors import AgentError
from nodeagent.facts import Known
from nodeagent.protocol import (
    Batch,
    Ensure,
    ImageFact,
    Job,
    Progress,
    Pull,
    Receipt,
    Remove,
    Result,
    Stop,
    Sync,
    Tidy,
)
from nodeagent.runtime.base import ImageMissing, RegistryUnreachable
from nodeagent.session import NO_SESSION
from nodeagent.step import NeedsPull

if TYPE_CHECKING:
    from sim.agent import Agent

Steps = Iterator[float]
LONGEST_PULL = 12.0
OFTEN = 5.0
"""Seconds of a pull between two reports of its progress."""


class Work:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._world = agent.world
        self._engine = agent.host.engine
        self._under_way: set[str] = set()
        self._queues: dict[str, deque[Steps]] = {}

    def accept(self, batch: Batch) -> None:
        self._agent.put(Receipt(jobs=tuple(job.id for job in batch.jobs)))
        for job in sorted(batch.jobs, key=lambda job: not isinstance(job, Sync)):
            if job.id in self._under_way:
                continue
            self._under_way.add(job.id)
            self._begin(job)

    def _begin(self, job: Job) -> None:
        if isinstance(job, Sync):
            self._sync(job)
        elif isinstance(job, Pull):
            self._spawn(self._answered(job, self._pull(job)))
        elif isinstance(job, Tidy):
            self._spawn(self._answered(job, self._tidy(job, self._agent.session.ticket())))
        elif isinstance(job, Ensure | Stop | Remove):
            slot = job.identity.slot if isinstance(job, Ensure) else job.slot
            ticket = self._agent.session.ticket()
            self._enqueue(slot, self._answered(job, self._slot_job(job, ticket), ticket))

    # -- virtual threads

    def _spawn(self, steps: Steps) -> None:
        delay = next(steps, None)
        if delay is not None:
            self._agent.later(delay, lambda: self._spawn(steps))

    def _enqueue(self, slot: str, steps: Steps, *, first: bool = False) -> None:
        queue = self._queues.get(slot)
        if queue is None:
            self._queues[slot] = deque([steps])
            self._drain(slot)
        elif first and len(queue) > 1:
            queue.insert(1, steps)
        else:
            queue.append(steps)

    def _drain(self, slot: str) -> None:
        """The first of the queue is at work; it leaves when it is done."""
        queue = self._queues[slot]
        while queue:
            delay = next(queue[0], None)
            if delay is not None:
                self._agent.later(delay, lambda: self._drain(slot))
                return
            queue.popleft()
        del self._queues[slot]

    def _answered(self, job: Job, steps: Steps, ticket: int = NO_SESSION) -> Steps:
        """One result at the end, whatever the end is. `NeedsPull` goes on outside of the slot's queue."""
        try:
            yield from steps
        except NeedsPull:
            self._spawn(self._answered(job, self._pull_then_ensure(job, ticket)))
        except AgentError as error:
            self._end(Result(job=job.id, ok=False, code=error.code, message=error.message, fatal=error.fatal))

    def _end(self, result: Result) -> None:
        self._under_way.discard(result.job)
        self._agent.put(result)

    def _a_moment(self) -> float:
        rates, random = self._world.rates, self._world.random
        slow = rates.slow and random.random() < rates.slow
        return random.random() * (12.0 if slow else 0.3)

    # -- jobs

    def _slot_job(self, job: Ensure | Stop | Remove, ticket: int) -> Steps:
        yield self._a_moment()
        self._agent.session.require(ticket)
        match job:
            case Ensure():
                self._agent.stepper.ensure(job, ticket)
            case Stop():
                self._agent.fence.close((job.slot, job.generation))
                yield from self._program_ends(protocol.engine_name(job.slot, job.generation), job.grace)
                self._agent.stepper.stop(job)
                self._world.checks.told_to_stop(self._agent.host, (job.slot, job.generation))
            case Remove():
                self._agent.stepper.remove(job)
        self._end(Result(job=job.id, ok=True))

    def _program_ends(self, name: str, grace: float) -> Steps:
        """Between the signal and the end; the engine waits for it without its agent, too."""
        box = self._engine.boxes.get(name)
        if box is None or not box.live or not self._engine.up:
            return
        seconds = min(grace, self._a_moment())
        self._engine.later(name, seconds, lambda: self._engine.kill(name))
        yield seconds

    def _sync(self, job: Sync) -> None:
        try:
            strangers = self._agent.assignment.accept(job)
        except AgentError as error:
            self._end(Result(job=job.id, ok=False, code=error.code, message=error.message, fatal=error.fatal))
            return
        left = [len(strangers)]
        errors: list[AgentError] = []
        if not strangers:
            self._end(Result(job=job.id, ok=True))
        for known in strangers:
            steps = self._clear(job, known, left, errors)
            self._enqueue(known.key[0], steps, first=self._world.random.random() < 0.5)

    def _clear(self, job: Sync, known: Known, left: list[int], errors: list[AgentError]) -> Steps:
        yield from self._program_ends(known.facts.name, known.facts.stop_grace)
        try:
            self._agent.stepper.clear(*known.key, known.facts.stop_grace)
        except AgentError as error:
            errors.append(error)
        left[0] -= 1
        if left[0]:
            return
        if errors:
            self._end(Result(job=job.id, ok=False, code=errors[0].code, message=errors[0].message))
        else:
            self._end(Result(job=job.id, ok=True))

    def _pull_then_ensure(self, job: Job, ticket: int) -> Steps:
        if not isinstance(job, Ensure):
            raise AssertionError(f"a {type(job).__name__} needs no image")
        yield from self._fetch(job.id, job.spec.image)
        self._agent.stepper.ensure(job, ticket)
        self._end(Result(job=job.id, ok=True))

    def _fetch(self, job: str, reference: str) -> Steps:
        with self._agent.fetched.wanted(reference):
            yield from self._fetch_missing(job, reference)

    def _fetch_missing(self, job: str, reference: str) -> Steps:
        if self._engine.image(reference):
            return
        fact = self._world.registry.get(reference.partition("@")[0])
        left = self._world.random.random() * (LONGEST_PULL if self._world.rates.slow else 2.0)
        while left > 0:
            self._agent.put_progress(Progress(job=job, text="Downloading"))
            yield min(left, OFTEN)
            left -= OFTEN
        if self._world.registry_fails():
            raise RegistryUnreachable("no such host")
        if fact is None:
            raise ImageMissing(f"{reference} is not in its registry")
        self._agent.fetched.fetching(reference)
        self._engine.local_images[fact.id] = fact
        self._agent.view.images_changed()

    def _tidy(self, job: Tidy, ticket: int) -> Steps:
        yield self._a_moment()
        self._agent.session.require(ticket)
        result = self._agent.tidier.run(job, partial(self._agent.session.require, ticket))
        self._agent.view.images_changed()
        self._end(result)

    def _pull(self, job: Pull) -> Steps:
        yield self._a_moment()
        if not job.resolve:
            yield from self._fetch(job.id, job.image)
            self._end(Result(job=job.id, ok=True, image=self._engine.image(job.image)))
            return
        fact: ImageFact | None = self._world.registry.get(job.image)
        if self._world.registry_fails():
            raise RegistryUnreachable("no such host")
        if fact is None:
            raise ImageMissing(f"the registry does not know {job.image}")
        self._end(Result(job=job.id, ok=True, image=fact))
