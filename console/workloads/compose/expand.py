"""The tree with every alias written out and every variable put in, within bounds."""

from __future__ import annotations

from .cursor import Cursor
from .interpolation import Interpolator, MissingVariableError, TooLargeError
from .nodes import MAX_DEPTH, Key, Node
from .problems import ComposeError, Problem, Problems
from .scalars import Scalar, storable


class Expander:
    """`budget` bounds how many values one file may come to."""

    def __init__(self, interpolator: Interpolator, problems: Problems, budget: int) -> None:
        self._interpolator = interpolator
        self._problems = problems
        self._left = budget

    def expand(self, at: Cursor, depth: int = 0) -> Node:
        """A copy of the node. Raises `ComposeError` when a bound is passed; other errors are collected."""
        self._left -= 1
        if self._left < 0:
            raise self._limit(at, "the file has too many values, written out")
        if depth > MAX_DEPTH:
            raise self._limit(at, "nested too deeply")
        node = at.node
        value: list[Node] | dict[Key, Node]
        if isinstance(node.value, dict):
            value = {
                entry.key: self.expand(entry, depth + 1) for entry in at.entries() if entry.key is not None
            }
        elif isinstance(node.value, list):
            value = [self.expand(item, depth + 1) for item in at.items()]
        else:
            return self._scalar(at, node.value)
        return Node(value, node.line, node.column)

    def _scalar(self, at: Cursor, value: Scalar) -> Node:
        broken = Node("", at.node.line, at.node.column, broken=True)
        if not isinstance(value, str):
            return Node(value, at.node.line, at.node.column)
        try:
            written = self._interpolator.substitute(value, lambda name: _unset(at, name))
        except TooLargeError as error:
            raise self._limit(at, str(error)) from None
        except MissingVariableError as error:
            at.fail("missing", str(error))
            return broken
        except ValueError as error:
            at.fail("invalid", str(error))
            return broken
        if not storable(written):
            at.fail("invalid", "has a character that a container cannot take")
            return broken
        return Node(written, at.node.line, at.node.column, written=value if written != value else None)

    def _limit(self, at: Cursor, message: str) -> ComposeError:
        return ComposeError(
            [
                *self._problems.errors,
                Problem(at.node.line, at.node.column, at.service, at.path, "limit", message),
            ]
        )


def _unset(at: Cursor, name: str) -> None:
    at.warn("unset", f"variable {name[:80]} is not set; it counts as empty")
