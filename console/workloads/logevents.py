"""What a reader of logs asks for and gets, wherever the lines come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import re2  # type: ignore[import-untyped]
from django.utils.translation import gettext_lazy as _

from console.common.errors import BerthError
from console.workloads.models import Container

MOST_PATTERN = 300
_AGE = re.compile(r"(\d{1,9})\s*([smhdw]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Kind = Literal["line", "gap", "end", "error"]
Match = Callable[[str], bool]


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line, a gap (`dropped` lines are missing, or how many is not known and `text` says why), a stream's end, or
    an error."""

    kind: Kind
    container: str
    name: str
    at: str = ""
    source: str = ""
    text: str = ""
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Which lines. `since` and `until` are timestamps as the engines write them, empty for no bound; `tail` is the
    most past lines of each container, after `match`; None for all."""

    follow: bool = False
    tail: int | None = None
    since: str = ""
    until: str = ""
    match: Match | None = None

    def takes(self, at: str, text: str) -> bool:
        """`since` itself was seen already by whoever comes back with it."""
        if (self.since and at <= self.since) or (self.until and at > self.until):
            return False
        return self.match is None or self.match(text)

    @property
    def picks(self) -> bool:
        """Whether the last lines asked for may not be the last ones there are."""
        return self.match is not None or bool(self.until)


def event(container: Container, kind: Kind, *, at: str = "", text: str = "", dropped: int = 0) -> LogEvent:
    """Anything but a line."""
    return LogEvent(kind=kind, container=container.id, name=container.name, at=at, text=text, dropped=dropped)


def stamp(moment: datetime) -> str:
    """A time as the engines write it: UTC, nine digits of a second, so that texts compare as times do."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}000Z"


def moment_of(text: str, now: datetime) -> str:
    """The timestamp that `text` stands for: RFC 3339, or an age such as 90, 10m, 2h or 7d. Raises `ValueError`."""
    age = _AGE.fullmatch(text.strip())
    if age:
        try:
            return stamp(now - timedelta(seconds=int(age[1]) * _UNITS[age[2]]))
        except OverflowError as error:
            raise ValueError("the time is out of range") from error
    return exactly(text)


def exactly(text: str) -> str:
    """The timestamp of an RFC 3339 text. Raises `ValueError`."""
    whole = re.fullmatch(r"(.*\d\.\d{6})(\d{0,3})\d*(Z|[+-]\d\d:?\d\d)", text.strip())
    if whole:  # finer than Python's own
        return f"{stamp(_aware(whole[1] + whole[3]))[:-4]}{whole[2]:0<3}Z"
    return stamp(_aware(text.strip()))


def _aware(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time needs its zone")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error


def matcher(search: str, *, regex: bool) -> Match | None:
    """Whether a line is looked for, without regard to case; None when all are. RE2's patterns take time that grows
    with the line and with nothing else. Raises `BerthError` for a pattern that is none."""
    if not search:
        return None
    if not regex:
        needle = search.casefold()
        return lambda text: needle in text.casefold()
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.max_mem = False, False, 8 << 20
    try:
        pattern = re2.compile(search, options)
    except re2.error as error:
        text = _("This is no pattern that can be searched for: %(error)s") % {"error": _words(error)}
        raise BerthError(text, fields={"search": [text]}) from error
    return lambda text: pattern.search(text) is not None


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
