"""What is wrong with a Compose file, and the bounded collection of it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

MAX_PROBLEMS = 100
"""A file with more than this many problems is not read to its end."""

_CLIP = 120


class Problem(msgspec.Struct, frozen=True):
    """One finding. `line` and `column` count from 1 (0: no place in the file), `key` is a dotted path.

    Codes: syntax, invalid, missing, unsupported, refused, limit; of warnings also obsolete, unset, note.
    """

    line: int
    column: int
    service: str
    key: str
    code: str
    message: str


class ComposeError(Exception):
    """The file cannot be deployed. `problems` are all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=lambda p: (p.line, p.column)))
        super().__init__("; ".join(f"line {p.line}: {p.key}: {p.message}" for p in self.problems))


class Problems:
    """Collects errors and warnings of one load."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self._seen: set[Problem] = set()

    def copy(self) -> Problems:
        twin = Problems()
        twin.errors, twin.warnings, twin._seen = [*self.errors], [*self.warnings], {*self._seen}
        return twin

    def error(self, problem: Problem) -> None:
        """Adds an error once; raises `ComposeError` when there are too many to go on."""
        if problem in self._seen:
            return
        self._seen.add(problem)
        self.errors.append(problem)
        if len(self.errors) >= MAX_PROBLEMS:
            more = Problem(
                problem.line, problem.column, "", "", "limit", "too many problems; the rest is not shown"
            )
            raise ComposeError([*self.errors, more])

    def warn(self, problem: Problem) -> None:
        """Adds a warning once; those past the bound are dropped, as they repeat the same."""
        if problem not in self._seen and len(self.warnings) < MAX_PROBLEMS:
            self._seen.add(problem)
            self.warnings.append(problem)

    def raise_if_any(self) -> None:
        if self.errors:
            raise ComposeError(self.errors)


def clip(text: object) -> str:
    """User text for a message: quoted, bounded, without control characters."""
    shown = str(text)
    shown = shown if len(shown) <= _CLIP else shown[:_CLIP] + "…"
    return repr(shown)
