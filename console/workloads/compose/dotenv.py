"""Env files, in the dialect that Compose reads."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable
from functools import partial

from .interpolation import Budget, Interpolator, MissingVariableError, TooLargeError

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.\-\[\]]*)[ \t]*(?=[=:\n]|\r\n|$)")
_UNQUOTED = re.compile(r"[^\n]*")
_QUOTED = {
    '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL),
    "'": re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL),
}
_TAIL = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?=\n|$)")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r'\\([abfnrtv"\\$])')


def parse_env(
    text: str,
    variables: dict[str, str],
    found: dict[str, str],
    unset: Callable[[int], None],
    *,
    budget: Budget,
) -> None:
    """Adds the variables of an env file to `found`, which may hold those of earlier files.

    A name without `=` takes its value from `variables`, or is left out. References are looked up in
    `variables` first, then in `found`. `unset` is told each line that refers to none. Raises ValueError with the
    line. Neither tells anything of the text: it may be secret.
    """
    interpolator = Interpolator(ChainMap(variables, found), budget)
    at = _skip(text, 0)
    while at < len(text):
        match = _NAME.match(text, at)
        if match is None:
            raise ValueError(f"line {_line(text, at)} is no NAME=value")
        name, at, line = match[1], match.end(), _line(text, match.start())
        if text[at : at + 1] in ("=", ":"):
            try:
                noted = partial(_noted, unset, line)
                found[name], at = _value(text, at + 1, partial(interpolator.substitute, unset=noted))
            except TooLargeError:
                raise
            except MissingVariableError:
                raise ValueError(f"line {line}: a required variable has no value") from None
            except ValueError as error:
                raise ValueError(f"line {line}: {error}") from None
        elif name in variables:
            found[name] = variables[name]
        at = _skip(text, at)


def _noted(unset: Callable[[int], None], line: int, _name: str) -> None:
    unset(line)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _value(text: str, at: int, substitute: Callable[[str], str]) -> tuple[str, int]:
    """The value that starts after `=`, and where its line ends."""
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    quote = text[at : at + 1]
    if quote not in _QUOTED:
        match = _UNQUOTED.match(text, at)
        raw = match[0] if match else ""
        plain, _, _ = raw.partition(" #")
        return substitute(plain.strip()), at + len(raw)
    match = _QUOTED[quote].match(text, at)
    if match is None:
        raise ValueError("the quote is not closed")
    tail = _TAIL.match(text, match.end())
    if tail is None:
        raise ValueError("there is text after the closing quote")
    if quote == "'":
        return match[1].replace("\\'", "'"), tail.end()
    return _double_quoted(match[1], substitute), tail.end()


def _double_quoted(raw: str, substitute: Callable[[str], str]) -> str:
    r"""Escapes, then variables; `\$` stays a dollar sign."""
    unescaped = _ESCAPE.sub(lambda match: "$$" if match[1] == "$" else _ESCAPES[match[1]], raw)
    return substitute(unescaped)
