"""`restart` and `deploy.restart_policy`: what happens to a container that ends."""

from __future__ import annotations

import re

from .cursor import Cursor, value
from .model import Restart
from .problems import clip
from .scalars import Scalar
from .values import duration, integer, text

_RESTART = re.compile(r"on-failure(?::([0-9]{1,6}))?")


def read_restart(
    fields: dict[str, Cursor], policy: Cursor | None, defaults: list[str], *, job: bool
) -> Restart:
    """`deploy.restart_policy` goes before `restart`, as in Compose. A job that leaves it open is tried again
    when it fails."""
    usual = Restart(condition="on-failure") if job else Restart()
    at = fields.get("restart")
    found = at.parse(_word, usual) if at else None
    if policy is not None:
        written, found = found, _policy(policy, usual)
        if at is not None and written != found:
            at.warn("note", f"has no effect: {policy.path} says otherwise")
        at = policy
    if at is None or found is None:
        defaults.append("restart")
        return usual
    if job and found.condition == "unless-stopped":
        at.fail("invalid", "a job runs to its end, so it cannot always be restarted: use on-failure, or none")
    return found


def _word(given: Scalar) -> Restart:
    word = text(given)
    if word in ("always", "unless-stopped"):
        return Restart()
    if word == "no":
        return Restart(condition="no")
    if match := _RESTART.fullmatch(word):
        return Restart(condition="on-failure", max_attempts=int(match[1] or 0))
    raise ValueError(f"{clip(word)} is none of no, always, unless-stopped, on-failure and on-failure:3")


def _policy(at: Cursor, usual: Restart) -> Restart:
    fields = at.fields({"condition", "max_attempts", "delay", "window"})
    attempts = value(fields, "max_attempts", integer(0, 999_999), 0)
    delay, window = value(fields, "delay", duration, 0.0), value(fields, "window", duration, 0.0)
    found = fields["condition"].parse(_condition, usual) if "condition" in fields else usual
    if found.condition == "no":
        for key in fields.keys() & {"max_attempts", "delay", "window"}:
            fields[key].warn("note", "has no effect: with condition: none nothing is restarted")
        return found
    if found.condition == "on-failure":
        return Restart(condition="on-failure", max_attempts=attempts, delay=delay, window=window)
    if attempts:
        fields["max_attempts"].warn("note", "has no effect: it counts with condition: on-failure only")
    return Restart(delay=delay, window=window)


def _condition(given: Scalar) -> Restart:
    match text(given):
        case "any":
            return Restart()
        case "none":
            return Restart(condition="no")
        case "on-failure":
            return Restart(condition="on-failure")
        case other:
            raise ValueError(f"{clip(other)} is none of none, on-failure and any")
