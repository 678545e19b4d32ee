"""What this agent fetched from registries: all that it may ever remove of an engine that it may share with others."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from nodeagent.files import write_atomic
from nodeagent.protocol import ImageFact

log = logging.getLogger(__name__)


def plain(name: str) -> str:
    """`repo@sha256:…` as engines list it: without a tag, and without what stands for the default registry."""
    repository, _at, digest = name.partition("@")
    head, slash, tail = repository.rpartition("/")
    bare = f"{head}{slash}{tail.partition(':')[0]}"
    return f"{bare.removeprefix('docker.io/').removeprefix('library/')}@{digest}"


def is_used(fact: ImageFact, used: Collection[str]) -> bool:
    return fact.id in used or any(name in used for name in (*fact.tags, *fact.digests))


class Fetched:
    """By name (`repo@sha256:…`): when it was last used or fetched, in seconds of the host's clock.

    Kept in one JSON file; a name is on disk before its pull begins. A name that gets lost is an image that stays for
    good. Pulls by a tag are not kept account of: the image has a name by which others may have come to use it.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._changed = threading.Condition()
        self._saving = threading.Lock()
        self._wanted: dict[str, int] = {}
        """By name, how many make the image present just now."""
        self._going: set[str] = set()
        """Names that are being removed."""
        self._names = self._load()

    def _load(self) -> dict[str, float]:
        try:
            raw = json.loads(self._path.read_bytes())
            return {str(name): float(at) for name, at in raw.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError):
            log.warning("%s is unreadable: images fetched until now are never removed", self._path)
            return {}

    @contextmanager
    def wanted(self, image: str) -> Iterator[None]:
        """Somebody makes it present: it stays meanwhile, and counts as used at the end. Waits for its removal, should
        that be under way: then it is missing, and not about to go."""
        name = plain(image)
        with self._changed:
            self._changed.wait_for(lambda: name not in self._going)
            self._wanted[name] = self._wanted.get(name, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._wanted[name] -= 1
                if not self._wanted[name]:
                    del self._wanted[name]
                if name in self._names:
                    self._names[name] = self._clock()

    def fetching(self, image: str) -> None:
        """It is not here, and its pull is about to begin. Never raises: at worst the image stays for good."""
        if "@sha256:" in image:
            with self._changed:
                self._names[plain(image)] = self._clock()
            self._save()

    def saw(self, images: Iterable[ImageFact], used: Collection[str], began: float) -> None:
        """What was there, and in use, in a look that began then. Names that no image has any more are forgotten."""
        images = tuple(images)
        there = {plain(name) for fact in images for name in fact.digests}
        in_use = {plain(name) for fact in images if is_used(fact, used) for name in fact.digests}
        with self._changed:
            now, before = self._clock(), self._names
            kept = {name: at for name, at in before.items() if name in there or self._is_new(name, began)}
            self._names = {name: now if name in in_use else at for name, at in kept.items()}
            same = before == self._names
        if not same:
            self._save()

    def _is_new(self, name: str, began: float) -> bool:
        return name in self._wanted or self._names[name] >= began

    def unused_for(self, fact: ImageFact) -> float | None:
        """Seconds; None of one that is not to be touched: not fetched here, or known by another name too."""
        with self._changed:
            return self._unused_for(fact)

    def _unused_for(self, fact: ImageFact) -> float | None:
        names = {plain(name) for name in fact.digests}
        if fact.tags or not names or not names <= self._names.keys():
            return None
        # A clock that was set back makes it younger, never older.
        return max(0.0, self._clock() - max(self._names[name] for name in names))

    def marked(self, images: Iterable[ImageFact]) -> tuple[ImageFact, ...]:
        """The images as the console is told of them."""
        return tuple(
            msgspec.structs.replace(fact, pulled=True) if self.unused_for(fact) is not None else fact
            for fact in images
        )

    def let_go(self, fact: ImageFact, unused: float, remove: Callable[[str], None]) -> bool:
        """Remove its names, unless somebody came for it meanwhile (False). Each is forgotten once it is removed: who
        puts the same there after that is somebody else."""
        names = {plain(name) for name in fact.digests}
        with self._changed:
            age = self._unused_for(fact)
            if age is None or age < unused or not names.isdisjoint(self._wanted):
                return False
            self._going |= names
        removed: list[str] = []
        try:
            for name in fact.digests:
                remove(name)
                removed.append(plain(name))
        finally:
            with self._changed:
                for name in removed:
                    self._names.pop(name, None)
                self._going -= names
                self._changed.notify_all()
            if removed:
                self._save()
        return True

    def _save(self) -> None:
        with self._saving:
            with self._changed:
                data = json.dumps(self._names).encode()
            try:
                write_atomic(self._path, data)
            except OSError as error:
                log.error("%s cannot be written now: %s", self._path, error)
