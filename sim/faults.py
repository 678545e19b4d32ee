"""What can go wrong, how often, and the exceptions that stand for a process that ends in the middle of its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from random import Random
from typing import Any

from django.db import OperationalError


class Crashed(BaseException):
    """The process ends here. No `except Exception` of the product may see it."""


class AgentDied(BaseException):
    """As `Crashed`, of an agent between two calls to its engine."""


@dataclass(slots=True)
class Rates:
    """Probabilities per message or call. `draw` leaves about half of them at 0, so that each seed is lopsided."""

    job_lost: float = 0.0
    job_doubled: float = 0.0
    job_late: float = 0.0
    report_lost: float = 0.0
    report_doubled: float = 0.0
    report_late: float = 0.0
    event_missed: float = 0.0
    call_refused: float = 0.0
    call_timed_out: float = 0.0
    agent_dies: float = 0.0
    pull_fails: float = 0.0
    slow: float = 0.0

    @classmethod
    def draw(cls, random: Random) -> Rates:
        most = {"agent_dies": 0.01, "call_refused": 0.05, "call_timed_out": 0.05, "pull_fails": 0.3}
        drawn = {one.name: random.random() * most.get(one.name, 0.15) for one in fields(cls)}
        return cls(**{name: rate if random.random() < 0.5 else 0.0 for name, rate in drawn.items()})


class YieldPoints:
    """Counts the console's statements and calls; at the armed one the process dies, or its database fails."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        """Statements that changed rows, since somebody emptied this."""
        self._left = 0
        self._error: Callable[[], BaseException] | None = None
        self._watching = False

    def arm(self, count: int, *, crash: bool) -> None:
        self._left = count
        self._error = Crashed if crash else lambda: OperationalError("the database is away")

    def disarm(self) -> None:
        self._error = None

    @contextmanager
    def watching(self, on: bool = True) -> Iterator[None]:
        """Only inside of this (and not inside of `watching(False)`) anything is raised."""
        before, self._watching = self._watching, on
        try:
            yield
        finally:
            self._watching = before

    def __call__(self) -> None:
        if self._error is None or not self._watching:
            return
        self._left -= 1
        if self._left <= 0:
            error, self._error = self._error, None
            raise error()

    def statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Django's execute wrapper: before and after each statement."""
        self()
        result = execute(sql, params, many, context)
        if sql[:6] in ("INSERT", "UPDATE", "DELETE") and context["cursor"].rowcount > 0:
            self.writes.append(sql)
        if sql[:5] != "BEGIN":
            # Django does not know of a transaction that was begun and never told so.
            self()
        return result
