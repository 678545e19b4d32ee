"""The log of a container that ended is handed over to the console before the container is removed.

It is read from the engine while it is sent: a few compressed segments are in memory, never the whole. A console
that stores nothing is waited for, but not for ever: then the container goes without its log, and that is told.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from nodeagent.errors import Waiting
from nodeagent.facts import Key, identity_of
from nodeagent.memory import Blank, Memory
from nodeagent.protocol import LogNotKept, LogSegment, LogStored, engine_name
from nodeagent.runtime.base import EngineError, EngineTimeout, EngineUnavailable, NotFound, Runtime
from nodeagent.segments import segments
from nodeagent.session import NO_SESSION, Session
from nodeagent.vault import Withheld

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds without a stored segment after which the container is removed all the same."""
PROBE = 2.0
"""The patience while the console has stored nothing since it was last given up on."""
WINDOW = 2
"""Segments of one container that are under way."""
AT_ONCE = 4
"""Logs that are handed over at the same time."""
RETRY = 5.0
"""Seconds after which what the console could not store is sent again."""


class KeepLog(Protocol):
    """`LastLogs.keep`, for those who remove."""

    def __call__(self, slot: str, generation: int, patience: float = PATIENCE) -> None: ...


class _Unwanted(Exception):
    """The console keeps no log of this container."""


class _GivenUp(Exception):
    """It stored nothing for too long; the text says why."""


@dataclass(slots=True)
class _Upload:
    session: int
    patience: float
    progress_at: float
    waiting: dict[int, LogSegment] = field(default_factory=dict)
    """Sent, and not stored yet as far as is known."""
    unwanted: bool = False
    error: str = ""
    again_at: float | None = None

    def due(self) -> float:
        """When to look again if nothing is heard."""
        until = self.progress_at + self.patience
        return until if self.again_at is None else min(until, self.again_at)


class LastLogs:
    """`keep` is called by the threads that remove; the link's thread takes segments and brings answers."""

    def __init__(
        self,
        runtime: Runtime,
        session: Session,
        wake: Callable[[], None],
        tell: Callable[[LogNotKept], None],
        memory: Memory | None = None,
    ) -> None:
        self._runtime = runtime
        self._memory = memory or Blank()
        self._session = session
        self._wake = wake
        self._tell = tell
        self._changed = threading.Condition()
        self._uploads: dict[Key, _Upload] = {}
        self._out: deque[LogSegment] = deque()
        self._failing = False

    def keep(self, slot: str, generation: int, patience: float = PATIENCE) -> None:
        """Hand over this container's log if it ended and has one. Afterwards it may be removed.

        Raises `Waiting` when the link is lost meanwhile, and `EngineUnavailable`: the job is repeated.
        """
        key = slot, generation
        with self._changed:
            self._changed.wait_for(lambda: key not in self._uploads and len(self._uploads) < AT_ONCE)
            patience = min(patience, PROBE) if self._failing else patience
            upload = self._uploads[key] = _Upload(self._session.number, patience, time.monotonic())
        try:
            self._hand_over(key, upload)
        except _Unwanted:
            log.info("the console keeps no log of %s", engine_name(slot, generation))
        except _GivenUp as reason:
            with self._changed:
                self._failing = True
            self._say(key, str(reason))
        except EngineTimeout as error:
            self._say(key, error.message)
        except EngineUnavailable:
            raise
        except NotFound:
            log.info("%s is gone already", engine_name(slot, generation))
        except (EngineError, Withheld) as error:
            self._say(key, error.message)
        finally:
            with self._changed:
                del self._uploads[key]
                self._out = deque(each for each in self._out if (each.slot, each.generation) != key)
                self._changed.notify_all()

    def next_segment(self) -> LogSegment | None:
        """What the link is to send."""
        with self._changed:
            return self._out.popleft() if self._out else None

    def stored(self, answer: LogStored) -> None:
        """The console's answer to a segment."""
        with self._changed:
            upload = self._uploads.get((answer.slot, answer.generation))
            if upload is None or answer.number not in upload.waiting:
                return
            if answer.outcome == "failed":
                upload.error = answer.error
                upload.again_at = time.monotonic() + RETRY
            else:
                del upload.waiting[answer.number]
                upload.unwanted = upload.unwanted or answer.outcome == "unwanted"
                upload.progress_at, upload.error = time.monotonic(), ""
                self._failing = False
            self._changed.notify_all()

    def link_lost(self) -> None:
        with self._changed:
            self._out.clear()
            self._changed.notify_all()

    def _say(self, key: Key, reason: str) -> None:
        slot, generation = key
        log.error("the log of %s is not kept: %s", engine_name(slot, generation), reason)
        self._tell(LogNotKept(slot=slot, generation=generation, reason=reason[:400]))

    def _hand_over(self, key: Key, upload: _Upload) -> None:
        name = engine_name(*key)
        facts = self._memory.find(*key)
        if facts is None or not facts.ended:
            facts = self._runtime.inspect(name)
        if facts is None or not facts.ended or facts.state == "created":
            return
        identity = identity_of(facts.labels)
        if identity is None or identity.cluster != self._session.cluster:
            return
        with closing(self._runtime.logs(facts, follow=False, tail=-1, since=0.0)) as lines:
            for segment in segments(*key, lines):
                self._await(upload, at_most=WINDOW - 1)
                with self._changed:
                    upload.waiting[segment.number] = segment
                    self._out.append(segment)
                self._wake()
        self._await(upload, at_most=0)

    def _await(self, upload: _Upload, *, at_most: int) -> None:
        """Until no more than so many segments are under way. What was refused for now is sent again."""
        with self._changed:
            while True:
                now = time.monotonic()
                if self._session.number != upload.session or upload.session == NO_SESSION:
                    raise Waiting(
                        "The link was lost while the container's log was handed over; it is repeated."
                    )
                if upload.unwanted:
                    raise _Unwanted
                if len(upload.waiting) <= at_most:
                    if at_most:
                        # The time that the engine takes to read on is not the console's.
                        upload.progress_at = now
                    return
                if now >= upload.progress_at + upload.patience:
                    raise _GivenUp(
                        upload.error
                        or f"the console did not say within {upload.patience:.0f} s that it is stored"
                    )
                if upload.again_at is not None and now >= upload.again_at:
                    upload.again_at = None
                    self._out.extend(upload.waiting.values())
                    self._wake()
                self._changed.wait(max(0.0, upload.due() - now))
