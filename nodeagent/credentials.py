"""This node's link token and broker password: kept, made anew by the agent itself, and told by their digests alone.

The file holds the present pair and, while it is offered, the next one. The console holds both as well, until a link
was opened with the next one. So a crash anywhere leaves a pair that both sides know: whichever the console takes.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
from redis.credentials import CredentialProvider

from nodeagent.errors import BadConfig
from nodeagent.files import write_atomic
from nodeagent.protocol import CredentialStored, NewCredential

log = logging.getLogger(__name__)

FILE = "credentials.json"
ROTATE_AFTER = 30 * 86400.0
"""Seconds, by this host's clock."""
_ASK_AGAIN = 30.0
"""Seconds to wait for the console's answer to an offer."""


class Pair(msgspec.Struct, frozen=True):
    """Of a link token and a broker password. `made` is in seconds since the epoch, by this host's clock."""

    token: str
    password: str
    made: float = 0.0

    @classmethod
    def new(cls, made: float) -> Pair:
        return cls(f"node_{secrets.token_urlsafe(32)}", f"broker_{secrets.token_urlsafe(32)}", made)

    @property
    def offer(self) -> NewCredential:
        return NewCredential(token_digest=sha256(self.token), broker_digest=sha256(self.password))


class _Kept(msgspec.Struct, frozen=True):
    """The file. `origin`: digest of the configured pair that all this began with."""

    origin: str
    present: Pair
    next: Pair | None = None


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def split_login(broker: str) -> tuple[str, str, str]:
    """(address without a login, user, password) of a broker's address."""
    login, at, _place = urlsplit(broker).netloc.rpartition("@")
    user, _colon, password = login.partition(":")
    return broker.replace(f"{login}{at}", "", 1) if at else broker, unquote(user), unquote(password)


class Credentials(CredentialProvider):
    """Shared by the link, which learns what the console takes, and the broker's connections, which ask for it."""

    def __init__(
        self, state_dir: Path, token: str, broker: str, clock: Callable[[], float] = time.time
    ) -> None:
        """A configuration with another pair than the one this began with (the host joined anew) holds from then on.

        Raises `BadConfig` when the file cannot be read.
        """
        self.broker, self.user, password = split_login(broker)
        self._path, self._clock = state_dir / FILE, clock
        self._lock = threading.Lock()
        self._asked = False
        self._offered_at = float("-inf")
        self._stored = False
        self._refused: set[str] = set()
        origin = sha256(f"{token}\n{password}")
        kept = self._read(origin)
        self._kept = kept or _Kept(origin, Pair(token, password, clock()))
        if kept is None:
            self._keep(self._kept)

    def _read(self, origin: str) -> _Kept | None:
        if not self._path.exists():
            return None
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError) as error:
            raise BadConfig(
                f"{self._path} cannot be read ({error}). Remove it to use the configured credentials, or join anew."
            ) from error
        return kept if kept.origin == origin else None

    def _keep(self, kept: _Kept) -> None:
        write_atomic(self._path, msgspec.json.encode(kept))
        self._kept = kept

    # -- the link's side

    def _candidates(self) -> list[str]:
        kept = self._kept
        if kept.next is None:
            return [kept.present.token]
        both = [kept.present.token, kept.next.token]
        return both[::-1] if self._stored else both

    @property
    def token(self) -> str:
        """To dial with now."""
        with self._lock:
            candidates = self._candidates()
            return next((one for one in candidates if one not in self._refused), candidates[0])

    def refused(self, token: str) -> bool:
        """The console does not take this token. True when there is another one to try first."""
        with self._lock:
            self._refused.add(token)
            left = [one for one in self._candidates() if one not in self._refused]
            if not left:
                self._refused.clear()
            return bool(left)

    def welcomed(self, token: str) -> None:
        """A link was opened with it. Was it the next one, it is the present one from now on, on disk first."""
        with self._lock:
            self._refused.clear()
            self._offered_at, self._stored = float("-inf"), False
            kept = self._kept
            if kept.next is not None and token == kept.next.token:
                self._keep(_Kept(kept.origin, kept.next))
                self._asked = False
                log.info("new credentials are in use; the old ones hold no more")

    def rotate(self) -> None:
        """An operator's order."""
        with self._lock:
            self._asked = True

    def due_offer(self) -> NewCredential | None:
        """What to tell the console now: the digests of the next pair, which is on disk before it is told of."""
        now = time.monotonic()
        with self._lock:
            if self._stored or now - self._offered_at < _ASK_AGAIN:
                return None
            kept = self._kept
            if kept.next is None:
                if not self._asked and self._clock() - kept.present.made < ROTATE_AFTER:
                    return None
                kept = _Kept(kept.origin, kept.present, Pair.new(self._clock()))
                self._keep(kept)
            self._offered_at = now
            return kept.next.offer if kept.next else None

    @property
    def redial(self) -> bool:
        """The console knows the next pair: the link is to be opened anew, with it."""
        with self._lock:
            return self._stored

    def answered(self, answer: CredentialStored) -> None:
        """The console's answer to an offer."""
        with self._lock:
            kept = self._kept
            if kept.next is None or kept.next.offer.token_digest != answer.token_digest:
                return
            if answer.error:
                log.error("the console does not take the new credentials: %s; others are made", answer.error)
                self._keep(_Kept(kept.origin, kept.present))
                return
            self._stored = True

    # -- the broker's side

    def get_credentials(self) -> tuple[str, str] | tuple[str]:
        """For each new connection. The next password holds once the link was opened with its token."""
        with self._lock:
            password = self._kept.present.password
        return (self.user, password) if self.user else (password,)
