"""What runs in the container and how: command, health check, ulimits, logging."""

from __future__ import annotations

from typing import Literal

from .cursor import Cursor, value
from .model import Healthcheck, Logging, Ulimit
from .problems import clip
from .scalars import Scalar
from .values import boolean, command_line, duration, integer, size, text

_ULIMITS = frozenset(
    (
        *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue"),
        *("nofile", "nproc", "rss", "rttime", "sigpending", "stack"),
    )
)
_ULIMITS_REFUSED = dict.fromkeys(("nice", "rtprio"), "it gives a container rights over its host's scheduler")
_LOG_OPTIONS_LATER = dict.fromkeys(
    ("tag", "labels", "labels-regex", "env", "env-regex", "compress", "mode", "max-buffer-size"), ""
)
_MOST_LOG = 1024**3


def read_command(at: Cursor | None) -> tuple[str, ...] | None:
    """None where the image decides; an empty text or list means no words at all."""
    if at is None:
        return None
    if at.is_list:
        return tuple(item.parse(text, "") for item in at.items())
    none: tuple[str, ...] = ()
    return at.parse(command_line, none)


def read_healthcheck(at: Cursor | None) -> Healthcheck | None:
    if at is None:
        return None
    fields = at.fields(
        {"test", "disable", "interval", "timeout", "retries", "start_period"},
        unsupported={"start_interval": ""},
    )
    if value(fields, "disable", boolean, False):
        return Healthcheck(test=("NONE",))
    return Healthcheck(
        test=_test(fields.get("test")),
        interval=value(fields, "interval", _period, None),
        timeout=value(fields, "timeout", _period, None),
        retries=value(fields, "retries", _retries, None),
        start_period=value(fields, "start_period", _period, None),
    )


def _test(at: Cursor | None) -> tuple[str, ...]:
    if at is None:
        return ()
    if not at.is_list:
        return ("CMD-SHELL", at.parse(text, ""))
    words = tuple(item.parse(text, "") for item in at.items())
    least = {"NONE": 1, "CMD": 2, "CMD-SHELL": 2}
    if words and len(words) < least.get(words[0], len(words) + 1):
        at.fail("invalid", "must start with NONE, CMD or CMD-SHELL, and hold a command after the last two")
    return words


def _period(given: Scalar) -> float | None:
    seconds = duration(given)
    if 0 < seconds < 0.001:
        raise ValueError("must be at least 1ms")
    return seconds


def _retries(given: Scalar) -> int | None:
    return integer(0, 10_000)(given)


def read_ulimits(at: Cursor | None) -> tuple[Ulimit, ...]:
    limits = at.fields(_ULIMITS, refused=_ULIMITS_REFUSED) if at else {}
    number = integer(-1, 2**63 - 1)
    found = []
    for name, entry in sorted(limits.items()):
        soft = hard = 0
        if entry.is_map:
            fields = entry.fields({"soft", "hard"})
            if len(fields) < 2:
                entry.fail("missing", "a ulimit needs soft and hard")
                continue
            soft, hard = value(fields, "soft", number, 0), value(fields, "hard", number, 0)
        else:
            soft = hard = entry.parse(number, 0)
        if min(soft, hard) < 0:
            entry.fail("refused", "an unlimited ulimit is not allowed: every limit of a container has an end")
        elif soft > hard:
            entry.fail("invalid", "the soft limit is above the hard one")
        found.append(Ulimit(name=name, soft=soft, hard=hard))
    return tuple(found)


def read_logging(at: Cursor | None, defaults: list[str]) -> Logging:
    """Logs are always bounded: what the file leaves out is filled in and named in `defaults`."""
    base = Logging()
    fields = at.fields({"driver", "options"}) if at else {}
    options: dict[str, Cursor] = {}
    if "options" in fields:
        options = fields["options"].fields({"max-size", "max-file"}, unsupported=_LOG_OPTIONS_LATER)
    for key, name in (("max-size", "log_max_size"), ("max-file", "log_max_file")):
        if key not in options:
            defaults.append(name)
    found = Logging(
        driver=_driver(fields.get("driver")),
        max_size=value(options, "max-size", size, base.max_size),
        max_file=value(options, "max-file", integer(1, 1000), base.max_file),
    )
    if not 1024 <= found.max_size <= _MOST_LOG // found.max_file:
        fields["options"].fail("invalid", "a service's log files must have from 1k each to 1g together")
    return found


def _driver(at: Cursor | None) -> Literal["json-file", "local"]:
    name = at.parse(text, "") if at else "json-file"
    if at and name not in ("json-file", "local"):
        at.fail("unsupported", f"log driver {clip(name)} is not supported yet: use json-file or local")
    return "local" if name == "local" else "json-file"
