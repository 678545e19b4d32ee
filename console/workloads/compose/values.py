"""Single values of the Compose Specification: text, numbers, durations, byte sizes, command lines.

Each function takes a scalar and raises ValueError with a message for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from .problems import clip
from .scalars import Scalar, as_text

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_DURATION_PART = re.compile(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(ns|us|µs|μs|ms|s|m|h|d|w)")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_SCALE = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}
_TRUE = {"true", "1", "t", "y", "yes", "on"}
_FALSE = {"false", "0", "f", "n", "no", "off"}
_NUMBER = re.compile(r"[-+]?\d{1,18}")
_REAL = re.compile(r"[-+]?\d{1,18}(\.\d{1,18})?(e[-+]?\d{1,3})?")
_MAX = 2**63 - 1
W = TypeVar("W", bound=str)


def text(value: Scalar) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text; put {clip(as_text(value))} in quotes")
    return value


def filled_text(value: Scalar) -> str:
    if written := text(value):
        return written
    raise ValueError("must not be empty")


def matching(pattern: str, wanted: str) -> Callable[[Scalar], str]:
    """A reader of text that matches all of `pattern`; `wanted` says what it should be."""
    compiled = re.compile(pattern)

    def read(value: Scalar) -> str:
        found = text(value)
        if len(found) > 4096 or not compiled.fullmatch(found):
            raise ValueError(f"{clip(found)} is not {wanted}")
        return found

    return read


def boolean(value: Scalar) -> bool:
    word = as_text(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"must be true or false, not {clip(word)}")
    return word in _TRUE


def integer(low: int = 0, high: int = _MAX) -> Callable[[Scalar], int]:
    """A reader of whole numbers from `low` to `high`, in digits or as digits in text."""

    def read(value: Scalar) -> int:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number, not {clip(as_text(value))}")
        if not low <= value <= high:
            raise ValueError(f"{value} is out of range ({low} to {high})")
        return value

    return read


def number(low: float, high: float) -> Callable[[Scalar], float]:
    """A reader of numbers from `low` to `high`, also as text."""

    def read(value: Scalar) -> float:
        written = as_text(value)
        if isinstance(value, bool) or not _REAL.fullmatch(written):
            raise ValueError(f"must be a number, not {clip(written)}")
        if not low <= (found := float(written)) <= high:
            raise ValueError(f"{written} is out of range ({low:g} to {high:g})")
        return found

    return read


def one_of(*words: W) -> Callable[[Scalar], W]:
    """A reader of one of these words."""

    def read(value: Scalar) -> W:
        found = text(value)
        for word in words:
            if word == found:
                return word
        raise ValueError(
            f"{clip(found)} is none of {', '.join(words)}" if words[1:] else f"must be {words[0]}"
        )

    return read


def at_least(convert: Callable[[Scalar], int], least: int, shown: str) -> Callable[[Scalar], int]:
    """`convert`, and at least `least`: a limit of nothing would be no limit."""

    def read(given: Scalar) -> int:
        found = convert(given)
        if found < least:
            raise ValueError(f"must be at least {shown}")
        return found

    return read


def octal_mode(value: Scalar) -> int:
    """A file mode: a number as YAML reads it (0440 is octal there), or octal digits in text."""
    if isinstance(value, str):
        if not re.fullmatch(r"(0o)?[0-7]{1,5}", value):
            raise ValueError(f"{clip(value)} is not a file mode such as 0440")
        value = int(value.removeprefix("0o"), 8)
    return integer(0, 0o7777)(value)


def duration(value: Scalar) -> float:
    """Seconds of "1m30s", "500ms", …"""
    written = text(value)
    if written == "0":
        return 0.0
    total, at = 0.0, 0
    while match := _DURATION_PART.match(written, at):
        total += float(match[1]) * _UNITS[match[2]]
        at = match.end()
        if at > 200:
            break
    if not written or at != len(written):
        raise ValueError(f"{clip(written)} is not a duration such as 1m30s")
    if total > 10 * 365 * 86400:
        raise ValueError(f"{clip(written)} is too long")
    return round(total, 9)


def size(value: Scalar) -> int:
    """Bytes of 1048576, "64m", "1.5gb", …; units count in 1024s."""
    if isinstance(value, bool | float) or value is None:
        raise ValueError(f"must be a size such as 64m, not {clip(as_text(value))}")
    if isinstance(value, int):
        number, unit = float(value), ""
    else:
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{clip(value)} is not a size such as 64m or 1.5gb")
        number, unit = float(match[1]), match[2].lower()
    total = int(number * _SCALE[unit])
    if not 0 <= total <= _MAX:
        raise ValueError(f"{clip(as_text(value))} is out of range")
    return total


def millicores(value: Scalar) -> int:
    """Thousandths of a core of 0.5, "1.25", …"""
    written = as_text(value)
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,6}(\.\d{1,9})?|\.\d{1,9}", written):
        raise ValueError(f"{clip(written)} is not a number of CPUs such as 0.5")
    return round(float(written) * 1000)


def command_line(value: Scalar) -> tuple[str, ...]:
    """The words of a command written as one text, with shell quoting but no shell behind it."""
    words: list[str] = []
    word: list[str] = []
    started, quote, at, line = False, "", 0, text(value)
    while at < len(line):
        char = line[at]
        at += 1
        if char == "\\" and quote != "'":
            if at == len(line):
                raise ValueError("the command ends in a lone backslash")
            word.append(line[at])
            started, at = True, at + 1
        elif quote:
            quote = "" if char == quote else quote
            word.extend(char if quote else ())
        elif char in "\"'":
            started, quote = True, char
        elif char in " \t\r\n":
            words.extend(["".join(word)] if started else [])
            word, started = [], False
        elif char in "|;&<>`" or (char == "$" and line[at : at + 1] == "("):
            raise ValueError(f"{char} needs a shell: put it in quotes, or write ['sh', '-c', '…']")
        else:
            started = True
            word.append(char)
    if quote:
        raise ValueError("the command has an unfinished quote")
    return tuple([*words, "".join(word)] if started else words)
