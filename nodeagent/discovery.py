"""Keeps the names of containers in step with their health. One thread looks, a few act."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from nodeagent import naming
from nodeagent.errors import AgentError
from nodeagent.facts import Key, Known
from nodeagent.observer import Observer
from nodeagent.step import Stepper

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
WORKERS = 4
FIRST_RETRY, LAST_RETRY = 0.5, 15.0


class Discovery:
    """Acts on what the observer knows; whatever fails is tried again, for the labels say what is wanted."""

    def __init__(self, observer: Observer, stepper: Stepper) -> None:
        self._observer = observer
        self._stepper = stepper
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._under_way: set[Key] = set()
        self._failures: dict[Key, tuple[int, float]] = {}
        """How often in a row, and not before when it is tried again."""
        self._again = False
        """What was begun has ended."""
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="names")
        self.thread = threading.Thread(target=self._follow, name="names", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self._observer.changed:
            self._observer.changed.notify_all()

    def _follow(self) -> None:
        while not self._stop.is_set():
            looked, self._again = self._observer.version, False
            try:
                self.look()
            except Exception:
                log.exception("the names of containers could not be looked at")
            self._await_change(looked)

    def _await_change(self, since: int) -> None:
        """Of the set that was looked at, or of what was begun then; names that could not be set right are due again."""
        with self._observer.changed:
            self._observer.changed.wait_for(
                lambda: self._again or self._stop.is_set() or self._observer.version != since,
                FIRST_RETRY if self._failures else LOOK_EVERY,
            )

    def look(self) -> None:
        """Begins what is due now."""
        running = self._observer.running()
        with self._lock:
            keys = {known.key for known in running}
            self._failures = {key: value for key, value in self._failures.items() if key in keys}
            now = time.monotonic()
            waiting = {key for key, (_times, until) in self._failures.items() if until > now}
            begin = [
                known
                for known in running
                if known.key not in self._under_way and known.key not in waiting and known.due
            ]
            self._under_way.update(known.key for known in begin)
        for known in begin:
            self._workers.submit(self._settle, known)

    def _settle(self, known: Known) -> None:
        try:
            self._stepper.name(known.identity)
            failed = False
        except AgentError as error:
            failed = True
            log.warning("the names of %s cannot be set right: %s", known.identity.name, error.message)
        except Exception:
            failed = True
            log.exception("the names of %s cannot be set right", known.identity.name)
        self._observer.look_at(known.identity.engine_name)
        facts = self._observer.find(*known.key)
        # Else what the engine takes and does not do would be asked of it without a pause.
        failed |= facts is not None and bool(naming.due(facts))
        with self._lock:
            self._under_way.discard(known.key)
            times = self._failures.pop(known.key, (0, 0.0))[0]
            if failed:
                pause = min(FIRST_RETRY * 2.0 ** min(times, 10), LAST_RETRY)
                self._failures[known.key] = times + 1, time.monotonic() + pause
        with self._observer.changed:
            self._again = True
            self._observer.changed.notify_all()
