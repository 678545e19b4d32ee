"""Errors from the log files, echoed to the terminal with the program's name in front."""

from __future__ import annotations

import re
from pathlib import Path

TROUBLE = re.compile(r"\b(ERROR|CRITICAL|FATAL)\b|\bWARN exited: .*not expected|^Traceback ")
MOST_LINES = 20


class Tail:
    """Follows one log from its present end, also when it is rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = path.stem
        self._offset = path.stat().st_size if path.exists() else 0
        self._in_traceback = False

    def trouble(self) -> list[str]:
        """The error lines written since the last call, tracebacks whole, `MOST_LINES` of them at most."""
        lines = [line for line in self._fresh_lines() if self._is_trouble(line)]
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"… and {len(lines) - MOST_LINES} more lines like these in {self._path}"]
        return [f"{self._name:>11} | {line}" for line in lines]

    def _fresh_lines(self) -> list[str]:
        if not self._path.exists():
            return []
        if self._path.stat().st_size < self._offset:
            self._offset = 0
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = log.read(1024 * 1024)
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode(errors="replace").splitlines()

    def _is_trouble(self, line: str) -> bool:
        if self._in_traceback:
            # It ends with the first line that is not indented: the exception itself.
            self._in_traceback = not line or line[0].isspace()
            return True
        self._in_traceback = line.startswith("Traceback ")
        return bool(TROUBLE.search(line))
