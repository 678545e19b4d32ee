"""Programs that are known by pid and start time, so that only our own are ever ended.

A `Process` leaves a small record on disk while its program runs. Whoever reads the record later (the
clean-up of a killed run, a second `make run`) can tell the program from another one with the same pid.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RECORD_SUFFIX = ".process.json"


@dataclass(frozen=True)
class Identity:
    """One program: `start` is in clock ticks since the boot named `boot`. `end_with` is a signal number."""

    pid: int
    start: int
    boot: str
    end_with: int = signal.SIGTERM

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and start_time(self.pid) == self.start


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def start_time(pid: int) -> int | None:
    """Start in clock ticks since boot; None for a process that is gone or only waits to be reaped."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def identify(pid: int, end_with: int = signal.SIGTERM) -> Identity:
    """Raises `ProcessLookupError` when the process is gone."""
    start = start_time(pid)
    if start is None:
        raise ProcessLookupError(pid)
    return Identity(pid, start, boot_id(), end_with)


def all_pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def session_members(leader: Identity) -> list[int]:
    """Living processes of the session that `leader` began, itself included; also after its death."""
    if leader.boot != boot_id():
        return []
    members = []
    for pid in all_pids():
        fields = _stat(pid)
        if (
            fields
            and fields[0] not in "ZX"
            and int(fields[3]) == leader.pid
            and int(fields[19]) >= leader.start
        ):
            members.append(pid)
    return members


def send(pid: int, number: int) -> None:
    """Signals a process; one that is gone already is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_until(condition: Callable[[], object], timeout: float, *, every: float = 0.05) -> bool:
    """Polls `condition`; False when it was still not true after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def read_record(record: Path) -> Identity | None:
    """The program that a record names. None when there is no record, or half of one."""
    try:
        return Identity(**json.loads(record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_record(record: Path, identity: Identity) -> None:
    """Replaces the record in one step, so that a reader never sees half of it."""
    fresh = record.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(identity)))
    fresh.replace(record)


class Process:
    """One program in a session of its own. It is started, killed and started again only when asked."""

    def __init__(
        self,
        record: Path,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        netns: str | None = None,
        end_with: int = signal.SIGTERM,
    ) -> None:
        """`record` ends in `RECORD_SUFFIX`; `netns` is a network namespace's name (root is needed for it)."""
        enter = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
        self.argv = [*enter, *argv]
        self.log = log
        self._record, self._env, self._cwd, self._user, self._end_with = record, env, cwd, user, end_with
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def identity(self) -> Identity | None:
        """The recorded program, running or not."""
        return read_record(self._record)

    @property
    def alive(self) -> bool:
        if self._child is not None:
            self._child.poll()
        identity = self.identity
        return identity is not None and identity.alive

    @property
    def pid(self) -> int | None:
        identity = self.identity
        return identity.pid if identity and identity.alive else None

    @property
    def exit_code(self) -> int | None:
        """Of a program that this object started and that has ended."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        """Starts the program, detached from the terminal's signals. Nothing happens while it runs."""
        if self.alive:
            return
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self._env) if self._env is not None else None,
                cwd=self._cwd,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,
            )
        write_record(self._record, identify(self._child.pid, self._end_with))

    def kill(self) -> None:
        """SIGKILL to the program alone, as a crash would be. Its children are left to themselves."""
        self._end(signal.SIGKILL, 10.0)

    def pause(self) -> None:
        """SIGSTOP to the program and what it started in its session: it is there, and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in session_members(identity) if (identity := self.identity) else []:
            send(pid, number)

    def stop(self, timeout: float = 10.0) -> None:
        """Ends the program as it likes to be ended, after `timeout` by force, and whatever it left behind."""
        identity = self.identity
        self._end(self._end_with, timeout)
        if identity:
            for pid in session_members(identity):
                send(pid, signal.SIGKILL)
        self._record.unlink(missing_ok=True)

    def _end(self, number: int, timeout: float) -> None:
        pid = self.pid
        if pid is None:
            return
        send(pid, number)
        if not wait_until(lambda: not self.alive, timeout):
            send(pid, signal.SIGKILL)
            wait_until(lambda: not self.alive, 10.0)

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log, for messages."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
