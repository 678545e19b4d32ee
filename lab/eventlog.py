"""What the engines themselves say happened: a thread per engine reads its /events, and looks at its containers anew
whenever it could have missed something. Nothing of the agents or of the console is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests
from docker.errors import DockerException

from lab.engine import Engine
from lab.look import Seen, look
from nodeagent import protocol

TROUBLE = (DockerException, requests.RequestException, OSError, ValueError)
_ACTIONS = ["start", "die", "destroy"]
_CALL_TIMEOUT = 60


@dataclass(frozen=True)
class Moment:
    """`start`, `die` or `destroy` of a container; `look` at all of them; `dark`: the host lost its power, by the lab's
    own hand."""

    at: float
    node: str
    action: str
    id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    seen: tuple[Seen, ...] = field(default=(), compare=False)


class EventLog:
    """From `start()` on, of all these engines. `moments()` may be asked at any time."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        """`engines` by the names of their nodes."""
        self._lock = threading.Lock()
        self._moments: set[Moment] = set()
        self._readers = [_Reader(self, node, engine) for node, engine in engines.items()]

    def start(self) -> None:
        for reader in self._readers:
            reader.thread.start()
        for reader in self._readers:
            reader.looked.wait(30.0)

    def stop(self) -> None:
        for reader in self._readers:
            reader.stop()

    def went_dark(self, node: str) -> None:
        """All that ran there was killed just now, and its engine cannot tell."""
        self.add([Moment(time.time(), node, "dark")])

    def add(self, moments: Iterable[Moment]) -> None:
        with self._lock:
            self._moments.update(moments)

    def moments(self) -> list[Moment]:
        """In the order of their times."""
        with self._lock:
            return sorted(self._moments, key=lambda moment: moment.at)


class _Reader:
    """One engine's."""

    def __init__(self, log: EventLog, node: str, engine: Engine) -> None:
        self._log, self._node, self._engine = log, node, engine
        self._stopping = threading.Event()
        self._since = time.time()
        self._stream: Any = None
        self.looked = threading.Event()
        self.thread = threading.Thread(target=self._read, name=f"events of {node}", daemon=True)

    def stop(self) -> None:
        self._stopping.set()
        if self._stream is not None:
            with suppress(*TROUBLE):
                self._stream.close()
        self.thread.join(5.0)

    def _read(self) -> None:
        while not self._stopping.is_set():
            with suppress(*TROUBLE):
                self._session()
            self._stopping.wait(0.1)

    def _session(self) -> None:
        """Until the engine goes. What an engine remembers of before is read again: the same moment counts once."""
        with self._engine.client(_CALL_TIMEOUT) as client:
            filters = {"type": "container", "event": _ACTIONS, "label": protocol.LABEL_CLUSTER}
            since: Any = f"{self._since:.9f}"
            self._stream = client.api.events(since=since, filters=filters, decode=True)
            # Subscribed first: what changes during the look comes as an event.
            self._log.add([Moment(time.time(), self._node, "look", seen=tuple(look(client)))])
            self.looked.set()
            for event in self._stream:
                moment = self._moment(event)
                self._since = moment.at
                self._log.add([moment])

    def _moment(self, event: Mapping[str, Any]) -> Moment:
        actor = event["Actor"]
        return Moment(
            event["timeNano"] / 1e9, self._node, event["Action"], actor["ID"], labels=actor["Attributes"]
        )
