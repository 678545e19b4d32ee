"""`${VAR}` and its relatives, with the grammar of the Compose Specification.

Known forms: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?error}`, `${VAR?error}`,
`${VAR:+other}`, `${VAR+other}`, `$$`. The part after the operator may hold the same forms again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_BRACED = re.compile(r"([_a-zA-Z][_a-zA-Z0-9]*)(?:(:?[-?+])(.*))?", re.DOTALL)
_MAX_DEPTH = 16


class MissingVariableError(ValueError):
    """A required variable has no value."""


class TooLargeError(ValueError):
    """The text grew past its bound."""


class Budget:
    """How many characters may still be produced. Shared by all that one load interpolates."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def spend(self, characters: int) -> None:
        """Raises `TooLargeError` once it is used up."""
        self._left -= characters
        if self._left < 0:
            raise TooLargeError("variables make the file too large")


class Interpolator:
    """Substitutes in texts. `unset` is told each variable that has neither a value nor a default."""

    def __init__(self, variables: Mapping[str, str], budget: Budget) -> None:
        self._variables = variables
        self._budget = budget

    def substitute(self, text: str, unset: Callable[[str], None]) -> str:
        """Raises `MissingVariableError`, `TooLargeError`, or ValueError for a malformed `${`."""
        if "$" not in text:
            return text
        return self._expand(text, unset, 0)

    def _expand(self, text: str, unset: Callable[[str], None], depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise ValueError("variables are nested too deeply")
        out: list[str] = []
        at = 0
        while (dollar := text.find("$", at)) >= 0:
            out.append(text[at:dollar])
            piece, at = self._one(text, dollar, unset, depth)
            self._budget.spend(len(piece))
            out.append(piece)
        out.append(text[at:])
        return "".join(out)

    def _one(self, text: str, dollar: int, unset: Callable[[str], None], depth: int) -> tuple[str, int]:
        """What stands for the `$` at this place, and where to go on."""
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            return "$", dollar + 2
        if following == "{":
            end = _closing_brace(text, dollar + 1)
            return self._braced(text[dollar + 2 : end], unset, depth), end + 1
        name = _NAME.match(text, dollar + 1)
        if name is None:
            return "$", dollar + 1
        return self._plain(name[0], unset), name.end()

    def _plain(self, name: str, unset: Callable[[str], None]) -> str:
        if name not in self._variables:
            unset(name)
        return self._variables.get(name, "")

    def _braced(self, inner: str, unset: Callable[[str], None], depth: int) -> str:
        match = _BRACED.fullmatch(inner)
        if match is None:
            raise ValueError("this is no valid variable; write $$ for a plain $")
        name, operator, rest = match[1], match[2], match[3]
        if operator is None:
            return self._plain(name, unset)
        value = self._variables.get(name)
        present = bool(value) if operator[0] == ":" else value is not None
        match operator[-1]:
            case "-":
                return value or "" if present else self._expand(rest, unset, depth + 1)
            case "+":
                return self._expand(rest, unset, depth + 1) if present else ""
        if not present:
            reason = self._expand(rest, unset, depth + 1)
            reason = "".join(char if char.isprintable() else " " for char in reason[:200])
            raise MissingVariableError(
                f"variable {name[:80]} is required" + (f": {reason}" if reason else "")
            )
        return value or ""


def _closing_brace(text: str, opening: int) -> int:
    """Where the brace at `opening` ends; braces in a default count in pairs, as Compose counts them."""
    depth = 0
    for at in range(opening, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    raise ValueError("a ${ has no closing brace; write $$ for a plain $")
