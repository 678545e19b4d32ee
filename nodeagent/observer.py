"""What the engine says, as one set: from its events at once, from a list every 10 s."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from nodeagent.errors import AgentError
from nodeagent.facts import Key, Known, digest, identity_of
from nodeagent.protocol import Delta, ImageFact, Observed
from nodeagent.runtime.base import (
    ContainerFacts,
    EngineEvent,
    EngineTimeout,
    HostInfo,
    Runtime,
    Stream,
)
from nodeagent.vault import Withheld
from nodeagent.watchdog import Pulse

log = logging.getLogger(__name__)

RELIST_EVERY = 10.0
FULL_EVERY = 6
"""Every so many lists each container is looked at, whatever the list says of it."""
HANGS_AFTER = 180.0
"""Longer than a look at an engine that answers each call at the last moment."""
END_WITHIN = 1.0
"""Seconds from a container's end to the look at it."""
IMAGES = "images"
"""Among what is due: no engine id."""
LAST_LINES = 20
LAST_LINE_CHARS = 1000
FIRST_RETRY, LAST_RETRY, RETRY_GROWTH = 0.2, 5.0, 1.25
"""Slowly longer: an engine that is only restarted is seen again within half a second of its return."""


class Observer:
    """Three threads keep the set; the link's thread takes hellos and deltas from it. One hears events, another
    looks at what they were about: of many events of one container, or of images, that came meanwhile, once.

    `told` is what the console knows after the last hello or delta: a delta is the difference, made when it is
    sent, so that many changes become one message. `changed` is notified on every change.
    """

    def __init__(
        self,
        runtime: Runtime,
        cluster: Callable[[], str],
        wake: Callable[[], None],
        engine_changed: Callable[[bool], None],
    ) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._wake = wake
        self._engine_changed = engine_changed
        self.changed = threading.Condition()
        self._looking = threading.Lock()
        self._known: dict[str, Known] = {}
        self._ids: dict[Key, str] = {}
        """Engine ids of the known ones."""
        self._told: dict[Key, bytes] = {}
        self.version = 0
        """Changes with the set: who has looked at it needs no second look before. Of another cluster, which changes
        it as well, a hello tells."""
        self._told_version = 0
        """Of the set when `_told` was made."""
        self._touched: dict[str, int] = {}
        self._ooms: dict[str, int] = {}
        self._due: dict[str, None] = {}
        """Engine ids to look at, and `IMAGES` to list, in the order of their events."""
        self._lines: dict[str, tuple[float | None, tuple[str, ...]]] = {}
        """By engine id: when it ended, and its last lines then."""
        self._reading = threading.Lock()
        self._notes: dict[str, str] = {}
        self._clock = 0
        self._images: tuple[ImageFact, ...] = ()
        self._images_told: tuple[ImageFact, ...] = ()
        self._stream: Stream[EngineEvent] | None = None
        self._stop = threading.Event()
        self.foreign = 0
        self.host: HostInfo | None = None
        self.engine_ok = False
        self.engine_error = "the engine has not been asked yet"
        self.looked = threading.Event()
        """Set once the first look ended, well or badly."""
        self.pulse = Pulse("the look at the engine", HANGS_AFTER)
        self.threads = (
            threading.Thread(target=self._follow, name="observer", daemon=True),
            threading.Thread(target=self._look_when_due, name="looker", daemon=True),
            threading.Thread(target=self._relist_often, name="relist", daemon=True),
        )

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self.changed:
            self.changed.notify_all()
        if self._stream is not None:
            self._stream.close()

    # What the link takes.

    def hello(self) -> tuple[tuple[Observed, ...], tuple[ImageFact, ...], str]:
        """The full set, the images and the set's digest; from now on the console knows them."""
        now = time.time()
        with self.changed:
            ours = self._ours()
            self._told_version = self.version
            self._told = {known.key: known.essence for known in ours}
            self._images_told = self._images
            observed = tuple(known.observed(now) for known in ours)
            return observed, self._images, digest(self._told.values())

    def take_delta(self) -> Delta | None:
        """What changed since the console was told last; None if nothing did."""
        now = time.time()
        with self.changed:
            if self._told_version == self.version:
                return None
            self._told_version = self.version
            current = {known.key: (known, known.essence) for known in self._ours()}
            fresh = [known for key, (known, essence) in current.items() if self._told.get(key) != essence]
            gone = tuple(key for key in self._told if key not in current)
            if not fresh and not gone:
                return None
            base = digest(self._told.values())
            self._told = {key: essence for key, (_, essence) in current.items()}
            changed = tuple(known.observed(now) for known in fresh)
            return Delta(changed=changed, removed=gone, base=base, digest=digest(self._told.values()))

    def take_images(self) -> tuple[ImageFact, ...] | None:
        """The full list when it changed since the console was told last."""
        with self.changed:
            if self._images == self._images_told:
                return None
            self._images_told = self._images
            return self._images

    def told_digest(self) -> str:
        with self.changed:
            return digest(self._told.values())

    def running(self) -> tuple[Known, ...]:
        with self.changed:
            return tuple(known for known in self._ours() if known.facts.state == "running")

    def note(self, engine_id: str, reason: str) -> None:
        """Why the agent is about to end this container by itself: told with its end."""
        with self.changed:
            self._notes[engine_id] = reason

    def is_ours(self, facts: ContainerFacts) -> bool:
        """Whether the present cluster made this container."""
        identity = identity_of(facts.labels)
        return identity is not None and identity.cluster == self._cluster()

    def _ours(self) -> list[Known]:
        """The set as the present cluster may know it: after a change of cluster old facts may linger."""
        cluster = self._cluster()
        return [known for known in self._known.values() if known.identity.cluster == cluster]

    def refresh(self, *, full: bool = True) -> None:
        """Look at everything now, or at what a list shows to have changed. Never raises: an engine that is away is
        noted."""
        try:
            self._look(full=full)
        except AgentError as error:
            self._failed(error)

    def look_at(self, name: str) -> None:
        """Take in this container's facts now: what is told later stands on them. Never raises, as `refresh`."""
        try:
            facts = self._runtime.inspect(name)
        except AgentError as error:
            log.info("%s cannot be looked at now: %s", name, error.message)
        else:
            self._take_in(facts)

    def saw(self, facts: ContainerFacts | None) -> None:
        """Take in what somebody else was just told of a container, unless it was told here."""
        with self.changed:
            known = self._known.get(facts.engine_id) if facts else None
        if known is None or known.facts is not facts:
            self._take_in(facts)

    def _take_in(self, facts: ContainerFacts | None) -> None:
        if facts is not None:
            with self.changed:
                self._clock += 1
                now = self._touched[facts.engine_id] = self._clock
            self._store(facts, self._cluster(), since=now)
            self._notify()

    # What others need not ask the engine for.

    def find(self, slot: str, generation: int) -> ContainerFacts | None:
        """As it was last seen; None where the engine has to be asked."""
        with self.changed:
            return self._find((slot, generation))

    def _find(self, key: Key) -> ContainerFacts | None:
        """The caller holds `changed`. What an engine that cannot be heard had before may not be so any more."""
        known = self._known.get(self._ids.get(key, ""))
        if not self.engine_ok or known is None or known.identity.cluster != self._cluster():
            return None
        return known.facts

    def await_end(self, slot: str, generation: int) -> ContainerFacts | None:
        """What is seen of it after its end: its event has come, or comes at any moment."""

        def ended() -> ContainerFacts | None:
            facts = self._find((slot, generation))
            return facts if facts is not None and facts.ended else None

        with self.changed:
            return self.changed.wait_for(ended, END_WITHIN)

    def removed(self, container: ContainerFacts) -> None:
        """It is gone from the engine."""
        with self.changed:
            self._clock += 1
            self._touched[container.engine_id] = self._clock
            self._forget(container.engine_id)
        self._notify()

    def on_network(self, network: str) -> bool:
        """Whether a container that is there belongs on this network."""
        with self.changed:
            return self.engine_ok and any(network in known.facts.networks for known in self._ours())

    # The threads.

    def _follow(self) -> None:
        pause = FIRST_RETRY
        while not self._stop.is_set():
            try:
                self._stream = self._runtime.events()
                self._look()
                pause = FIRST_RETRY
                for event in self._stream:
                    self._take(event)
            except AgentError as error:
                self._failed(error)
            except Exception:
                log.exception("the observer failed and starts anew")
            finally:
                if self._stream is not None:
                    self._stream.close()
            self._stop.wait(pause)
            pause = min(pause * RETRY_GROWTH, LAST_RETRY)

    def _relist_often(self) -> None:
        for number in itertools.count(1):
            if self._stop.wait(RELIST_EVERY):
                return
            self.pulse.beat()
            try:
                self.refresh(full=number % FULL_EVERY == 0)
            except Exception:
                log.exception("a look at the engine failed and is repeated")

    def _look_when_due(self) -> None:
        while not self._stop.is_set():
            with self.changed:
                self.changed.wait_for(lambda: self._due or self._stop.is_set())
                if not self._due:
                    continue
                due = next(iter(self._due))
                del self._due[due]
                since = self._touched.get(due, 0)
            try:
                if due == IMAGES:
                    self._list_images()
                else:
                    self._look_again(due, since)
            except EngineTimeout as error:
                # An engine with too much to do, or at work on this container. Whether it lives, the next list says.
                log.warning("what changed cannot be looked at now: %s", error.message)
                with self.changed:
                    self._due.setdefault(due)
                self._stop.wait(FIRST_RETRY)
            except AgentError:
                self.refresh()
            except Exception:
                log.exception("a container could not be looked at; the next list shows it")

    def _look_again(self, engine_id: str, since: int) -> None:
        facts = self._runtime.inspect(engine_id)
        if facts is not None:
            self._store(facts, self._cluster(), since=since)
            self._notify()

    def _list_images(self) -> None:
        images = self._runtime.images()
        with self.changed:
            self._images = images
        self._notify()

    def _failed(self, error: AgentError) -> None:
        was_ok, self.engine_ok, self.engine_error = self.engine_ok, False, error.message
        self.looked.set()
        if was_ok and not self._stop.is_set():
            log.error("%s", error.message)
            self._engine_changed(False)

    def _look(self, *, full: bool = True) -> None:
        """One look at a time: each forgets the events that are older than itself."""
        with self._looking:
            self._look_once(full=full)

    def _look_once(self, *, full: bool) -> None:
        with self.changed:
            began = self._clock
            known = {} if full else {id_: each.facts for id_, each in self._known.items()}
        cluster = self._cluster()
        # An engine that was away may have come back as another version.
        host = self.host if self.engine_ok and self.host else self._runtime.info()
        listing = self._runtime.list_managed(cluster, known)
        images = self._runtime.images()
        found = {facts.engine_id: facts for facts in listing.own}
        with self.changed:
            late = {engine_id for engine_id, at in self._touched.items() if at > began}
            for engine_id in set(self._known) - set(found) - late - listing.silent:
                self._forget(engine_id)
            self._touched = {engine_id: at for engine_id, at in self._touched.items() if at > began}
            self._images = images
        for engine_id, facts in found.items():
            if engine_id not in late:
                self._store(facts, cluster, since=began)
        strangers_changed = listing.foreign != self.foreign
        self.foreign, self.host = listing.foreign, host
        was_ok, self.engine_ok, self.engine_error = self.engine_ok, True, ""
        self.looked.set()
        if not was_ok or strangers_changed:
            # A hello alone tells of either.
            self._engine_changed(True)
        self._notify()

    def _take(self, event: EngineEvent) -> None:
        if event.kind == "image":
            with self.changed:
                self._due[IMAGES] = None
                self.changed.notify_all()
            return
        cluster = self._cluster()
        if event.labels.get("berth.cluster") != cluster:
            return
        with self.changed:
            self._clock += 1
            self._touched[event.id] = self._clock
            if event.action == "oom":
                self._ooms[event.id] = self._ooms.get(event.id, 0) + 1
            elif event.action in {"start", "destroy"}:
                self._ooms.pop(event.id, None)
            if event.action == "destroy":
                self._forget(event.id)
            elif event.action != "create":
                # One that was only made is told by its start, or by the job that could not start it.
                self._due[event.id] = None
        self._notify()

    def _forget(self, engine_id: str) -> None:
        """The caller holds `changed`."""
        known = self._known.pop(engine_id, None)
        if known is not None:
            self.version += 1
            if self._ids.get(known.key) == engine_id:
                del self._ids[known.key]
        for kept in (self._ooms, self._notes, self._due, self._lines):
            kept.pop(engine_id, None)

    def _store(self, facts: ContainerFacts, cluster: str, *, since: int) -> None:
        """Take these facts unless newer ones came (an event touched the container after `since`)."""
        identity = identity_of(facts.labels)
        if identity is None or identity.cluster != cluster:
            return
        with self.changed:
            ooms, note = self._ooms.get(facts.engine_id, 0), self._notes.get(facts.engine_id, "")
        known = Known(identity, facts, oom_events=ooms, note=note)
        known = replace(known, last_lines=self._last_lines(known))
        with self.changed:
            if self._touched.get(facts.engine_id, 0) > since:
                return
            self._ids[known.key] = facts.engine_id
            if known != self._known.get(facts.engine_id):
                self.version += 1
                self._known[facts.engine_id] = known

    def _last_lines(self, known: Known) -> tuple[str, ...]:
        facts = known.facts
        if not facts.ended or facts.state == "created":
            return ()
        with self._reading:
            ended, lines = self._lines.get(facts.engine_id, (None, ()))
            if ended is not None and ended == facts.finished_at:
                return lines
            try:
                stream = self._runtime.logs(facts, follow=False, tail=LAST_LINES, since=0.0)
                lines = tuple(line.text[:LAST_LINE_CHARS] for line in stream)
            except Withheld as error:
                # Not kept: its values may come again.
                return (error.message,)
            except AgentError as error:
                log.info("the last lines of %s cannot be read: %s", known.identity.name, error.message)
                return ()
            self._lines[facts.engine_id] = facts.finished_at, lines
            return lines

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()
        self._wake()
