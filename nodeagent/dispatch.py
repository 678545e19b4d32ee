"""Jobs of a batch, carried out side by side: in order within a slot, freely between slots."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from nodeagent.assignment import Assignment
from nodeagent.errors import AgentError, Busy
from nodeagent.lastlog import AT_ONCE, KeepLog
from nodeagent.outgoing import Outgoing
from nodeagent.overlay import OverlayPart
from nodeagent.protocol import (
    Batch,
    Ensure,
    ImageFact,
    Job,
    Network,
    Progress,
    Pull,
    Receipt,
    Remove,
    Result,
    Stop,
    Swarm,
    Sync,
    Tidy,
)
from nodeagent.pulls import Images
from nodeagent.queues import SlotJob, SlotQueues
from nodeagent.runtime.base import ContainerFacts, DiskFull
from nodeagent.session import Session
from nodeagent.step import NeedsPull, Stepper

log = logging.getLogger(__name__)

WORKERS = 4
"""For what is of no slot."""
ASKERS = 4
LIMIT = 2000
PULL_TIMEOUT = 600.0
YIELD = 120.0
"""Seconds for which what has ended is left lying while others start: their users wait, and it harms nobody."""


class Dispatcher:
    """`accept` returns at once; each job ends in exactly one `Result`, unless the agent ends first.

    A job that arrives again while it is under way is only receipted. Slots have their queues. Pulls have threads of
    their own, and none for those who wait for the same image, so that slow registries never hold up starts, stops and
    other images; so has what is asked of registries, and what is kept of a container before its removal. A removal,
    of an image too, lets the starts beside it go first.
    """

    def __init__(
        self,
        session: Session,
        stepper: Stepper,
        assignment: Assignment,
        images: Images,
        outgoing: Outgoing,
        keep_log: KeepLog,
        saw: Callable[[ContainerFacts | None], None],
        overlay: OverlayPart,
        tidy: Callable[[Tidy, Callable[[], None]], Result],
    ) -> None:
        """`saw` takes in what the engine said of a container, so that it is told before what follows."""
        self._session = session
        self._stepper = stepper
        self._assignment = assignment
        self._images = images
        self._outgoing = outgoing
        self._keep_log = keep_log
        self._saw = saw
        self._overlay = overlay
        self._tidy = tidy
        self._slots = SlotQueues(self._run)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="job")
        self._askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="resolve")
        self._keepers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="keep")
        self._lock = threading.Lock()
        self.taken = 0
        """Batches, since the agent's start."""
        self._under_way: set[str] = set()
        self._log_done: set[str] = set()

    def accept(self, batch: Batch) -> None:
        """Receipt all, then start what is new. A `Sync` opens the gate before the jobs beside it run."""
        self.taken += 1
        self._outgoing.put(Receipt(jobs=tuple(job.id for job in batch.jobs)))
        for job in sorted(batch.jobs, key=lambda job: not isinstance(job, Sync)):
            self._begin(job)

    def _begin(self, job: Job) -> None:
        with self._lock:
            if job.id in self._under_way:
                return
            if len(self._under_way) >= LIMIT:
                busy = Busy(
                    f"This node has {LIMIT} jobs under way and takes no more now. The job is repeated."
                )
                self._outgoing.put(_failure(job, busy))
                return
            self._under_way.add(job.id)
        if isinstance(job, Sync):
            self._sync(job)
        elif isinstance(job, Swarm | Network):
            self._workers.submit(self._finish, job, lambda: self._overlay.run(job))
        elif isinstance(job, Tidy):
            self._workers.submit(self._finish, job, partial(self._tidy_up, job, self._session.ticket()))
        elif isinstance(job, Pull) and job.resolve:
            self._askers.submit(self._finish, job, lambda: self._resolve(job))
        elif isinstance(job, Pull):
            self._fetch(job)
        else:
            self._slots.put(job, self._session.ticket())

    def _run(self, job: SlotJob, ticket: int) -> None:
        try:
            self._session.require(ticket)
            match job:
                case Ensure():
                    if not self._ensure(job, ticket):
                        return
                case Stop():
                    self._saw(self._stepper.stop(job))
                case Remove():
                    if not self._without_log(job, ticket):
                        return
                    self._stepper.remove(job)
        except Exception as error:  # noqa: BLE001 - the edge: every job gets an answer
            self._end(_failure(job, error))
        else:
            self._end(Result(job=job.id, ok=True))

    def _ensure(self, job: Ensure, ticket: int) -> bool:
        """False when it goes on elsewhere, once its image is here."""
        try:
            self._stepper.ensure(job, ticket)
        except NeedsPull:
            self._fetch_then_ensure(job, ticket)
            return False
        return True

    def _without_log(self, job: Remove, ticket: int) -> bool:
        """Whether its log is out of the way. Else the job comes back to its slot's queue once it is."""
        with self._lock:
            if job.id in self._log_done:
                self._log_done.discard(job.id)
                return True
        self._keepers.submit(self._keep_then_remove, job, ticket, time.monotonic() + YIELD)
        return False

    def _keep_then_remove(self, job: Remove, ticket: int, at_last: float) -> None:
        self._slots.await_calm(at_last - time.monotonic())
        try:
            self._keep_log(job.slot, job.generation)
        except Exception as error:  # noqa: BLE001 - the edge: every job gets an answer
            self._end(_failure(job, error))
            return
        with self._lock:
            self._log_done.add(job.id)
        self._slots.put(job, ticket)

    def _finish(self, job: Job, work: Callable[[], Result]) -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - the edge: every job gets an answer
            result = _failure(job, error)
        self._end(result)

    def _end(self, result: Result) -> None:
        with self._lock:
            self._under_way.discard(result.job)
        self._outgoing.put(result)

    def _sync(self, job: Sync) -> None:
        try:
            strangers = self._assignment.accept(job)
        except Exception as error:  # noqa: BLE001 - the edge: every job gets an answer
            self._end(_failure(job, error))
            return

        def clear() -> Result:
            self._assignment.clear(strangers)
            return Result(
                job=job.id,
                ok=True,
                message=f"{len(strangers)} containers that were not its own were stopped.",
            )

        self._workers.submit(self._finish, job, clear)

    def _tidy_up(self, job: Tidy, ticket: int) -> Result:
        self._slots.await_calm(YIELD)
        self._session.require(ticket)
        return self._tidy(job, partial(self._session.require, ticket))

    def _resolve(self, job: Pull) -> Result:
        fact, warning = self._images.resolve(job.image, self._images.login(job.auth))
        code = "present-copy" if warning else ""
        return Result(job=job.id, ok=True, code=code, message=warning, image=fact)

    def _fetch(self, job: Pull) -> None:
        def landed(pulled: Future[ImageFact]) -> None:
            self._finish(job, lambda: Result(job=job.id, ok=True, image=pulled.result()))

        self._call_back(job, landed, job.image, job.timeout)

    def _fetch_then_ensure(self, job: Ensure, ticket: int) -> None:
        def ensure(pulled: Future[ImageFact]) -> Result:
            pulled.result()
            try:
                self._stepper.ensure(job, ticket)
            except NeedsPull as gone:
                raise gone.missing from gone
            return Result(job=job.id, ok=True)

        def landed(pulled: Future[ImageFact]) -> None:
            self._slots.start(lambda: self._finish(job, lambda: ensure(pulled)))

        self._call_back(job, landed, job.spec.image, PULL_TIMEOUT, if_missing=True)

    def _call_back(
        self,
        job: Pull | Ensure,
        landed: Callable[[Future[ImageFact]], None],
        image: str,
        timeout: float,
        *,
        if_missing: bool = False,
    ) -> None:
        """Once the image is here, or cannot be had: in a thread that others wait for."""
        try:
            login = self._images.login(job.auth)
            pulled = self._images.pull(image, login, self._reporter(job.id), timeout, if_missing=if_missing)
        except Exception as error:  # noqa: BLE001 - the edge: every job gets an answer
            self._end(_failure(job, error))
            return
        pulled.add_done_callback(landed)

    def _reporter(self, job: str) -> Callable[[str, int, int], None]:
        def report(text: str, done: int, total: int) -> None:
            self._outgoing.put_progress(Progress(job=job, text=text, done=done, total=total))

        return report


def _failure(job: Job, error: Exception) -> Result:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        error = DiskFull(
            f"The agent cannot keep its records: no space left on the node's disk ({error.filename or 'its state'}). "
            "Free disk space on the node."
        )
    if isinstance(error, AgentError):
        log.warning("job %s failed: %s: %s", job.id, error.code, error.message)
        return Result(job=job.id, ok=False, code=error.code, message=error.message, fatal=error.fatal)
    log.error("job %s failed unexpectedly", job.id, exc_info=error)
    return Result(
        job=job.id,
        ok=False,
        code="internal",
        message=f"The agent failed on this job ({type(error).__name__}); see its log.",
    )
