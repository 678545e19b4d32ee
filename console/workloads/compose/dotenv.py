"""Env files, in the dialect that Compose reads."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable

from .interpolation import Budget, Interpolator, TooLargeError
from .problems import clip

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.\-\[\]]*)[ \t]*(?=[=:\n]|\r\n|$)")
_REST = re.compile(r"[^\n]{0,20}")
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
    unset: Callable[[str], None],
    *,
    budget: Budget,
) -> None:
    """Adds the variables of an env file to `found`, which may hold those of earlier files.

    A name without `=` takes its value from `variables`, or is left out. References are looked up in
    `variables` first, then in `found`. Raises ValueError with the line.
    """
    interpolator = Interpolator(ChainMap(variables, found), budget)
    at = _skip(text, 0)
    while at < len(text):
        match = _NAME.match(text, at)
        if match is None:
            raise ValueError(f"line {_line(text, at)}: {clip(_REST.findall(text, at)[0])} is no NAME=value")
        name, at = match[1], match.end()
        if text[at : at + 1] in ("=", ":"):
            try:
                found[name], at = _value(text, at + 1, lambda raw: interpolator.substitute(raw, unset))
            except TooLargeError:
                raise
            except ValueError as error:
                raise ValueError(f"line {_line(text, match.start())}: {error}") from None
        elif name in variables:
            found[name] = variables[name]
        at = _skip(text, at)


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
