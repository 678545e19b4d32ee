"""One thread that looks again and again."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from nodeagent.errors import AgentError

log = logging.getLogger(__name__)


class Periodic(ABC):
    """The first look comes after `every` seconds. Whatever a look raises is logged, and it is tried again."""

    def __init__(self, name: str, every: float) -> None:
        self._every = every
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stop.set()

    @abstractmethod
    def look(self) -> object: ...

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.look()
            except AgentError as error:
                log.info("%s: %s It is tried again.", self.thread.name, error.message)
            except Exception:
                log.exception("%s: a look failed and is repeated", self.thread.name)
