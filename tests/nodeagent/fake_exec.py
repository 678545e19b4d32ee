"""Programs of the fake engine: real ones on this machine, on a real terminal or on pipes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

from nodeagent.runtime.base import EngineUnavailable, ExecRequest, Invalid

Source = Literal["stdout", "stderr"]
CHUNK = 32 * 1024


class FakeProcess:
    def __init__(self, request: ExecRequest) -> None:
        self._tty = request.tty
        outer, inner = pty.openpty() if request.tty else (-1, -1)
        stream = inner if request.tty else subprocess.PIPE
        try:
            self._program = subprocess.Popen(
                request.command, stdin=stream, stdout=stream, stderr=stream, start_new_session=True
            )
        except OSError as error:
            raise Invalid(f"{error}: no such program") from error
        finally:
            if request.tty:
                os.close(inner)
        if request.tty:
            self._input, self._outputs = outer, [(outer, "stdout")]
            self.resize(request.width, request.height)
        else:
            assert self._program.stdin is not None
            self._input = self._program.stdin.fileno()
            pipes = ((self._program.stdout, "stdout"), (self._program.stderr, "stderr"))
            self._outputs = [(pipe.fileno(), source) for pipe, source in pipes if pipe]
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[tuple[Source, bytes]]:
        poller = select.poll()
        names = dict(self._outputs)
        for descriptor in names:
            # Alone: a terminal can nearly always be written to, and reading it then would wait.
            poller.register(descriptor, select.POLLIN)
        while names and not self._closed.is_set():
            for descriptor, _event in poller.poll(20):
                data = _read(descriptor)
                if data:
                    yield ("stderr" if names[descriptor] == "stderr" else "stdout"), data
                else:
                    poller.unregister(descriptor)
                    del names[descriptor]

    def write(self, data: bytes) -> None:
        try:
            while data and not self._closed.is_set():
                data = data[os.write(self._input, data) :]
        except OSError as error:
            raise EngineUnavailable(str(error)) from error

    def end_input(self) -> None:
        if self._tty:
            self.write(b"\x04")
        elif self._program.stdin:
            self._program.stdin.close()

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def exit_code(self) -> int:
        code = self._program.wait(5)
        return code if code >= 0 else 128 - code

    def hang_up(self) -> None:
        for number in (signal.SIGHUP, signal.SIGKILL):
            if self._program.poll() is None:
                os.killpg(self._program.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self._program.wait(2)

    def close(self) -> None:
        self._closed.set()

    @property
    def alive(self) -> bool:
        return self._program.poll() is None


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK)
    except OSError:
        return b""
