"""Old images go: those that the console names, of those that may."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable

from nodeagent.errors import AgentError
from nodeagent.fetched import Fetched, is_used
from nodeagent.periodic import Periodic
from nodeagent.protocol import ImageFact, Result, Tidy
from nodeagent.runtime.base import EngineUnavailable, Runtime

log = logging.getLogger(__name__)

LOOK_EVERY = 300.0
"""Seconds between two looks at which images are in use: as exact is how long one has not been."""
LEAST_UNUSED = 600.0
"""Whatever the console says: between a pull and the container that it was for may lie some seconds."""


def removable(
    images: Iterable[ImageFact],
    named: Collection[str],
    used: Collection[str],
    unused_for: Callable[[ImageFact], float | None],
    unused: float,
) -> list[ImageFact]:
    """Of the named images those that may go, the one that was unused for longest first."""
    ages = [
        (age, fact.id, fact)
        for fact in images
        if fact.id in named
        and not is_used(fact, used)
        and (age := unused_for(fact)) is not None
        and age >= unused
    ]
    return [fact for _age, _id, fact in sorted(ages, key=lambda each: (-each[0], each[1]))]


class Tidier(Periodic):
    """One thread, which sees which images are in use. `run` is for any other, one at a time."""

    def __init__(self, runtime: Runtime, fetched: Fetched, clock: Callable[[], float] = time.time) -> None:
        super().__init__("tidier", LOOK_EVERY)
        self._runtime = runtime
        self._fetched = fetched
        self._clock = clock
        self._running = threading.Lock()

    def look(self) -> tuple[tuple[ImageFact, ...], frozenset[str]]:
        """The images, and what is in use. Raises `AgentError` for an engine that does not answer."""
        began = self._clock()
        images = self._runtime.images()
        used = self._runtime.used_images()
        self._fetched.saw(images, used, began)
        return images, used

    def run(self, job: Tidy, may: Callable[[], None]) -> Result:
        """`may` is asked before each removal, and raises `AgentError` once it may not go on. Raises it only before
        anything is removed."""
        # In this order a NaN becomes the least.
        unused = max(LEAST_UNUSED, job.unused)
        with self._running:
            images, used = self.look()
            gone: list[ImageFact] = []
            refusal = ""
            for fact in removable(images, frozenset(job.images), used, self._fetched.unused_for, unused):
                try:
                    may()
                except AgentError as error:
                    if not gone:
                        raise
                    refusal = error.message
                    break
                try:
                    if self._remove(fact, unused):
                        gone.append(fact)
                except EngineUnavailable as error:
                    refusal = error.message
                    break
                except AgentError as error:
                    log.info("an image stays: %s", error.message)
                    refusal = error.message
        return Result(job=job.id, ok=True, message=refusal, removed=tuple(gone))

    def _remove(self, fact: ImageFact, unused: float) -> bool:
        """By its names alone: with a name that somebody gives it at this moment it stays."""
        removed = self._fetched.let_go(fact, unused, self._runtime.remove_image)
        return removed and self._runtime.image(fact.id) is None
