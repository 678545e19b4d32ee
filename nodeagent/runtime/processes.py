"""Programs run inside a container through the engine's exec calls."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from nodeagent.runtime import demux, faults, hangup
from nodeagent.runtime.base import ContainerFacts, EngineError, ExecRequest
from nodeagent.runtime.docker import Connection, Upgraded, path_part

END_OF_FILE = b"\x04"
TERM = "xterm-256color"
GRACE = 2.0
"""Seconds between asking a program to end and ending it."""
SETTLE = 5.0
"""Seconds for which an ended stream's exit code may still be missing."""
_CANNOT_START = b"OCI runtime exec failed"


class EngineProcess:
    """See `base.Process`."""

    def __init__(
        self, engine: Connection, facts: ContainerFacts, request: ExecRequest, exec_id: str, mark: str
    ) -> None:
        self._engine = engine
        self._facts = facts
        self._request = request
        self._mark = mark
        self._path = f"/exec/{path_part(exec_id)}"
        self._wire: Upgraded = engine.upgrade(
            f"{self._path}/start",
            {"Tty": request.tty, "Detach": False},
            lambda status, words: faults.exec_fault(facts.name, status, words),
        )
        if request.tty:
            self._first_size()

    def _first_size(self) -> None:
        """Set once it runs: the engine has no terminal before, and may answer before that."""
        deadline = time.monotonic() + GRACE
        while not (seen := self._look())["Pid"] and seen["ExitCode"] is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if seen["Pid"]:
            # It may have ended by now.
            with suppress(EngineError):
                self.resize(self._request.width, self._request.height)

    def __iter__(self) -> Iterator[tuple[demux.Source, bytes]]:
        chunks = iter(self._wire.read, b"")
        first = True
        parts = ((chunk, "stdout") for chunk in chunks) if self._request.tty else demux.frames(chunks)
        source: demux.Source
        for data, source in parts:
            # The engine has said that it starts before it knows whether it can.
            if first and data.startswith(_CANNOT_START) and not self._look()["Pid"]:
                raise faults.exec_fault(self._facts.name, 400, data.decode("utf-8", "replace"))
            first = False
            yield source, data

    def write(self, data: bytes) -> None:
        try:
            self._wire.write(data)
        except OSError as error:
            raise self._engine.gone(f"the program's input is closed ({error})") from error

    def end_input(self) -> None:
        if self._request.tty:
            self.write(END_OF_FILE)
            return
        try:
            self._wire.end_writing()
        except OSError as error:
            raise EngineError(f"The end of the input cannot be passed on: {error}.") from error

    def resize(self, width: int, height: int) -> None:
        what = "The terminal's size cannot be changed"
        size = {"w": str(width), "h": str(height)}
        self._engine.call("POST", f"{self._path}/resize", what, params=size)

    def exit_code(self) -> int:
        deadline = time.monotonic() + SETTLE
        while (seen := self._look())["Running"] or seen["ExitCode"] is None:
            if time.monotonic() > deadline:
                raise EngineError("The program's output has ended, but the program has not.")
            time.sleep(0.02)
        return int(seen["ExitCode"])

    def hang_up(self) -> None:
        for signal in ("HUP", "KILL"):
            seen = self._look()
            if not seen["Running"]:
                return
            if not hangup.on_host(int(seen["Pid"]), self._facts.engine_id, signal):
                self._kill_inside(signal)
            deadline = time.monotonic() + GRACE
            while self._look()["Running"] and time.monotonic() < deadline:
                time.sleep(0.05)
        if self._look()["Running"]:
            raise EngineError(
                f"The program {self._request.command[0]} still runs in {self._facts.name}: the agent does not "
                "see the host's processes, and the image has no shell to end it with. It ends with its container."
            )

    def close(self) -> None:
        self._wire.close()

    def _look(self) -> dict[str, Any]:
        return dict(self._engine.json("GET", f"{self._path}/json", "The program cannot be looked at"))

    def _kill_inside(self, signal: str) -> None:
        command = hangup.inside(self._mark, signal)
        exec_id = _create(self._engine, self._facts, ExecRequest(command, user=self._request.user))
        self._engine.call("POST", f"/exec/{exec_id}/start", body={"Detach": True})


def start_process(engine: Connection, facts: ContainerFacts, request: ExecRequest) -> EngineProcess:
    """Raises `NotRunning`, `Invalid`."""
    mark = f"{hangup.MARK}={secrets.token_hex(8)}"
    exec_id = _create(engine, facts, request, mark)
    return EngineProcess(engine, facts, request, exec_id, mark)


def _create(engine: Connection, facts: ContainerFacts, request: ExecRequest, *environment: str) -> str:
    body = {
        "AttachStdin": bool(environment),
        "AttachStdout": True,
        "AttachStderr": True,
        "Privileged": False,
        "Tty": request.tty,
        "Cmd": list(request.command),
        "Env": [*environment, *([f"TERM={TERM}"] if request.tty else [])],
        "User": request.user,
        "WorkingDir": request.working_dir,
    }
    made = engine.json(
        "POST",
        f"/containers/{path_part(facts.engine_id)}/exec",
        body=body,
        fault=lambda status, words: faults.exec_fault(facts.name, status, words),
    )
    return str(made["Id"])
