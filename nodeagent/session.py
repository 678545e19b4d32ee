"""What the agent knows of its present session with the console."""

from __future__ import annotations

import threading
from pathlib import Path

from nodeagent import names
from nodeagent.errors import Waiting
from nodeagent.facts import Key
from nodeagent.files import write_atomic
from nodeagent.protocol import Welcome

CLUSTER_FILE = "cluster"


class Session:
    """The cluster (kept across restarts), the session's number, and whether its `Sync` has come.

    The gate is shut from the loss of the link until the `Sync` of the next session (design rule 4).
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / CLUSTER_FILE
        self._lock = threading.Lock()
        self.cluster = self._file.read_text().strip() if self._file.exists() else ""
        self.number = 0
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
        self._synced = False

    def open_gate(self) -> None:
        self._synced = True

    def require_sync(self) -> None:
        if not self._synced:
            raise Waiting(
                "This node has not had its assignment for this session yet, so it starts and stops nothing. "
                "The job is repeated after it."
            )

    def note_started(self, key: Key) -> None:
        """A `Sync` of this session that arrives late must not stop what was ensured after it was made."""
        with self._lock:
            self._started.add(key)

    def started(self) -> frozenset[Key]:
        with self._lock:
            return frozenset(self._started)
