"""The agent's one WebSocket to the console: dialled out, kept up, redialled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from random import SystemRandom

import msgspec
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from nodeagent import protocol, tls
from nodeagent.credentials import Credentials
from nodeagent.desk import Desk
from nodeagent.errors import AgentError
from nodeagent.protocol import Delta, Hello, Up, Welcome
from nodeagent.watchdog import Pulse

log = logging.getLogger(__name__)

OPEN_TIMEOUT = 10.0
WELCOME_TIMEOUT = 10.0
SILENCE = 15.0
"""Without an acknowledged heartbeat for so long the link is taken for dead, whatever TCP says."""
REDIAL = (0.2, 2.0)
REDIAL_REFUSED = (20.0, 40.0)
HANGS_AFTER = 90.0
"""Twice the longest time that any one step of the link may take."""

_random = SystemRandom()


class Denied(Exception):
    """The console does not let this node in; trying at once again cannot help."""


class NotLetIn(Denied):
    """It does not know these credentials."""


class Ended(Exception):
    """The console will never let this node in again: it was removed, or its credentials have ended."""


class Link:
    """Two threads per session: this one dials and sends, another reads."""

    def __init__(self, url: str, ca: str, credentials: Credentials, node: str, desk: Desk) -> None:
        self._url = url
        self._tls = tls.for_link(url, ca)
        self._credentials = credentials
        self.ended = ""
        """Why there will be no link any more: the agent has no more to do here."""
        self._node = node
        self._desk = desk
        self._stop = threading.Event()
        self._socket: ClientConnection | None = None
        self.pulse = Pulse("the link", HANGS_AFTER)
        self.thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._desk.wake()

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = REDIAL
            self.pulse.beat()
            try:
                self._session()
            except Ended as error:
                self.ended = str(error)
                return
            except Denied as error:
                log.error("%s", error)
                pause = REDIAL_REFUSED
            except (WebSocketException, OSError, msgspec.MsgspecError, AgentError) as error:
                log.warning("the link to %s is down: %s", self._url, error)
            except Exception:
                log.exception("the link failed and is dialled anew")
            self.pulse.beat()
            self._stop.wait(_random.uniform(*pause))

    def _session(self) -> None:
        token = self._credentials.token
        try:
            with self._dial(token) as socket:
                self._talk(socket, token)
        except (NotLetIn, Ended):
            if not self._credentials.refused(token):
                raise
            log.warning("the console does not take these credentials; the other ones are tried")

    def _talk(self, socket: ClientConnection, token: str) -> None:
        try:
            welcome = self._welcome(socket)
            self._credentials.welcomed(token)
            self._exchange(socket, welcome)
        except ConnectionClosed:
            _raise_if_told(socket)
            raise
        _raise_if_told(socket)

    def _exchange(self, socket: ClientConnection, welcome: Welcome) -> None:
        self.pulse.beat()
        self._desk.begin(welcome)
        closed = threading.Event()
        reader = threading.Thread(target=self._read, args=(socket, closed), name="link-read", daemon=True)
        reader.start()
        try:
            while not (closed.is_set() or self._stop.is_set() or self._credentials.redial):
                self.pulse.beat()
                self._send_next(socket)
        finally:
            self._desk.end()

    def _dial(self, token: str) -> ClientConnection:
        try:
            return connect(
                self._url,
                ssl=self._tls,
                additional_headers={"Authorization": f"Bearer {token}"},
                open_timeout=OPEN_TIMEOUT,
                close_timeout=1,
                ping_interval=10,
                ping_timeout=10,
                max_size=protocol.MAX_MESSAGE_BYTES,
                compression=None,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status in {401, 403}:
                raise NotLetIn(
                    f"The console at {self._url} refuses this token ({status}). Make a new one for node "
                    f"{self._node} on the nodes page and start the agent with it. Next try in half a minute."
                ) from error
            raise

    def _welcome(self, socket: ClientConnection) -> Welcome:
        first = protocol.decode_down(_binary(socket.recv(timeout=WELCOME_TIMEOUT)))
        if not isinstance(first, Welcome):
            raise Denied(f"The console at {self._url} did not say welcome first; is it another version?")
        if first.node != self._node:
            raise Denied(f"This token is of node {first.node}, but this agent is node {self._node}.")
        return first

    def _send_next(self, socket: ClientConnection) -> None:
        message = self._desk.next_message()
        if message is None:
            if self._desk.since_ack() > SILENCE:
                raise OSError(f"no heartbeat was acknowledged for {SILENCE:.0f} s")
            self._desk.wait()
            return
        data = _encoded(message)
        if data is not None:
            socket.send(data)
        self._desk.sent(message)

    def _read(self, socket: ClientConnection, closed: threading.Event) -> None:
        try:
            for data in socket:
                self._desk.receive(protocol.decode_down(_binary(data)))
        except (WebSocketException, OSError, msgspec.MsgspecError, TypeError) as error:
            log.warning("the link's reader ends: %s", error)
        except Exception:
            log.exception("a message of the console could not be handled")
        finally:
            closed.set()
            self._desk.wake()


def _raise_if_told(socket: ClientConnection) -> None:
    """Raises `Ended` or `Denied` when the console closed the link for good, or until something is changed."""
    reason = socket.close_reason or ""
    match socket.close_code:
        case protocol.CLOSE_REMOVED | protocol.CLOSE_REVOKED:
            raise Ended(f"{reason} The agent ends; to use this host again, join it with a new join token.")
        case protocol.CLOSE_PLAIN | protocol.CLOSE_VERSION:
            raise Denied(f"The console turns this agent away: {reason} Next try in half a minute.")


def _encoded(message: Up) -> bytes | None:
    """The message as bytes; None (and a line in the log) when the link cannot carry it.

    Of a set that is too large what matters least stays behind, one thing after another: without the facts of its
    containers the console would lose the node.
    """
    try:
        data = protocol.encode(message)
        for what, without in _LEAVES:
            if len(data) > protocol.MAX_MESSAGE_BYTES:
                log.warning("a %s of %s bytes goes without %s", type(message).__name__, len(data), what)
                message = without(message)
                data = protocol.encode(message)
    except (ValueError, OverflowError, TypeError):
        log.exception("a %s cannot be written", type(message).__name__)
        return None
    if len(data) > protocol.MAX_MESSAGE_BYTES:
        log.error("a %s of %s bytes is too large for the link", type(message).__name__, len(data))
        return None
    return data


def _without_lines(message: Up) -> Up:
    match message:
        case Hello(containers=containers):
            return replace(message, containers=tuple(replace(item, last_lines=()) for item in containers))
        case Delta(changed=changed):
            return replace(message, changed=tuple(replace(item, last_lines=()) for item in changed))
        case _:
            return message


def _without_past(message: Up) -> Up:
    """Of the fence only the slots of the containers that it shows."""
    if not isinstance(message, Hello):
        return message
    shown = {item.identity.slot for item in message.containers}
    kept = {slot: seen for slot, seen in message.generations.items() if slot in shown}
    return replace(message, generations=kept)


def _without_images(message: Up) -> Up:
    """They are looked for again when something is placed."""
    return replace(message, images=()) if isinstance(message, Hello) else message


_LEAVES: tuple[tuple[str, Callable[[Up], Up]], ...] = (
    ("last lines", _without_lines),
    ("the slots of the past", _without_past),
    ("images", _without_images),
)


def _binary(data: str | bytes) -> bytes:
    if isinstance(data, str):
        raise TypeError("the console sent text; the link speaks binary frames")
    return data
