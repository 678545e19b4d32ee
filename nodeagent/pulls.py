"""Images: one pull at a time for all who ask for the same one, on threads of its own; nobody waits on a thread."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from nodeagent import names
from nodeagent.errors import AgentError
from nodeagent.fetched import Fetched
from nodeagent.protocol import ImageFact
from nodeagent.runtime.base import ImageMissing, Login, Progress, RegistryUnreachable, Runtime
from nodeagent.seal import NodeKey

PULLERS = 4
"""Images that are fetched at the same time."""
RESOLVE_TIMEOUT = 10.0
PROGRESS_EVERY = 1.0
PULL_WITHIN = (1.0, 3600.0)

Wish = tuple[str, Login | None, bool]
"""Image, credentials, and whether a present copy will do."""


class _Credentials(msgspec.Struct, forbid_unknown_fields=False):
    username: str
    password: str


class _Flight:
    """A pull under way and those who want to hear of it."""

    def __init__(self) -> None:
        self.result: Future[ImageFact] = Future()
        self._listeners: list[Progress] = []
        self._said = 0.0

    def join(self, listener: Progress) -> None:
        self._listeners.append(listener)

    def progress(self, text: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said >= PROGRESS_EVERY:
            self._said = now
            for listener in list(self._listeners):
                listener(text, done, total)


class Images:
    """Makes images present and tells which digest a name stands for."""

    def __init__(self, runtime: Runtime, key: NodeKey, fetched: Fetched) -> None:
        self._runtime = runtime
        self._key = key
        self._fetched = fetched
        self._lock = threading.Lock()
        self._flights: dict[Wish, _Flight] = {}
        self._pullers = ThreadPoolExecutor(PULLERS, thread_name_prefix="pull")

    def login(self, sealed: bytes) -> Login | None:
        """Registry credentials sealed to this node. Raises `CannotOpen`."""
        if not sealed:
            return None
        try:
            found = msgspec.json.decode(self._key.open_sealed(sealed), type=_Credentials)
        except msgspec.MsgspecError as error:
            raise AgentError(
                "The registry credentials of this job are unreadable; store them again."
            ) from error
        return Login(found.username, found.password)

    def present(self, image: str) -> ImageFact | None:
        return self._runtime.image(names.check_image(image))

    def pull(
        self, image: str, login: Login | None, progress: Progress, timeout: float, *, if_missing: bool = False
    ) -> Future[ImageFact]:
        """Present once it is done. A present digest is never pulled again; a tag is, unless `if_missing`.

        Of those who ask for the same one only the first takes a thread. What is called back must be short.
        """
        names.check_image(image)
        # In this order a NaN becomes the least.
        timeout = max(PULL_WITHIN[0], min(timeout, PULL_WITHIN[1]))
        key = image, login, if_missing or "sha256:" in image
        with self._lock:
            flight = self._flights.get(key)
            first = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
            flight.join(progress)
        if first:
            self._pullers.submit(self._fly, flight, key, timeout)
        return flight.result

    def _fly(self, flight: _Flight, key: Wish, timeout: float) -> None:
        try:
            with self._fetched.wanted(key[0]):
                fact = self._fetch(flight, key, timeout)
        except Exception as error:  # noqa: BLE001 - handed to every asker, who report it
            flight.result.set_exception(error)
        else:
            flight.result.set_result(fact)
        finally:
            with self._lock:
                del self._flights[key]

    def _fetch(self, flight: _Flight, key: Wish, timeout: float) -> ImageFact:
        image, login, if_missing = key
        found = self.present(image) if if_missing else None
        if found:
            return found
        if names.IMAGE_ID.fullmatch(image):
            raise ImageMissing(
                f"The image {image} is not on this node and has no registry to come from. Load it here "
                "(docker load), or push it to a registry and deploy it by that name."
            )
        self._fetched.fetching(image)
        return self._runtime.pull(image, login, flight.progress, timeout)

    def resolve(self, image: str, login: Login | None) -> tuple[ImageFact, str]:
        """What the name stands for, and a warning when that is a present copy instead of the registry's word.

        A present image without a repository digest was never in a registry: its config digest identifies it.
        """
        present = self.present(image)
        if present and not present.digests:
            return present, ""
        try:
            return self._runtime.resolve(image, login, RESOLVE_TIMEOUT), ""
        except RegistryUnreachable as error:
            if present is None:
                raise
            return present, f"{error.message} The copy on this node is used instead."
