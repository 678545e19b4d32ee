"""Terminals: one WebSocket for one program in a container. A ticket opens it, and who holds it is asked again.

Text is JSON control, `{"type": …}`. The client first sends `{"ticket": …, "acks": true|false}`, then `resize` (width,
height), `end` (of its input) and `ack` (frames of output it took; only with `acks`). The console sends `started`
(window: data messages that may be under way to the program), `ack` (how many of them it took), and last `exit`
(code) or `error` (code, message). Binary is data: input as it is, output behind one byte (1 stdout, 2 stderr).
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import redis.exceptions
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access
from console.accounts.signins import session_holds
from console.common.errors import BerthError
from console.live.execwire import Ack, Begin, Control, End, Resize, decode_begin, decode_control
from console.workloads import terminals
from console.workloads.exec import ASK_EVERY, ExecStream
from console.workloads.models import Container
from console.workloads.terminals import Ended, Grant
from nodeagent import protocol

logger = logging.getLogger(__name__)

RECHECK = 30.0
"""Seconds after which everything that let the client in is looked up again."""
TICKET_WAIT = 10.0
INPUT_HELD = 64
"""Messages of input held for a client that sends more than its window."""
INPUT_WAIT = 10.0
DONE, UNREADABLE, REFUSED, FORBIDDEN, LATE, BROKEN = 1000, 4400, 4401, 4403, 4408, 4503
_SOURCE = {"stdout": b"\x01", "stderr": b"\x02"}


class Ending(NamedTuple):
    """How the socket is closed: its code, and the last message."""

    code: int
    word: str
    message: Any = ""
    exit_code: int | None = None


class ExecConsumer(AsyncWebsocketConsumer):
    """One terminal. It relays; the program and its bounds are the agent's."""

    main: asyncio.Task[None] | None = None
    stream: ExecStream | None = None

    async def connect(self) -> None:
        if not _own_origin(self.scope):
            await self.close(FORBIDDEN)
            return
        self.begin: asyncio.Future[Begin] = asyncio.get_running_loop().create_future()
        self.broken: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.input: asyncio.Queue[bytes | End] = asyncio.Queue(INPUT_HELD)
        self.room = asyncio.Semaphore(0)
        self.acks = False
        self.unacked = self.bytes_in = self.bytes_out = 0
        self.main = asyncio.create_task(self._main())
        await self.accept()

    async def disconnect(self, code: int) -> None:
        if self.main:
            self.main.cancel()
            with suppress(asyncio.CancelledError):
                await self.main

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            if not self.begin.done():
                self.begin.set_result(decode_begin(text_data))
            elif bytes_data is not None:
                await self._put(bytes_data)
            else:
                await self._control(decode_control(text_data))
        except (msgspec.MsgspecError, ValueError) as error:
            self._break(Ending(UNREADABLE, "unreadable", str(error)))
        except TimeoutError:
            words = _("The program takes no input. Send no more than its window, and wait for each ack.")
            self._break(Ending(UNREADABLE, "too_much", words))

    async def _put(self, item: bytes | End) -> None:
        if isinstance(item, bytes) and len(item) > protocol.MOST_EXEC_BYTES:
            raise ValueError(f"A message of input has at most {protocol.MOST_EXEC_BYTES} bytes.")
        await asyncio.wait_for(self.input.put(item), INPUT_WAIT)

    async def _control(self, message: Control) -> None:
        match message:
            case Resize(width=width, height=height):
                if self.stream:
                    await self.stream.resize(width, height)
            case Ack(frames=frames):
                taken = min(frames, self.unacked)
                self.unacked -= taken
                if self.stream:
                    await self.stream.took(taken)
            case End():
                await self._put(message)

    def _break(self, ending: Ending) -> None:
        if not self.broken.done():
            self.broken.set_result(ending)

    async def _main(self) -> None:
        """From the ticket to the close, unless the client leaves before."""
        try:
            ending = await self._serve()
        except BerthError as error:
            ending = Ending(FORBIDDEN if error.status in {403, 404} else BROKEN, error.code, error.message)
        except (redis.exceptions.RedisError, OSError, msgspec.MsgspecError) as error:
            logger.warning("A terminal broke off: %s", error)
            ending = Ending(BROKEN, "broken", _("The console lost its connection to Redis; open it again."))
        except Exception:
            logger.exception("A terminal failed")
            ending = Ending(BROKEN, "internal", _("The terminal failed on the console; open it again."))
        await self._close(ending)

    async def _serve(self) -> Ending:
        first: set[asyncio.Future[Any]] = {self.begin, self.broken}
        done, _rest = await asyncio.wait(first, timeout=TICKET_WAIT, return_when="FIRST_COMPLETED")
        if self.broken in done:
            return self.broken.result()
        if not done:
            return Ending(LATE, "late", _("No ticket came. It is the first message."))
        begin = self.begin.result()
        grant = await database_sync_to_async(terminals.redeem)(begin.ticket)
        if grant is None:
            return Ending(
                REFUSED, "ticket", _("This ticket is unknown, was used, or is too old. Ask for a new one.")
            )
        if not await self._came_the_same_way(grant):
            return Ending(REFUSED, "ticket", _("This ticket was given to somebody else's session."))
        self.acks = begin.acks
        access, container = await database_sync_to_async(terminals.authorize)(grant)
        return await self._audited(access, container, grant)

    async def _came_the_same_way(self, grant: Grant) -> bool:
        """A ticket of a browser's session opens nothing without that session; a token's stands for itself."""
        if grant.token:
            return True
        key = self.scope["session"].session_key or ""
        holds = await database_sync_to_async(session_holds)(key, grant.user)
        return _header(self.scope, b"origin") != "" and holds

    async def _audited(self, access: Access, container: Container, grant: Grant) -> Ending:
        """History says who ran what before it runs, and afterwards how it ended."""
        address = str((self.scope.get("client") or [""])[0])
        begun, ending = monotonic(), Ending(DONE, "left")
        try:
            await database_sync_to_async(terminals.record_opened)(access, container, grant, address)
            ending = await self._relay(container, grant)
        except BaseException as error:
            ending = Ending(BROKEN, "left" if isinstance(error, asyncio.CancelledError) else "broken")
            raise
        finally:
            reason = "" if ending.word == "exit" else ending.word
            ended = Ended(monotonic() - begun, self.bytes_in, self.bytes_out, ending.exit_code, reason)
            await database_sync_to_async(terminals.record_closed)(access, container, grant, address, ended)
        return ending

    async def _relay(self, container: Container, grant: Grant) -> Ending:
        async with ExecStream(container, grant) as stream:
            self.stream = stream
            tasks: set[asyncio.Future[Ending]] = {
                self.broken,
                asyncio.create_task(self._output(stream)),
                asyncio.create_task(self._feed(stream)),
                asyncio.create_task(self._watch(grant)),
                asyncio.create_task(self._ask(stream)),
            }
            try:
                done, _rest = await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
                return done.pop().result()
            finally:
                self.stream = None
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _output(self, stream: ExecStream) -> Ending:
        started = False
        async for message in stream:
            if isinstance(message, protocol.Credit):
                await self._input_taken(message.frames, started=started)
                started = started or message.frames > 0
                continue
            if message.data:
                self.bytes_out += len(message.data)
                self.unacked += 1
                await self.send(bytes_data=_SOURCE[message.source] + message.data)
            if message.end:
                word = "failed" if message.error else "exit"
                return Ending(DONE, word, message.error, message.exit_code)
            if not self.acks:
                self.unacked = 0
                await stream.took(1)
        return Ending(BROKEN, "broken")

    async def _input_taken(self, frames: int, *, started: bool) -> None:
        for _frame in range(frames):
            self.room.release()
        if frames and started:
            await self._tell(type="ack", frames=frames)
        elif frames:
            await self._tell(type="started", window=frames)

    async def _feed(self, stream: ExecStream) -> Ending:
        while True:
            item = await self.input.get()
            await self.room.acquire()
            data = item if isinstance(item, bytes) else b""
            self.bytes_in += len(data)
            await stream.send(data, end=isinstance(item, End))

    async def _watch(self, grant: Grant) -> Ending:
        while True:
            await asyncio.sleep(RECHECK)
            try:
                await database_sync_to_async(terminals.authorize)(grant)
            except BerthError as error:
                return Ending(FORBIDDEN, error.code, error.message)
            if not await self._came_the_same_way(grant):
                return Ending(FORBIDDEN, "signed_out", _("You have signed out, so the terminal was closed."))

    async def _ask(self, stream: ExecStream) -> Ending:
        while True:
            await asyncio.sleep(ASK_EVERY)
            await stream.ask()

    async def _close(self, ending: Ending) -> None:
        words = self._words(ending.message)
        with suppress(RuntimeError):  # the client has left meanwhile
            if ending.word == "exit":
                await self._tell(type="exit", code=ending.exit_code)
            else:
                await self._tell(type="error", code=ending.word, message=words)
            # A close frame carries 123 bytes of reason at most.
            await self.close(ending.code, words.encode()[:120].decode(errors="ignore") or None)

    def _words(self, message: Any) -> str:
        """In the language that the browser chose; sockets pass no middleware that would set it."""
        chosen = self.scope.get("cookies", {}).get(settings.LANGUAGE_COOKIE_NAME, "")
        with translation.override(
            chosen if translation.check_for_language(chosen) else settings.LANGUAGE_CODE
        ):
            return str(message)

    async def _tell(self, **message: object) -> None:
        await self.send(text_data=json.dumps(message))


def _header(scope: Any, name: bytes) -> str:
    return str(dict(scope["headers"]).get(name, b"").decode("latin-1"))


def _own_origin(scope: Any) -> bool:
    """None (it is no browser), or exactly where this page came from: apps run on other ports of the same host."""
    origin = _header(scope, b"origin")
    if not origin:
        return True
    return origin == settings.BERTH_URL or urlsplit(origin).netloc == _header(scope, b"host")
