"""One program that somebody runs inside a container through the link: its buffers, credits and bounds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from nodeagent.protocol import MOST_EXEC_BYTES, Credit, ExecFrame, ExecInput, OpenExec
from nodeagent.runtime.base import Chunk, Process

BUFFER_BYTES = 256 * 1024
"""Output held for a slow reader; beyond it the program is held back."""
INPUT_CREDIT = 16
"""Input frames that may be under way."""


class Terminal:
    """Filled by its reader and writer threads, emptied by the link's; any thread may close it."""

    def __init__(self, request: OpenExec, ready: Callable[[], None]) -> None:
        self.request = request
        self.process: Process | None = None
        self.closed = threading.Event()
        self.began = self.used = self.heard = time.monotonic()
        """When it was opened, had data either way, and had a word of the console."""
        self._ready = ready
        self._change = threading.Condition()
        self._output: deque[Chunk] = deque()
        self._bytes = 0
        self._credit = max(0, request.credit)
        self._input: deque[ExecInput] = deque()
        self._inputs = 0
        self._taken = 0
        self._greeting = False
        self._number = 0
        self._size: tuple[int, int] | None = None
        self._sizing = False
        self._end: tuple[int | None, str] | None = None

    def attach(self, process: Process) -> None:
        """It runs: input may come."""
        self.process = process
        self._took(INPUT_CREDIT)

    def push(self, chunk: Chunk) -> None:
        """Waits while the buffer is full."""
        with self._change:
            self._change.wait_for(lambda: self._bytes < BUFFER_BYTES or self.closed.is_set())
            self._output.append(chunk)
            self._bytes += len(chunk[1])
            self.used = time.monotonic()
        self._ready()

    def finish(self, exit_code: int | None = None, error: str = "") -> None:
        """The last frame follows what was pushed. The first call counts."""
        with self._change:
            self._end = self._end or (exit_code, error)
        self._ready()

    def close(self) -> None:
        """Nobody reads or writes any more."""
        self.closed.set()
        with self._change:
            self._change.notify_all()
        if self.process is not None:
            self.process.close()

    def set_size(self, width: int, height: int) -> bool:
        """True when nobody is at setting sizes yet; the caller then begins."""
        with self._change:
            self._size = (width, height)
            begin = self.process is not None and not self._sizing
            self._sizing = self._sizing or begin
            return begin

    def next_size(self) -> tuple[int, int] | None:
        """The newest size that has not been set."""
        with self._change:
            size, self._size = self._size, None
            self._sizing = size is not None
            return size

    def add_credit(self, frames: int) -> None:
        """None at all is a question whether it is still open, which is answered in kind."""
        with self._change:
            self._greeting = self._greeting or frames == 0
            self._credit += max(0, frames)
        self._ready()

    def put_input(self, message: ExecInput) -> bool:
        """False when the console sent more than it may, or one got lost on the way."""
        with self._change:
            if self.closed.is_set():
                return True
            self._inputs += 1
            if message.number != self._inputs or len(self._input) >= INPUT_CREDIT:
                return False
            self._input.append(message)
            self._change.notify_all()
        self.used = time.monotonic()
        return True

    def next_input(self) -> ExecInput | None:
        """Waits for it; None once the terminal is closed."""
        with self._change:
            self._change.wait_for(lambda: self._input or self.closed.is_set())
            return None if self.closed.is_set() else self._input.popleft()

    def input_taken(self) -> None:
        self._took(1)

    def _took(self, frames: int) -> None:
        with self._change:
            self._taken += frames
        self._ready()

    def take(self) -> ExecFrame | Credit | None:
        """What may go up now."""
        with self._change:
            over = self._end and not self._output
            if (self._taken or self._greeting) and not over:
                taken, self._taken, self._greeting = self._taken, 0, False
                return Credit(stream=self.request.stream, frames=taken)
            if self._credit <= 0 or not (self._output or self._end):
                return None
            self._credit -= 1
            self._number += 1
            return self._frame() if self._output else self._last()

    def _frame(self) -> ExecFrame:
        """As much of one source as a frame may carry."""
        source = self._output[0][0]
        data = bytearray()
        while self._output and self._output[0][0] == source and len(data) < MOST_EXEC_BYTES:
            chunk = self._output.popleft()[1]
            room = MOST_EXEC_BYTES - len(data)
            data += chunk[:room]
            if len(chunk) > room:
                self._output.appendleft((source, chunk[room:]))
        self._bytes -= len(data)
        self._change.notify_all()
        return ExecFrame(stream=self.request.stream, number=self._number, source=source, data=bytes(data))

    def _last(self) -> ExecFrame:
        code, error = self._end or (None, "")
        return ExecFrame(
            stream=self.request.stream, number=self._number, end=True, exit_code=code, error=error
        )
