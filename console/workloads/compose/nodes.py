"""YAML text → a tree of plain values that know their places. Nothing is constructed from tags, ever.

Aliases share one node; merge keys are already merged. Both are bounded: see `Builder`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from .problems import ComposeError, Problem, Problems, clip
from .scalars import Scalar, resolve, storable, tagged

MAX_DEPTH = 64
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLLECTION_TAGS = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class Key(str):
    """A mapping's key that knows its place."""

    __slots__ = ("column", "line")
    line: int
    column: int

    @classmethod
    def at(cls, text: str, line: int, column: int) -> Key:
        key = cls(text)
        key.line, key.column = line, column
        return key


@dataclass(slots=True)
class Node:
    """A scalar, a list or a mapping, and where it starts (from 1)."""

    value: Scalar | list[Node] | dict[Key, Node]
    line: int = 0
    column: int = 0
    broken: bool = False
    """An error stands for it already; what else is wrong with it only follows from that."""
    written: str | None = None
    """As the file has it, where variables filled it."""


@dataclass(slots=True)
class _Frame:
    """An open collection. `merges` are the values of its `<<` keys."""

    node: Node
    anchor: str | None
    key: Key | None = None
    expects_key: bool = True
    merging: bool = False
    merges: list[Node] = field(default_factory=list)


def parse(text: str, problems: Problems, budget: int) -> Node:
    """The tree of the only document in `text`. Raises `ComposeError` where reading cannot go on."""
    _refuse_unprintable(text)
    builder = Builder(problems, budget)
    try:
        for event in yaml.parse(text.removeprefix("\ufeff"), Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _syntax(problems, line, column, error.problem or "not valid YAML") from None
    except yaml.YAMLError:
        raise _syntax(problems, 0, 0, "not valid YAML") from None
    return builder.root


def _refuse_unprintable(text: str) -> None:
    if match := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - text.rfind("\n", 0, match.start())
        message = f"character U+{ord(match[0]):04X} is not allowed in YAML"
        raise ComposeError([Problem(line, column, "", "", "syntax", message)])


def _syntax(problems: Problems, line: int, column: int, message: str) -> ComposeError:
    return ComposeError([*problems.errors, Problem(line, column, "", "", "syntax", message)])


class Builder:
    """Takes YAML events, without recursion. `budget` bounds the values and, apart, what merge keys copy."""

    def __init__(self, problems: Problems, budget: int) -> None:
        self.root = Node(None, 1, 1)
        self._problems = problems
        self._budget = budget
        self._values_left = 2 * budget
        self._anchors: dict[str, Node] = {}
        self._stack: list[_Frame] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise _syntax(self._problems, line, column, "a second YAML document is not supported")
            case yaml.ScalarEvent():
                self._scalar(event, line, column)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise _syntax(self._problems, line, column, f"unknown anchor {clip(event.anchor)}")
                self._add(self._anchors[event.anchor], None)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event, line, column)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                frame = self._stack.pop()
                self._merge(frame)
                self._add(frame.node, frame.anchor)

    def _open(self, event: Any, line: int, column: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise self._limit(Node(None, line, column), "nested too deeply")
        if event.tag not in _COLLECTION_TAGS:
            self._fail(line, column, "syntax", "this YAML tag is not allowed")
        mapping = isinstance(event, yaml.MappingStartEvent)
        self._stack.append(_Frame(Node({} if mapping else [], line, column), event.anchor))

    def _scalar(self, event: Any, line: int, column: int) -> None:
        merge = event.value == "<<" and event.implicit[0] and event.tag is None
        if merge and self._expects_key():
            self._stack[-1].merging, self._stack[-1].expects_key = True, False
            return
        try:
            if event.tag is not None:
                value = tagged(event.tag, event.value)
            else:
                value = resolve(event.value) if event.implicit[0] else event.value
        except ValueError as error:
            self._fail(line, column, "syntax", str(error))
            value = event.value
        self._add(Node(value, line, column), event.anchor)

    def _expects_key(self) -> bool:
        return (
            bool(self._stack) and isinstance(self._stack[-1].node.value, dict) and self._stack[-1].expects_key
        )

    def _add(self, node: Node, anchor: str | None) -> None:
        """Puts a finished node where it belongs: root, item, key or value."""
        self._values_left -= 1
        if self._values_left < 0:
            raise self._limit(node, "the file has too many values")
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        elif frame.expects_key:
            self._take_key(frame, node)
        else:
            self._take_value(frame, node)

    def _take_key(self, frame: _Frame, node: Node) -> None:
        frame.expects_key = False
        frame.key = None
        if not isinstance(node.value, str):
            self._fail(node.line, node.column, "invalid", "a key must be text; put it in quotes")
        elif not storable(node.value):
            self._fail(node.line, node.column, "invalid", "the key has a character that cannot be stored")
        elif isinstance(frame.node.value, dict) and node.value in frame.node.value:
            self._fail(node.line, node.column, "invalid", f"the key {clip(node.value)} is here twice")
        else:
            frame.key = Key.at(node.value, node.line, node.column)

    def _take_value(self, frame: _Frame, node: Node) -> None:
        if frame.merging:
            frame.merges.append(node)
        elif frame.key is not None and isinstance(frame.node.value, dict):
            frame.node.value[frame.key] = node
        frame.expects_key, frame.merging, frame.key = True, False, None

    def _merge(self, frame: _Frame) -> None:
        """Adds the keys of `<<` values that the mapping does not have itself; earlier ones win."""
        target = frame.node.value
        for source in frame.merges:
            for part in source.value if isinstance(source.value, list) else [source]:
                if not isinstance(part.value, dict) or not isinstance(target, dict):
                    self._fail(part.line, part.column, "invalid", "<< takes a mapping or a list of mappings")
                    continue
                self._budget -= len(part.value)
                if self._budget < 0:
                    raise self._limit(part, "merge keys make the file too large")
                for key, node in part.value.items():
                    target.setdefault(key, node)

    def _limit(self, at: Node, message: str) -> ComposeError:
        return ComposeError([*self._problems.errors, self._problem(at.line, at.column, "limit", message)])

    def _fail(self, line: int, column: int, code: str, message: str) -> None:
        self._problems.error(self._problem(line, column, code, message))

    def _problem(self, line: int, column: int, code: str, message: str) -> Problem:
        path = ""
        for frame in self._stack:
            if isinstance(frame.node.value, list):
                path += f"[{len(frame.node.value)}]"
            elif frame.key is not None:
                path += ("." if path else "") + frame.key[:80]
        service = self._stack[1].key if len(self._stack) > 1 and path.startswith("services.") else None
        return Problem(line, column, str(service or ""), path, code, message)
