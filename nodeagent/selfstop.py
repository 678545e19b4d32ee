"""What may never run twice stops itself when nobody can say any more that it is the only one (design, decision 8)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from nodeagent import protocol
from nodeagent.errors import AgentError
from nodeagent.facts import Known
from nodeagent.periodic import Periodic

log = logging.getLogger(__name__)

ALONE = 20.0
"""Seconds without an acknowledged heartbeat, counted from when that was sent."""
LOOK_EVERY = 0.5
PARALLEL = 4
REASON = (
    f"Its node's agent stopped it: for {ALONE:.0f} s the console had acknowledged no heartbeat, "
    "and an exclusive container may have been replaced by then."
)


class SelfStop(Periodic):
    """One thread. Whatever the console knows: it learns of the end, and of its reason, with the next hello."""

    def __init__(
        self,
        since_contact: Callable[[], float],
        running: Callable[[], Iterable[Known]],
        halt: Callable[[str, int, float], None],
        note: Callable[[str, str], None],
    ) -> None:
        """`halt` stops a slot's generation within its grace; `note` keeps the reason for a container's record."""
        super().__init__("self-stop", LOOK_EVERY)
        self._since_contact = since_contact
        self._running = running
        self._halt = halt
        self._note = note

    def look(self) -> None:
        """Stop all that is exclusive and runs, if contact was lost for too long."""
        if self._since_contact() < ALONE:
            return
        alone = [known for known in self._running() if is_exclusive(known)]
        if alone:
            with ThreadPoolExecutor(PARALLEL, thread_name_prefix="self-stop") as pool:
                list(pool.map(self._end, alone))

    def _end(self, known: Known) -> None:
        log.warning("%s is stopped: no contact to the console for %.0f s", known.identity.name, ALONE)
        self._note(known.facts.engine_id, REASON)
        try:
            self._halt(*known.key, known.facts.stop_grace)
        except AgentError as error:
            log.error("%s cannot be stopped now: %s", known.identity.name, error.message)


def is_exclusive(known: Known) -> bool:
    return known.facts.labels.get(protocol.LABEL_EXCLUSIVE) == "1"
