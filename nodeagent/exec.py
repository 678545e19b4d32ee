"""Programs run inside containers over the link: interactive terminals, and commands with their input and output.

Nothing is dropped: a slow reader holds the program back, a slow program the writer. A program lives no longer than
its stream: it is ended with it, when the link breaks, and when the console has not been heard of for its lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from nodeagent import names
from nodeagent.errors import AgentError, Refused
from nodeagent.observer import Observer
from nodeagent.protocol import (
    Close,
    Credit,
    ExecFrame,
    ExecInput,
    ExecResize,
    OpenExec,
    engine_name,
)
from nodeagent.runtime.base import EngineError, ExecRequest, NotFound, Process, Runtime
from nodeagent.terminal import Terminal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many programs run on this node at once, and how long: without data either way, and in all."""

    terminals: int = 16
    idle: float = 3600.0
    total: float = 12 * 3600.0


class ExecStreams:
    """All programs of the link's session. Every call but `_run` returns at once."""

    def __init__(
        self, runtime: Runtime, observer: Observer, wake: Callable[[], None], bounds: Bounds | None = None
    ) -> None:
        self._runtime = runtime
        self._observer = observer
        self._wake = wake
        self._bounds = bounds or Bounds()
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._open: dict[str, Terminal] = {}
        self._running: set[Terminal] = set()
        """Also those whose reader has left and whose program is still being ended."""

    def open(self, request: OpenExec) -> None:
        terminal = Terminal(request, self._wake)
        with self._lock:
            if request.stream in self._open:
                return
            self._open[request.stream] = terminal
            full = len(self._running) >= self._bounds.terminals
            if not full:
                self._running.add(terminal)
        if full:
            most = self._bounds.terminals
            terminal.finish(error=f"This node runs {most} terminals and opens no more; close one.")
            return
        threading.Thread(target=self._run, args=(terminal,), name="exec", daemon=True).start()

    def input(self, message: ExecInput) -> None:
        terminal = self._find(message.stream)
        if terminal and not terminal.put_input(message):
            self._give_up(terminal, "Input got lost on its way to the node, so the program was ended.")

    def resize(self, message: ExecResize) -> None:
        terminal = self._find(message.stream)
        if terminal and terminal.set_size(message.width, message.height):
            threading.Thread(target=_resize, args=(terminal,), name="exec-size", daemon=True).start()

    def credit(self, message: Credit) -> None:
        terminal = self._find(message.stream)
        if terminal:
            terminal.add_credit(message.frames)

    def close(self, message: Close) -> None:
        with self._lock:
            terminal = self._open.pop(message.stream, None)
        if terminal:
            terminal.close()

    def close_all(self) -> None:
        with self._lock:
            terminals, self._open = list(self._open.values()), {}
        for terminal in terminals:
            terminal.close()

    def wait(self, timeout: float) -> bool:
        """After `close_all`: until every program has been ended, at most so many seconds."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._running, timeout)

    def next_frame(self) -> ExecFrame | Credit | None:
        """What may go up now; terminals take turns. Asked at least with every heartbeat, it keeps the bounds."""
        with self._lock:
            over = [(terminal, words) for terminal in self._open.values() if (words := self._over(terminal))]
        for terminal, words in over:
            self._give_up(terminal, words)
        with self._lock:
            for name, terminal in self._open.items():
                frame = terminal.take()
                if frame is not None:
                    del self._open[name]
                    if isinstance(frame, Credit) or not frame.end:
                        self._open[name] = terminal
                    return frame
        return None

    def _find(self, stream: str) -> Terminal | None:
        with self._lock:
            terminal = self._open.get(stream)
        if terminal:
            terminal.heard = time.monotonic()
        return terminal

    def _run(self, terminal: Terminal) -> None:
        try:
            self._serve(terminal)
        except AgentError as error:
            terminal.finish(error=error.message)
        except Exception:
            log.exception("exec stream %s failed", terminal.request.stream)
            terminal.finish(error="The terminal failed on the node; open it again.")
        finally:
            terminal.close()
            _end(terminal)
            with self._ended:
                self._running.discard(terminal)
                self._ended.notify_all()

    def _serve(self, terminal: Terminal) -> None:
        terminal.attach(self._start(terminal.request))
        process = terminal.process
        if terminal.closed.is_set() or process is None:
            return
        _resize(terminal)
        threading.Thread(target=self._feed, args=(terminal, process), name="exec-input", daemon=True).start()
        for chunk in process:
            terminal.push(chunk)
            if terminal.closed.is_set():
                return
        if not terminal.closed.is_set():
            terminal.finish(process.exit_code())

    def _start(self, request: OpenExec) -> Process:
        names.check_name(names.SLOT, request.slot, "The slot")
        name = engine_name(request.slot, request.generation)
        facts = self._runtime.inspect(name)
        if facts is None:
            raise NotFound(f"The container {name} is not on this node any more.")
        if not self._observer.is_ours(facts):
            raise Refused(f"The container {name} was not made by this cluster, so nothing is run in it.")
        wanted = ExecRequest(
            request.command, request.tty, request.user, request.working_dir, request.width, request.height
        )
        return self._runtime.execute(facts.engine_id, wanted)

    def _feed(self, terminal: Terminal, process: Process) -> None:
        try:
            while (message := terminal.next_input()) is not None:
                _write(process, message)
                terminal.input_taken()
        except AgentError as error:
            # The program may have closed its input and go on; its end is told by its output.
            log.info("exec stream %s takes no more input: %s", terminal.request.stream, error.message)

    def _over(self, terminal: Terminal) -> str:
        """Why the terminal must end now; empty while it may go on."""
        if terminal.closed.is_set():
            return ""
        now, bounds = time.monotonic(), self._bounds
        if now - terminal.heard > terminal.request.lease:
            return "The console has not asked for this terminal to stay open."
        if now - terminal.used > bounds.idle:
            return f"The terminal was idle for {bounds.idle / 60:.0f} minutes, so it was closed."
        if now - terminal.began > bounds.total:
            return f"The terminal was open for {bounds.total / 3600:.0f} hours, so it was closed."
        return ""

    def _give_up(self, terminal: Terminal, words: str) -> None:
        log.warning("exec stream %s is ended: %s", terminal.request.stream, words)
        terminal.finish(error=words)
        terminal.close()


def _write(process: Process, message: ExecInput) -> None:
    if message.data:
        process.write(message.data)
    if message.end:
        process.end_input()


def _resize(terminal: Terminal) -> None:
    """The newest size; while one is being set, later ones wait for it together."""
    while terminal.process and (size := terminal.next_size()):
        try:
            terminal.process.resize(*size)
        except EngineError as error:
            log.info("exec stream %s keeps its size: %s", terminal.request.stream, error.message)


def _end(terminal: Terminal) -> None:
    if terminal.process is None:
        return
    try:
        terminal.process.hang_up()
    except NotFound:
        return
    except EngineError as error:
        log.warning("exec stream %s: %s", terminal.request.stream, error.message)
