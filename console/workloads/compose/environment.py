"""`environment`, `env_file` and `labels`: names with texts, as a mapping or as a list of NAME=value."""

from __future__ import annotations

from collections.abc import Iterator

from .context import Context
from .cursor import Cursor, value
from .dotenv import parse_env
from .interpolation import TooLargeError
from .problems import clip
from .scalars import as_text
from .values import boolean, filled_text

RESERVED_LABELS = "berth."


def read_environment(fields: dict[str, Cursor], context: Context) -> dict[str, str]:
    """Env files in their order, then `environment` over them. A name without a value takes the variable's."""
    own: dict[str, str | None] = {}
    for at, name, given in _pairs(fields.get("environment")):
        own[name] = given
        if given is None and (taken := context.variables.get(name)) is not None:
            own[name] = taken if context.take(at, taken) else ""
        if own[name] is None:
            at.warn("unset", f"{name[:80]} has no value and no variable of that name is set; it is left out")
    found: dict[str, str] = {}
    first = {**{name: text for name, text in own.items() if text is not None}, **context.variables}
    for entry in fields["env_file"].one_or_more() if "env_file" in fields else []:
        _add_env_file(entry, context, first, found)
    merged: dict[str, str | None] = {**found, **own}
    return {name: text for name, text in sorted(merged.items()) if text is not None}


def read_labels(labels: Cursor | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, name, given in _pairs(labels):
        if name.startswith(RESERVED_LABELS):
            at.fail("refused", f"labels below {RESERVED_LABELS} are Berth's own")
        found[name] = given or ""
    return dict(sorted(found.items()))


def _pairs(at: Cursor | None) -> Iterator[tuple[Cursor, str, str | None]]:
    """Each entry with its name and its text (None: no value), of either form."""
    if at is None:
        return
    if at.is_list:
        yield from _listed(at)
        return
    for entry in at.entries():
        name = str(entry.key)
        if not name or "=" in name or name != name.strip():
            entry.fail_key("invalid", f"{clip(name)} is no name")
        elif entry.node.value is None:
            yield entry, name, None
        else:
            yield entry, name, entry.parse(as_text, "")


def _listed(at: Cursor) -> Iterator[tuple[Cursor, str, str | None]]:
    seen: set[str] = set()
    for item in at.items():
        name, equal, given = (item.text or "").partition("=")
        if not name or name != name.strip():
            item.fail("invalid", "must be NAME=value")
            continue
        if name in seen:
            item.warn("note", f"{name[:80]} is given again; the last one counts")
        seen.add(name)
        yield item, name, given if equal else None


def _add_env_file(entry: Cursor, context: Context, variables: dict[str, str], found: dict[str, str]) -> None:
    at, required = entry, True
    if entry.is_map:
        fields = entry.fields({"path", "required"}, unsupported={"format": ""})
        if "path" not in fields:
            entry.fail("missing", "env_file needs a path")
            return
        at = fields["path"]
        required = value(fields, "required", boolean, True)
    path = at.parse(filled_text, "")
    if not path or (not required and not context.has(path)):
        return
    content = context.file(at, path)
    if content is None:
        return

    def unset(line: int) -> None:
        at.warn(
            "unset", f"{clip(path)}, line {line} refers to a variable that is not set; it counts as empty"
        )

    try:
        parse_env(content.removeprefix("\ufeff"), variables, found, unset, budget=context.budget)
    except TooLargeError as error:
        at.fail("limit", str(error))
    except ValueError as error:
        at.fail("invalid", f"{clip(path)}, {error}")
