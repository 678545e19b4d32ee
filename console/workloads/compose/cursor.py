"""A node together with its path: how the readers of single keys report what is wrong, and where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import TypeVar

from .nodes import Key, Node
from .problems import Problem, Problems, clip
from .scalars import Scalar

T = TypeVar("T")

OWN = "x-berth"
"""Berth's own additions to the format."""


class Cursor:
    """One value of the file. Errors go to `problems`; a reader answers with its default and goes on."""

    __slots__ = ("key", "node", "path", "problems", "service")

    def __init__(
        self, node: Node, problems: Problems, *, path: str = "", service: str = "", key: Key | None = None
    ):
        self.node, self.problems, self.path, self.service, self.key = node, problems, path, service, key

    def child(self, key: Key, node: Node) -> Cursor:
        path = f"{self.path}.{key[:80]}" if self.path else key[:80]
        service = str(key) if self.path == "services" else self.service
        return Cursor(node, self.problems, path=path, service=service, key=key)

    def fail(self, code: str, message: str) -> None:
        """An error at the value."""
        if not self.node.broken:
            self.problems.error(self._problem(self.node.line, self.node.column, code, message))

    def fail_key(self, code: str, message: str) -> None:
        """An error at the key (a value from an anchor stands elsewhere in the file)."""
        at = self.key or self.node
        self.problems.error(self._problem(at.line, at.column, code, message))

    def warn(self, code: str, message: str) -> None:
        at = self.key or self.node
        self.problems.warn(self._problem(at.line, at.column, code, message))

    def _problem(self, line: int, column: int, code: str, message: str) -> Problem:
        return Problem(line, column, self.service[:80], self.path, code, message)

    @property
    def text(self) -> str | None:
        """The value if it is text; None without an error otherwise."""
        return self.node.value if isinstance(self.node.value, str) else None

    @property
    def is_map(self) -> bool:
        return isinstance(self.node.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node.value, list)

    def entries(self) -> list[Cursor]:
        """Children of a mapping, each with its key; an error and nothing when it is none."""
        value = self.node.value
        if isinstance(value, dict):
            return [self.child(key, node) for key, node in value.items()]
        self.fail("invalid", "must be a mapping (key: value)")
        return []

    def items(self) -> list[Cursor]:
        """Elements of a list; an error and nothing when it is none."""
        value = self.node.value
        if isinstance(value, list):
            return [
                Cursor(node, self.problems, path=f"{self.path}[{index}]", service=self.service)
                for index, node in enumerate(value)
            ]
        self.fail("invalid", "must be a list")
        return []

    def one_or_more(self) -> list[Cursor]:
        """A list's elements, or the single value itself."""
        return self.items() if self.is_list else [self]

    def fields(
        self,
        known: Collection[str],
        *,
        unsupported: Mapping[str, str] = {},
        refused: Mapping[str, str] = {},
    ) -> dict[str, Cursor]:
        """Children under known keys that have a value. Any other key, but `x-…`, is an error by its name."""
        found: dict[str, Cursor] = {}
        for entry in self.entries():
            name = str(entry.key)
            if name in known:
                if entry.node.value is not None:
                    found[name] = entry
            elif name in refused:
                entry.fail_key("refused", f"{name} is not allowed: {refused[name]}")
            elif name in unsupported:
                entry.fail_key("unsupported", f"{name} is not supported yet{_because(unsupported[name])}")
            elif name == OWN:
                entry.fail_key("unsupported", f"{OWN} has no place here")
            elif not name.startswith("x-"):
                entry.fail_key("invalid", _unknown(name, [*known, *unsupported, *refused]))
        return found

    def parse(self, convert: Callable[[Scalar], T], default: T) -> T:
        """The scalar through `convert`, whose ValueError becomes the error."""
        value = self.node.value
        if self.node.broken:
            return default
        if isinstance(value, list | dict):
            self.fail("invalid", f"must be a single value, not a {'list' if self.is_list else 'mapping'}")
            return default
        try:
            return convert(value)
        except ValueError as error:
            self.fail("invalid", str(error))
            return default


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _unknown(name: str, candidates: list[str]) -> str:
    close = get_close_matches(name, candidates, n=1) if len(name) <= 40 else []
    return f"unknown key {clip(name)}" + (f"; did you mean {close[0]}?" if close else "")


def value(fields: Mapping[str, Cursor], key: str, convert: Callable[[Scalar], T], default: T) -> T:
    """The field through `convert`; the default where the file leaves it out."""
    at = fields.get(key)
    return default if at is None else at.parse(convert, default)
