"""What the readers of a service need besides the service itself."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .cursor import Cursor
from .interpolation import Budget
from .model import Dependency, Policy, SecretSource
from .problems import clip
from .scalars import storable


@dataclass(slots=True)
class Context:
    """`volumes`, `configs` and `networks` (each internal or not) are the file's own top-level ones; `files` are the
    uploaded texts by path.

    `dependencies`, `named` and `commands` grow while services are read: whom they depend on, whom else they name,
    and where they have a release command.
    """

    policy: Policy
    variables: Mapping[str, str]
    files: Mapping[str, str]
    volumes: tuple[str, ...] = ()
    configs: dict[str, str] = field(default_factory=dict)
    networks: dict[str, bool] = field(default_factory=dict)
    secrets: dict[str, SecretSource] = field(default_factory=dict)
    text: str = ""
    """As it was given, with its variables unfilled."""
    written: dict[str, str] = field(default_factory=dict)
    """Grows while services are read: images as the file has them, where variables filled them."""
    content_left: int = 0
    budget: Budget = field(default_factory=lambda: Budget(0))
    dependencies: list[tuple[Cursor, Dependency]] = field(default_factory=list)
    named: list[tuple[Cursor, str]] = field(default_factory=list)
    commands: list[Cursor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = {posixpath.normpath(name): text for name, text in self.files.items()}

    def withhold(self, variables: Collection[str], files: Collection[str]) -> None:
        """From here on nothing in the file finds these: they are secrets."""
        paths = {posixpath.normpath(path) for path in files}
        self.variables = {name: text for name, text in self.variables.items() if name not in variables}
        self.files = {name: text for name, text in self.files.items() if name not in paths}

    def has(self, path: str) -> bool:
        return posixpath.normpath(path) in self.files

    def file(self, at: Cursor, path: str) -> str | None:
        """The uploaded file that `path` names; an error at the cursor when there is none."""
        content = self.files.get(posixpath.normpath(path))
        if content is None:
            at.fail("missing", f"file {clip(path)} was not given along with the Compose file")
            return None
        return content if self.take(at, content) else None

    def take(self, at: Cursor, text: str) -> bool:
        """Counts a text against the bound of all contents, and refuses what cannot be stored."""
        if not storable(text):
            at.fail("invalid", "has a character that a container cannot take")
            return False
        self.content_left -= len(text.encode())
        if self.content_left < 0:
            at.fail("limit", f"files and configs together are larger than {self.policy.max_content} bytes")
            return False
        return True
