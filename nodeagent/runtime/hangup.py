"""Ending a program that was run inside a container: the engine has no call for it.

Two ways. Where the agent sees the host's processes (its unit does, as root), it signals the program's session.
Elsewhere a shell inside the container signals what carries the program's mark in its environment; an image
without a shell leaves only the container's end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "BERTH_EXEC"
_PROC = Path("/proc")
_SESSION = 3
"""Where /proc/PID/stat names it, counted from behind the bracket that ends the program's name (proc(5))."""

_SCRIPT = """\
for p in /proc/[0-9]*; do
  while IFS= read -r v || [ -n "$v" ]; do
    case "$v" in *"$1"*) kill -s "$2" "${p#/proc/}"; break;; esac
  done < "$p/environ"
done 2>/dev/null
"""
"""Nothing but what every POSIX shell has built in; NUL bytes between variables are skipped by `read`."""


def on_host(pid: int, engine_id: str, name: str) -> bool:
    """Signal the session that the host's process `pid` leads; False where this host does not show it as ours."""
    number = signal.Signals[f"SIG{name}"]
    if not pid or not _signal(pid, engine_id, number):
        return False
    for member in _session(pid):
        _signal(member, engine_id, number)
    return True


def inside(mark: str, name: str) -> tuple[str, ...]:
    """The command that does the same from inside the container, by the same user."""
    return ("/bin/sh", "-c", _SCRIPT, "sh", mark, name)


def _signal(pid: int, engine_id: str, number: signal.Signals) -> bool:
    """Held by a descriptor, so that a number which is given to another process meanwhile harms nobody."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if engine_id not in (_PROC / str(pid) / "cgroup").read_text():
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _session(leader: int) -> Iterator[int]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != leader:
            with suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[_SESSION]) == leader:
                    yield int(entry.name)
