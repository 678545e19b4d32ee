"""What goes wrong, and the exit code that says so. A script decides by the code, a person by the sentence."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes. They are part of the interface: a number is never given another meaning."""

    OK = 0
    FAILED = 1
    """What was asked for was tried, and failed: a rollout, a command in a container has codes of its own."""
    USAGE = 2
    REFUSED = 3
    """Not signed in, or not allowed."""
    NOT_FOUND = 4
    CONFLICT = 5
    """Something else is in the way now."""
    INVALID = 6
    """The input is wrong: a Compose file, a name, a number."""
    TIMEOUT = 7
    """It still goes on; the time to wait was up."""
    UNREACHABLE = 8
    """The console did not answer, or answered that it cannot now."""


class CliError(Exception):
    """The end of a command: one sentence for people, lines below it, and the exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED, lines: list[str] | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.lines = message, code, lines or []


class ApiError(CliError):
    """The console's own words. `error` is the API's error object: code, message, fields, data, request_id."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status, self.error = status, error
        super().__init__(str(error.get("message") or f"HTTP {status}"), exit_of(status), _lines(error))


def exit_of(status: int) -> Exit:
    """The exit code for an HTTP status."""
    codes = {
        401: Exit.REFUSED,
        403: Exit.REFUSED,
        404: Exit.NOT_FOUND,
        409: Exit.CONFLICT,
        412: Exit.CONFLICT,
    }
    if status >= 500 or status == 429:
        return Exit.UNREACHABLE
    return codes.get(status, Exit.INVALID)


def _lines(error: Mapping[str, Any]) -> list[str]:
    """Problems of a Compose file by line; else the fields' messages; then what to quote when asking for help."""
    data = error.get("data") or {}
    problems = data.get("problems") or []
    found = [f"line {one['line']}: {one['key']}: {one['message']}" for one in problems]
    if not found:
        fields = error.get("fields") or {}
        found = [
            f"{name}: {text}"
            for name, texts in fields.items()
            for text in texts
            if text != error.get("message")
        ]
    if data.get("operation"):
        found.append(f"in the way: operation {data['operation']} (berth wait {data['operation']})")
    return found
