"""The fence: what this node knows of each slot's past, so that no late job revives it (design rule 3)."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from nodeagent.errors import Stale
from nodeagent.files import write_atomic

log = logging.getLogger(__name__)

MOST_SLOTS = 20_000
"""The slots of late. A job that is late by more than so many others is none that the console still sends."""


class Fence:
    """By slot: the highest generation seen, and the highest that was told to stop.

    Kept in one JSON file, `{"slot": [seen, stopped]}`, written before the engine is touched: once for all threads
    that wait for it. A missing or unreadable file is rebuilt from the labels of what the engine holds (`rebuild`). A
    slot is kept until the console says that it is no more, and among so many others of late.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._slots: dict[str, tuple[int, int]] = {}
        self._changes = self._saved = 0
        """How many there were in memory, and how many of them the disk has."""
        self.needs_rebuild = not self._load()

    def _load(self) -> bool:
        try:
            raw = json.loads(self._path.read_bytes())
            of_late = list(raw.items())[-MOST_SLOTS:]
            self._slots = {str(slot): (int(seen), int(stopped)) for slot, (seen, stopped) in of_late}
        except FileNotFoundError:
            return False
        except (ValueError, TypeError, AttributeError):
            log.warning("fence file %s is unreadable and is rebuilt from the engine's labels", self._path)
            return False
        return True

    def rebuild(self, containers: Iterable[tuple[str, int]]) -> None:
        """Take the generations of existing containers as seen. Never lowers anything."""
        with self._lock:
            for slot, generation in containers:
                self._raise(slot, generation, 0)
            self._changes += self.needs_rebuild
        self._try_save()
        self.needs_rebuild = False

    def admit(self, slot: str, generation: int) -> bool:
        """Remember that this generation may run. Whether it is new here: no container was ever made of it.

        Raises `Stale` when it belongs to the past, `OSError` when it cannot be remembered.
        """
        with self._lock:
            seen, stopped = self._slots.get(slot, (0, 0))
            if generation < seen:
                raise Stale(
                    f"Generation {generation} of slot {slot} is not started: this node has seen {seen}. "
                    "Nothing to do; the newer one holds."
                )
            if generation <= stopped:
                raise Stale(
                    f"Generation {generation} of slot {slot} is not started: it was told to stop before."
                )
            self._raise(slot, generation, 0)
        self._save()
        return generation > seen

    def close(self, *pairs: tuple[str, int]) -> None:
        """These exact containers shall never be started (again)."""
        with self._lock:
            for slot, generation in pairs:
                self._raise(slot, generation, generation)
        self._try_save()

    def forget(self, slots: Iterable[str]) -> None:
        """No job will ever name these slots again."""
        with self._lock:
            for slot in slots:
                self._changes += self._slots.pop(slot, None) is not None
        self._try_save()

    def generations(self) -> Mapping[str, int]:
        """Highest generation seen by slot."""
        with self._lock:
            return {slot: seen for slot, (seen, _) in self._slots.items()}

    def _raise(self, slot: str, seen: int, stopped: int) -> None:
        before = self._slots.pop(slot, (0, 0))
        after = (max(before[0], seen), max(before[1], stopped))
        # In the order in which they were last named.
        self._slots[slot] = after
        while len(self._slots) > MOST_SLOTS:
            del self._slots[next(iter(self._slots))]
        self._changes += after != before

    def _try_save(self) -> None:
        """Nothing is started by this, and a full disk must not keep containers from being removed."""
        try:
            self._save()
        except OSError as error:
            log.error("the fence file %s cannot be written now: %s", self._path, error)

    def _save(self) -> None:
        """Unless the disk has it already; what a full disk refused is written the next time."""
        with self._lock:
            needed = self._changes
        with self._saving:
            if self._saved >= needed:
                return
            with self._lock:
                data, written = json.dumps(self._slots).encode(), self._changes
            write_atomic(self._path, data)
            self._saved = written
