"""What the agent knows of its present session with the console."""

from __future__ import annotations

import threading
from pathlib import Path

from nodeagent import names
from nodeagent.errors import Stale, Waiting
from nodeagent.facts import Key
from nodeagent.files import write_atomic
from nodeagent.protocol import Welcome

CLUSTER_FILE = "cluster"
NO_SESSION = -1


class Session:
    """The cluster (kept across restarts), the session's number, and whether its `Sync` has come.

    The gate is shut from the loss of the link until the `Sync` of the next session (design rule 4). A job gets a
    `ticket` when it arrives; it is good until the link is lost, for the next assignment was made without it.
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / CLUSTER_FILE
        self._lock = threading.Lock()
        self.cluster = self._file.read_text().strip() if self._file.exists() else ""
        self.number = NO_SESSION
        self._synced = False
        self._started: set[Key] = set()

    @property
    def waiting(self) -> bool:
        return not self._synced

    def begin(self, welcome: Welcome) -> bool:
        """A new session. True when it belongs to another cluster than the one before."""
        names.check_name(names.CLUSTER, welcome.cluster, "The cluster id")
        with self._lock:
            changed = welcome.cluster != self.cluster
            if changed:
                write_atomic(self._file, welcome.cluster.encode(), 0o644)
            self.cluster, self.number = welcome.cluster, welcome.session
            self._synced = False
            self._started = set()
        return changed

    def end(self) -> None:
        """The link is gone: what the console decided before may not hold any more."""
        with self._lock:
            self.number, self._synced = NO_SESSION, False

    def check_number(self, number: int) -> None:
        """Raises `Stale` unless this is the present session's number."""
        if number != self.number or number == NO_SESSION:
            raise Stale(
                f"The assignment is of session {number}, but that is not the present session.", fatal=False
            )

    def open_gate(self, number: int) -> None:
        """Raises `Stale` when that session ended while its assignment was being taken in."""
        with self._lock:
            self.check_number(number)
            self._synced = True

    def ticket(self) -> int:
        """The session whose assignment holds now, or `NO_SESSION`."""
        with self._lock:
            return self.number if self._synced else NO_SESSION

    def require(self, ticket: int) -> None:
        """Raises `Waiting` unless the assignment that held when the ticket was given still holds."""
        if ticket == NO_SESSION or not self._synced or ticket != self.number:
            raise Waiting(
                "This node has not had its assignment for this session yet, so it starts and stops nothing. "
                "The job is repeated after it."
            )

    def note_started(self, key: Key, ticket: int | None = None) -> None:
        """A `Sync` of this session that arrives late must not stop what was ensured after it was made.

        Raises `Waiting` when the ticket's session is over.
        """
        with self._lock:
            if ticket is not None:
                self.require(ticket)
            self._started.add(key)

    def started(self) -> frozenset[Key]:
        with self._lock:
            return frozenset(self._started)
