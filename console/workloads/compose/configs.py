"""Configs: the top-level contents, and the files that a service makes of them."""

from __future__ import annotations

import re

from .context import Context
from .cursor import Cursor, value
from .model import ConfigFile
from .mounts import target
from .problems import clip
from .scalars import Scalar
from .values import integer, octal_mode, text

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
_SOURCES = ("content", "file", "environment")
_UNSUPPORTED = {
    "external": "give the content, or a file along with the Compose file",
    "name": "configs belong to their app",
    "labels": "",
    "template_driver": "",
}


def read_top_configs(configs: Cursor | None, context: Context) -> dict[str, str]:
    """Contents by name."""
    found: dict[str, str] = {}
    for entry in configs.entries() if configs else []:
        if not _NAME.fullmatch(str(entry.key)):
            entry.fail_key("invalid", f"{clip(entry.key)} is not a config name")
        fields = entry.fields(_SOURCES, unsupported=_UNSUPPORTED)
        given = [name for name in _SOURCES if name in fields]
        if len(given) != 1:
            entry.fail_key("invalid", "a config needs one of content, file and environment")
            given = []
        content = _content(given[0], fields[given[0]], context) if given else None
        found[str(entry.key)] = content or ""
    return found


def _content(kind: str, at: Cursor, context: Context) -> str | None:
    given = at.parse(text, "")
    if kind == "file":
        return context.file(at, given)
    if kind == "environment":
        if given not in context.variables:
            at.fail("missing", f"variable {clip(given)} is not set")
        given = context.variables.get(given, "")
    return given if context.take(at, given) else None


def read_configs(configs: Cursor | None, context: Context) -> tuple[ConfigFile, ...]:
    files = [_config(item, context) for item in (configs.items() if configs else [])]
    return tuple(file for file in files if file is not None)


def _config(item: Cursor, context: Context) -> ConfigFile | None:
    fields = {"source": item}
    if item.is_map:
        fields = item.fields({"source", "target", "uid", "gid", "mode"})
    source = value(fields, "source", text, "")
    if source not in context.configs:
        item.fail("missing", f"config {clip(source)} is not among the file's top-level configs")
        return None
    content = context.configs[source]
    if not context.take(item, content):
        return None
    path = fields.get("target", fields["source"]).parse(_path, "")
    return ConfigFile(
        source=source,
        target=path,
        content=content,
        uid=value(fields, "uid", integer(0, 2**31 - 1), 0),
        gid=value(fields, "gid", integer(0, 2**31 - 1), 0),
        mode=value(fields, "mode", octal_mode, 0o444),
    )


def _path(given: Scalar) -> str:
    return target("/" + text(given).lstrip("/"))
