"""Whether what is sent to this node is taken: a consumer may sit there for ever, well by all its own signs."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nodeagent.periodic import Periodic
from nodeagent.watchdog import Pulse

log = logging.getLogger(__name__)

LOOK_EVERY = 15.0
UNTAKEN_FOR = 60.0
"""Longer than taking in any one batch may last."""


class QueueWatch(Periodic):
    """One thread. Its pulse stops while jobs wait and none is taken; a broker that cannot be asked proves nothing."""

    def __init__(self, waiting: Callable[[], int], taken: Callable[[], int]) -> None:
        """`waiting`: batches in the node's queue; may raise. `taken`: how many were taken since the agent's start."""
        super().__init__("queue-watch", LOOK_EVERY)
        self._waiting, self._taken, self._before = waiting, taken, -1
        self.pulse = Pulse("what takes the jobs from the node's queue", UNTAKEN_FOR)

    def look(self) -> None:
        taken = self._taken()
        try:
            waiting = self._waiting()
        except Exception as error:  # noqa: BLE001 - the broker's trouble has many names, and none is this part's
            log.info("the node's queue cannot be looked at: %s", error)
            waiting = 0
        if waiting == 0 or taken != self._before:
            self.pulse.beat()
        self._before = taken
