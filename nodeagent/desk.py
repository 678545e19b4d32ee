"""What goes over the link, and in which order. It knows messages, not sockets."""

from __future__ import annotations

import logging
import time

from nodeagent import __version__
from nodeagent.capacity import capacity, disk
from nodeagent.config import Config
from nodeagent.credentials import Credentials
from nodeagent.exec import ExecStreams
from nodeagent.fence import Fence
from nodeagent.fetched import Fetched
from nodeagent.lastlog import LastLogs
from nodeagent.observer import Observer
from nodeagent.outgoing import Outgoing
from nodeagent.overlay import OverlayPart
from nodeagent.protocol import (
    Ack,
    Close,
    CredentialStored,
    Credit,
    Down,
    ExecInput,
    ExecResize,
    Heartbeat,
    Hello,
    Images,
    LogNotKept,
    LogStored,
    OpenExec,
    OpenLogs,
    Receipt,
    Resend,
    Result,
    Rotate,
    Up,
    Welcome,
)
from nodeagent.samples import Sampler
from nodeagent.session import Session
from nodeagent.streams import Streams

log = logging.getLogger(__name__)

FIRST_LOOK_WAIT = 10.0


class Desk:
    """One session after another: `begin`, then `next_message` or `wait` over and over, then `end`."""

    def __init__(
        self,
        config: Config,
        public_key: bytes,
        session: Session,
        fence: Fence,
        observer: Observer,
        outgoing: Outgoing,
        streams: Streams,
        sampler: Sampler,
        last_logs: LastLogs,
        execs: ExecStreams,
        credentials: Credentials,
        overlay: OverlayPart,
        fetched: Fetched,
    ) -> None:
        self._config = config
        self._public_key = public_key
        self._session = session
        self._fence = fence
        self._observer = observer
        self._outgoing = outgoing
        self._streams = streams
        self._sampler = sampler
        self._last_logs = last_logs
        self._execs = execs
        self._credentials = credentials
        self._overlay = overlay
        self._fetched = fetched
        self._hello_due = True
        self._beat_at = 0.0
        self._beat_every = 2.0
        self._acked = 0.0
        self._contact = time.monotonic()

    def begin(self, welcome: Welcome) -> None:
        """Open a session: the set is looked at anew if it is another cluster's than the one known."""
        # The old session's reader may have opened one while its socket was being closed.
        self._streams.close_all()
        self._execs.close_all()
        if self._session.begin(welcome):
            self._observer.refresh()
        self._observer.looked.wait(FIRST_LOOK_WAIT)
        self._beat_every = max(0.2, welcome.heartbeat)
        self._sampler.interval = max(1.0, welcome.sample)
        self._hello_due = True
        self._beat_at = 0.0
        self._acked = time.monotonic()
        log.info("session %s of cluster %s begins", welcome.session, welcome.cluster)

    def end(self) -> None:
        self._session.end()
        self._streams.close_all()
        self._execs.close_all()
        self._last_logs.link_lost()

    def receive(self, message: Down) -> None:
        match message:
            case Ack(sent=sent):
                self._acked = max(self._acked, sent)
                self._contact = max(self._contact, min(sent, time.monotonic()))
            case Resend():
                self._hello_due = True
                self._outgoing.wake()
            case OpenLogs():
                self._streams.open(message)
            case OpenExec():
                self._execs.open(message)
            case ExecInput():
                self._execs.input(message)
            case ExecResize():
                self._execs.resize(message)
            case Credit():
                self._streams.credit(message)
                self._execs.credit(message)
            case Close():
                self._streams.close(message)
                self._execs.close(message)
            case LogStored():
                self._last_logs.stored(message)
            case CredentialStored():
                self._credentials.answered(message)
            case Rotate():
                self._credentials.rotate()
                self._outgoing.wake()
            case Welcome():
                log.warning("a second welcome in one session is ignored")

    def engine_changed(self, well: bool) -> None:
        """Said at once: a heartbeat when it went away, a full hello when it is back."""
        self._beat_at = 0.0
        self._hello_due = self._hello_due or well
        self._outgoing.wake()

    def say_hello(self) -> None:
        """Something of the host itself is other than it was."""
        self._hello_due = True
        self._outgoing.wake()

    def since_ack(self) -> float:
        """Seconds since the console last stored a heartbeat, counted from when that was sent."""
        return time.monotonic() - self._acked

    def since_contact(self) -> float:
        """The same over all sessions, and from the agent's start on: a new link alone proves nothing."""
        return time.monotonic() - self._contact

    def next_message(self) -> Up | None:
        """What to send now: the set first, so that a heartbeat's digest is always of what was told."""
        if self._hello_due:
            self._hello_due = False
            return self._hello()
        return (
            self._observer.take_delta()
            or self._outgoing.first()
            or self._heartbeat()
            or self._credentials.due_offer()
            or self._images()
            or self._outgoing.take_progress()
            or self._execs.next_frame()
            or self._streams.next_frame()
            or self._last_logs.next_segment()
            or self._outgoing.take_samples()
            or self._outgoing.take_volumes()
        )

    def sent(self, message: Up) -> None:
        if isinstance(message, Receipt | Result | LogNotKept):
            self._outgoing.sent(message)

    def wait(self) -> None:
        """Until there may be something to send."""
        until_beat = self._beat_at - time.monotonic()
        frame = self._streams.due()
        self._outgoing.wait(until_beat if frame is None else min(until_beat, frame))

    def wake(self) -> None:
        self._outgoing.wake()

    def _hello(self) -> Hello:
        containers, images, digest = self._observer.hello()
        host = self._observer.host
        config = self._config
        return Hello(
            agent=__version__,
            address=config.address,
            public_key=self._public_key,
            labels=config.labels,
            capacity=capacity(config, host),
            engine=host.engine if host and self._observer.engine_ok else None,
            containers=containers,
            foreign=self._observer.foreign,
            images=self._fetched.marked(images),
            overlay=self._overlay.facts(),
            generations=self._fence.generations(),
            digest=digest,
        )

    def _heartbeat(self) -> Heartbeat | None:
        now = time.monotonic()
        if now < self._beat_at:
            return None
        self._beat_at = now + self._beat_every
        return Heartbeat(
            sent=now,
            digest=self._observer.told_digest(),
            engine_ok=self._observer.engine_ok,
            engine_error=self._observer.engine_error,
            waiting=self._session.waiting,
            disk=disk(self._config, self._observer.host),
        )

    def _images(self) -> Images | None:
        images = self._observer.take_images()
        return None if images is None else Images(images=self._fetched.marked(images))
